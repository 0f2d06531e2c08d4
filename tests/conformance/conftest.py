"""One real hub for all cases that a worker runs: each of them is a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rawws import RawSocket, serving


@pytest.fixture(scope="session")
def hub_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a hub in a process of its own, which counts no frames: these cases cut messages small."""
    with serving(tmp_path_factory.mktemp("hub"), "limits.message_burst=100000") as hub:
        yield hub.port


@pytest.fixture
def peer(hub_port: int) -> Iterator[RawSocket]:
    """An open WebSocket on which nothing was said yet."""
    with RawSocket(hub_port) as raw:
        raw.shake_hands()
        yield raw
