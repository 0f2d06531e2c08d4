"""Events and broadcasts that are called like messages of the hub's own, with bodies like theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tasktree_rt.core.events import Json
from tasktree_rt.hub.delivery import broadcast as broadcasts
from tasktree_rt.hub.publish import publisher as publishing

BODIES: Final[dict[str, list[Json]]] = json.loads(
    (Path(__file__).parent / "cases" / "names.json").read_text(encoding="utf-8")
)
"""What ``data`` may hold, by the name."""
ALL: Final[list[Json]] = [{"type": name, "data": body} for name, bodies in BODIES.items() for body in bodies]


def take_anything(patch: pytest.MonkeyPatch) -> None:
    """Let hubs take such events in from now on, as hubs of before did: their logs are still read."""

    def nothing(*_: Any) -> None:
        """Refuse nothing."""

    patch.setattr(publishing, "refuse_reserved", nothing)
    patch.setattr(broadcasts, "refuse_message_name", nothing)
