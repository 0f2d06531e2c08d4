"""Finds the graph of an execution, which is part of its channel's name on a Redis Cluster.

The hub knows a graph from earlier events. Else it asks AutoGPT's REST API for the executions of the user that
wants to watch it, with that user's own token, so that no user learns of another's executions. It asks like
the hub asks any service about access (`hub.access.guarded`): bounded, and unknown after any failure.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import trio

from tasktree_rt.errors import Unavailable
from tasktree_rt.hub.access.guarded import Guarded
from tasktree_rt.metrics import Metrics

if TYPE_CHECKING:
    import httpx

MOST: Final = 20_000
"""Executions remembered, the newest."""
PATIENCE: Final = 4.0
"""Seconds that the API has for an answer. A client waits 10 s for its heartbeat's answer."""
BETWEEN: Final = 1.0
"""Seconds between two requests for one user."""
MOST_BYTES: Final = 16_777_216
Name = tuple[str, str]
"""A user and an execution."""
Answer = list[tuple[str, str]]
"""Executions, each with its graph."""


class Graphs:
    """Graphs of executions. `url` is the API's address, empty if the hub asks no API."""

    def __init__(self, url: str, meter: Metrics) -> None:
        self._url = url.rstrip("/")
        self._known: dict[Name, str] = {}
        self._asking: dict[str, trio.Lock] = {}
        self._asked: dict[str, float] = {}
        self._ask: Guarded[str, Answer] = Guarded(
            "autogpt", self._executions, timeout=PATIENCE, keep=0.0, meter=meter
        )

    def learn(self, user: str, execution: str, graph: str) -> bool:
        """Remember the graph of an execution; return True if it was unknown."""
        if self._known.get((user, execution)) == graph:
            return False
        self._known[user, execution] = graph
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        return True

    def known(self, user: str, execution: str) -> str | None:
        """Return the graph if it is known."""
        return self._known.get((user, execution))

    async def find(self, user: str, execution: str, token: str) -> str | None:
        """Find the graph of a user's execution; None if neither the hub nor the API knows it."""
        found = self.known(user, execution)
        if found is None and self._url:
            lock = self._asking.setdefault(user, trio.Lock())
            async with lock:
                # Another request may have brought the answer meanwhile.
                if (found := self.known(user, execution)) is None:
                    await self._ask_in_time(user, token)
                    found = self.known(user, execution)
            if not lock.statistics().tasks_waiting:
                self._asking.pop(user, None)
        return found

    async def _ask_in_time(self, user: str, token: str) -> None:
        due = self._asked.pop(user, -BETWEEN) + BETWEEN
        await trio.sleep(max(0.0, due - trio.current_time()))
        with suppress(Unavailable):  # after any failure the execution is unknown
            for execution, graph in await self._ask(user, token, key=user):
                self.learn(user, execution, graph)
        self._asked[user] = trio.current_time()
        if len(self._asked) > MOST:
            del self._asked[next(iter(self._asked))]

    async def _executions(self, token: str) -> Answer:
        # Imported late: no hub needs an HTTP client to start.
        import httpx

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as client,
            client.stream("GET", f"{self._url}/executions", headers=headers) as response,
        ):
            return _executions(await _body(response))


async def _body(response: httpx.Response) -> Any:  # noqa: ANN401 - any JSON
    if response.status_code != 200:
        raise ValueError(f"expected status 200, got {response.status_code}")
    found = bytearray()
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) > MOST_BYTES:
            raise ValueError(f"expected at most {MOST_BYTES} bytes")
    return json.loads(found)


def _executions(said: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Return the executions and their graphs in an answer, which is a list or contains one."""
    listed = said.get("executions") if isinstance(said, dict) else said
    if not isinstance(listed, list):
        raise ValueError("expected a list of executions")
    pairs = [(one.get("id"), one.get("graph_id")) for one in listed if isinstance(one, dict)]
    return [(one, graph) for one, graph in pairs if isinstance(one, str) and isinstance(graph, str)]
