"""When a node or a project ran: the rule of docs/protocol.md, "Names, times, positions".

`frontend/src/core/moments.ts` is the same rule for the browser; both pass `tests/cases/ran.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from tasktree_rt.core.events import normalise_time
from tasktree_rt.errors import InvalidInput


class Ran(NamedTuple):
    """Seconds since 1970.

    Attributes:
        ended: None: not ended, or no event said when.
    """

    started: float | None
    ended: float | None


def ran(fields: Mapping[str, Any], *, running: bool = False) -> Ran:
    """When it ran; `running`: it is a node whose status says that it runs.

    An ``ended_at`` before ``started_at`` is that of an earlier attempt and does not count; neither does any
    while it runs.
    """
    started, ended = moment(fields.get("started_at")), moment(fields.get("ended_at"))
    if running or (started is not None and ended is not None and ended < started):
        ended = None
    return Ran(started, ended)


def moment(value: object) -> float | None:
    """A time as seconds since 1970: RFC 3339, where no offset means UTC; None if it is none."""
    try:
        return datetime.fromisoformat(normalise_time(value, "")).timestamp()
    except (InvalidInput, OverflowError):
        return None
