"""``?state=1`` on the address of a watcher: its first view with one request."""

from __future__ import annotations

import pytest
from trio_websocket import ConnectionRejected

from tests.web.realhub import RealHub, heard, node_update, real_hub

NATIVE, PLAIN = True, False


async def first(running: RealHub, query: str, messages: int) -> list[tuple[str, object, list[str]]]:
    """The first messages of a native watcher: type, project, nodes of a state."""
    async with running.socket(f"/ws/updates?{query}") as socket:
        found = [await heard(socket) for _ in range(messages)]
    return [
        (one["type"], one.get("project_id"), [node["node_id"] for node in one["data"].get("nodes", ())])
        for one in ({"data": {}, **each} for each in found)
        if one["type"] in ("subscribed", "project_state")
    ]


@pytest.mark.parametrize("query", ["project_id=a&project_id=b&state=1", "state=1", "state=true"])
async def test_each_subscription_gets_its_state(query: str) -> None:
    async with real_hub() as running:
        await running.publish("a", node_update("x"))
        await running.publish("b", node_update("y"))
        seen = await first(running, query, 5)
        assert sorted(one for one in seen if one[0] == "project_state") == [
            ("project_state", "a", ["x"]),
            ("project_state", "b", ["y"]),
        ]


async def test_without_it_no_state_is_sent() -> None:
    async with real_hub() as running:
        await running.publish("a", node_update("x"))
        for query in ("project_id=a", "project_id=a&state=0"):
            assert await first(running, query, 2) == [("subscribed", "a", [])]


@pytest.mark.parametrize(
    ("query", "native"),
    [("project_id=a&state=yes", NATIVE), ("project_id=a&state=1&since=:0", NATIVE), ("state=1", PLAIN)],
)
async def test_a_state_that_cannot_be_is_refused_before_the_handshake(query: str, native: bool) -> None:
    async with real_hub() as running:
        with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True) as caught:
            async with running.socket(f"/ws/updates?{query}", native=native):
                pass
        error: BaseException = caught.value
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, ConnectionRejected)
        assert error.status_code == 400
        assert error.body is not None
        assert b'"field":"state"' in error.body
