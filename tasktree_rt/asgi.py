"""A hub beside an ASGI application on asyncio: FastAPI, Starlette, Quart. Needs ``tasktree-rt[hub]``.

::

    hub = EmbeddedHub(Settings(bind="127.0.0.1:8001"))
    app = FastAPI(lifespan=hub.lifespan)

    @app.post("/jobs/{job}")
    async def begin(job: str) -> None:
        changes = {"title": "Compile", "status": "running"}
        await hub.broadcast_to_project(
            job, {"type": "node_update", "data": {"node_id": "compile", "changes": changes}}
        )

The hub runs in a thread of its own with a Trio loop of its own, not as a guest of the application's loop: a
handler of the application that blocks then delays no watcher, and as a guest the hub would wait for its
sockets in another thread anyway. It listens on `Settings.bind` itself: an ASGI server hands on no sockets,
and the hub's own transport is what makes a slow watcher cost the others nothing. A program on Trio uses
`composition.compose.run_hub`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import trio
from attrs import define, field

from tasktree_rt.composition.compose import Running, run_hub
from tasktree_rt.errors import HubError
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.publish.pending_publish import PublishReceipt
from tasktree_rt.settings import Settings

T = TypeVar("T")
_NOT_RUNNING: Final = "the hub is not running: expected a call within the application's lifespan"


class HubStopped(HubError):
    """The hub is not running, or ended before it did what was asked."""


@define(eq=False)
class _Call:
    """One call out of asyncio into Trio. Only `scope` crosses back, by the hub's thread."""

    function: Callable[..., Awaitable[Any]]
    arguments: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    scope: trio.CancelScope = field(factory=trio.CancelScope)

    async def run(self, hub: Hub) -> None:
        """Run the function in the hub's loop; send back its result, or its exception."""
        try:
            with self.scope:
                self._send(self.answer.set_result, await self.function(hub, *self.arguments))
        except Exception as error:
            self._send(self.answer.set_exception, error)
        finally:
            self.give_up()  # unless it is answered: the hub ends, or the caller has gone

    def give_up(self) -> None:
        """Say that the hub ended."""
        self._send(self.answer.set_exception, HubStopped("the hub ended before it answered"))

    def _send(self, set_answer: Callable[[Any], object], value: object) -> None:
        def deliver() -> None:
            if not self.answer.done():
                set_answer(value)

        _in_loop(self.loop, deliver)


class EmbeddedHub:
    """A hub in a thread, from the application's start to its end.

    `lifespan` is the application's; or enter it with ``async with`` within a lifespan of your own. Its
    methods are for tasks of the event loop that started it. The thread is a daemon: where the application is
    ended without its lifespan's end, the hub is too, and what it acknowledged is on disk.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = Settings() if settings is None else settings
        self._thread: threading.Thread | None = None
        self._running: Running | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._shutdown: trio.Event | None = None
        self._nursery: trio.Nursery | None = None
        self._ended: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """Run the hub while the application runs: for FastAPI's and Starlette's argument of that name.

        Raises:
            SettingsError: the hub cannot listen on the address, or cannot make the store's folder.
            StoreUnusable: the store cannot be opened.
        """
        async with self:
            yield

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise HubStopped("expected a hub that is not running already")
        loop = asyncio.get_running_loop()
        started: asyncio.Future[Running] = loop.create_future()
        self._ended = loop.create_future()
        self._thread = threading.Thread(
            target=self._run_thread, args=(loop, started, self._ended), name="tasktree-rt hub", daemon=True
        )
        self._thread.start()
        try:
            self._running = await started
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def address(self) -> str:
        """The hub's URL: for the application's pages, and for a proxy in front of both.

        Raises:
            HubStopped: it is not running.
        """
        if self._running is None:
            raise HubStopped(_NOT_RUNNING)
        return self._running.address

    async def run(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        """Await ``function(hub, *arguments)`` in the hub's own loop, and return what it returns.

        The function may use Trio and every method of `Hub`, and nothing of asyncio. Cancelling the caller
        cancels it.

        Raises:
            HubStopped: the hub is not running, or ended before the function did.
        """
        token = self._token
        if token is None or self._running is None:
            raise HubStopped(_NOT_RUNNING)
        loop = asyncio.get_running_loop()
        call = _Call(function, arguments, loop, loop.create_future())
        try:
            token.run_sync_soon(self._begin, call)
            result: T = await call.answer
        except trio.RunFinishedError:
            raise HubStopped(_NOT_RUNNING) from None
        except asyncio.CancelledError:
            _in_trio(token, call.scope.cancel)
            raise
        return result

    async def broadcast_to_project(self, project_id: str, message: dict[str, Any]) -> PublishReceipt:
        """Publish one message, ``{"type", "data"?, "timestamp"?}``; return once it is durable and on its way.

        Raises:
            PeerError: with `code` and `field`: what is wrong with the message.
            HubStopped: the hub is not running.
        """
        return await self.run(_broadcast_to_project, project_id, message)

    async def broadcast(self, message: dict[str, Any]) -> int:
        """Send ``{"type", "data"?}`` to every watcher, without project or storage; return how many get it."""
        return await self.run(_broadcast, message)

    async def send_personal_message(self, connection_id: str, message: dict[str, Any]) -> bool:
        """Send a JSON object to one connection; return False if there is none of that id."""
        return await self.run(_send_personal, connection_id, message)

    # --- the hub's thread ----------------------------------------------------------------------------

    def _run_thread(
        self,
        loop: asyncio.AbstractEventLoop,
        started: asyncio.Future[Running],
        ended: asyncio.Future[None],
    ) -> None:
        fault: BaseException | None = None
        try:
            trio.run(self._serve, loop, started)
        except BaseException as error:
            fault = _single(error)
        finally:
            self._token = None
            _in_loop(loop, lambda: _settle(started, ended, fault))

    async def _serve(self, loop: asyncio.AbstractEventLoop, started: asyncio.Future[Running]) -> None:
        def tell(running: Running) -> None:
            _in_loop(loop, lambda: None if started.done() else started.set_result(running))

        self._shutdown = trio.Event()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._token = trio.lowlevel.current_trio_token()
            await run_hub(self._settings, shutdown=self._shutdown, started=tell)
            self._nursery = None
            nursery.cancel_scope.cancel()

    def _begin(self, call: _Call) -> None:
        if self._nursery is None or self._running is None:
            call.give_up()
        else:
            self._nursery.start_soon(call.run, self._running.hub)

    async def _stop(self) -> None:
        """Drain the hub and wait for its thread, whatever cancels this."""
        if self._token is not None:
            _in_trio(self._token, self._set_shutdown)
        ended, cancelled = self._ended, None
        while ended is not None and not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError as error:
                cancelled = error
        self._thread = self._running = None
        if cancelled is not None:
            raise cancelled
        if ended is not None:
            ended.result()

    def _set_shutdown(self) -> None:
        if self._shutdown is not None:
            self._shutdown.set()


def _settle(
    started: asyncio.Future[Running], ended: asyncio.Future[None], fault: BaseException | None
) -> None:
    """The hub's thread is over: its fault is the start's, or else the end's."""
    if not started.done():
        started.set_exception(fault or HubStopped("the hub ended before it accepted connections"))
        ended.set_result(None)
    elif fault is not None:
        ended.set_exception(fault)
    else:
        ended.set_result(None)


def _single(error: BaseException) -> BaseException:
    """Return the only exception of nested groups, else the error."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _in_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        return  # the application's loop is closed: nobody waits any more


def _in_trio(token: trio.lowlevel.TrioToken, function: Callable[[], object]) -> None:
    try:
        token.run_sync_soon(function)
    except trio.RunFinishedError:
        return  # the hub has ended by itself


async def _broadcast_to_project(hub: Hub, project_id: str, message: dict[str, Any]) -> PublishReceipt:
    return await hub.broadcast_to_project(project_id, message)


async def _broadcast(hub: Hub, message: dict[str, Any]) -> int:
    return hub.broadcast(message)


async def _send_personal(hub: Hub, connection_id: str, message: dict[str, Any]) -> bool:
    return hub.send_personal_message(connection_id, message)
