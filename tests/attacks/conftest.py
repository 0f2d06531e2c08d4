"""Hubs that attacks share: one that asks for tokens, one that is open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.arena import Arena
from tests.attacks.arena import arena as run


@pytest.fixture(scope="module")
def arena(request: pytest.FixtureRequest) -> Iterator[Arena]:
    """The hub of a module's attacks; it asks for tokens unless the module has ``ASKS_TOKENS = False``."""
    with run(asks_tokens=getattr(request.module, "ASKS_TOKENS", True)) as found:
        yield found
