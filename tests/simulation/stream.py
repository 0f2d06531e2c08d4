"""Readers of server-sent events, through the real Quart app, which is called as an ASGI server calls it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import trio
from quart_trio import QuartTrio

from tasktree_rt.core.protocol import Policy
from tasktree_rt.hub.hub import Hub
from tasktree_rt.settings import Settings
from tasktree_rt.web.app import create_app
from tests.simulation.interactions import USER
from tests.simulation.network import Line
from tests.simulation.view import StreamView
from tests.simulation.violation import Violation
from tests.simulation.watcher import STAR, Watcher

if TYPE_CHECKING:
    from tests.simulation.world import World

Message = dict[str, Any]


KEPT: Final = frozenset({"rates", "access", "administration", "subscription_tokens"})
"""Parts of a hub that the app keeps from when it was made."""


class CurrentPart:
    """A part of the hub that runs now."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> object:
        return getattr(getattr(CURRENT.hub, self._name), name)


class Current:
    """The hub of the process that runs now, to the one app there is: routes take long to make."""

    hub: Hub

    def __getattr__(self, name: str) -> object:
        return CurrentPart(name) if name in KEPT else getattr(self.hub, name)


CURRENT: Final = Current()


@cache
def the_app() -> QuartTrio:
    """The real web app."""
    return create_app(Settings(), cast(Hub, CURRENT))


class StreamWatcher(Watcher):
    """An ``EventSource``: comes back with the last ``id:`` it has seen."""

    kind = "sse"

    def __init__(self, world: World, index: int, policy: Policy, wishes: tuple[str, ...]) -> None:
        super().__init__(
            world, index, policy, tuple(one for one in wishes if one != STAR)[:1] or (world.projects[0],)
        )
        self.view = StreamView(world.truth)
        self._last = ""
        self._text = b""

    def connect(self) -> None:
        (name,) = self.wishes
        self.view.connects({name: self._last or None})
        self._text = b""
        exchange = Exchange(self.begin_line(), self._scope(name))
        self.world.process.start(lambda: exchange.run(self.world))

    def _scope(self, name: str) -> Message:
        headers = [(b"host", b"127.0.0.1:8000")]
        if self._last:
            headers.append((b"last-event-id", self._last.encode()))
        user = name.startswith(USER)
        path = (
            f"/api/v1/users/{name.removeprefix(USER)}/stream" if user else f"/api/v1/projects/{name}/stream"
        )
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": f"policy={self.policy.value}".encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "state": {},
            "extensions": {},
        }

    def read(self, data: bytes) -> None:
        *pieces, self._text = (self._text + data).split(b"\n\n")
        for piece in pieces:
            place, payload = "", b""
            for line in piece.split(b"\n"):
                field, _, value = line.partition(b": ")
                if field == b"id":
                    place = value.decode()
                elif field == b"data":
                    payload = value
            if payload:
                self._take(place, self.world.decode(payload))

    def _take(self, place: str, said: Message) -> None:
        (name,) = self.wishes
        before = self.view.since(name)
        self.told(self.view, said)
        has = self.view.since(name)
        if place:
            self._last = place
        if place and place != has:
            raise Violation("no silent gap", f"{self}: id {place} with {said['type']}, it has {has}")
        if not place and has != before and said["type"] != "subscribed":
            raise Violation("no silent gap", f"{self}: {said['type']} without an id")

    def half_close(self) -> None:
        """To a server of HTTP this is the end."""
        if self.line is not None:
            self.drop()

    def behind(self) -> str | None:
        told = self.view.behind()
        return None if told is None else f"{self}: {told}"

    def resumes(self, project: str) -> tuple[str, int] | None:
        epoch, _, seq = self._last.rpartition(":")
        return (epoch, int(seq)) if self._last and project in self.wishes else None


class Exchange:
    """One request and its answer, as far as Hypercorn would carry them."""

    def __init__(self, line: Line, scope: Message) -> None:
        self._line = line
        self._scope = scope
        self._asked = False

    async def run(self, world: World) -> None:
        """Until the answer is given or the peer gone."""
        self._io = world.network.syscalls
        try:
            CURRENT.hub = world.process.hub
            app = cast(Callable[..., Awaitable[None]], the_app())
            await app(self._scope, self._receive, self._send)
        finally:
            self._line.close()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            await trio.lowlevel.checkpoint()
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._line.readable()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await trio.lowlevel.checkpoint()
        data = memoryview(message.get("body", b""))
        while data and not self._line.reset:
            try:
                data = data[self._io.write(self._line.fileno(), data) :]
            except BlockingIOError:
                await self._line.writable()
