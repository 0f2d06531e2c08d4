"""Watchers in processes of their own: each is forked before the event loop begins, and does what it is asked.

Requests and answers are lines of JSON on a pair of sockets, one at a time. A worker ends with its socket.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import msgspec
import trio
from attrs import asdict, define, field

from tasktree_rt.errors import ClientError
from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.publishing import Head
from tasktree_rt.load.readers import LocalReaders, Progress, local_readers
from tasktree_rt.load.self_watch import SelfWatch
from tasktree_rt.load.tally import Tally
from tasktree_rt.load.target import Target

_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.decode


@define(eq=False)
class Worker:
    """A process that reads, as the conductor sees it."""

    pid: int
    sock: socket.socket
    _stream: trio.SocketStream | None = None
    _rest: bytearray = field(factory=bytearray)
    _lock: trio.Lock = field(factory=trio.Lock)

    async def ask(self, what: str, **given: Any) -> Any:  # noqa: ANN401 - an answer is any JSON
        """Send a request and wait for its answer.

        Raises:
            ClientError: the process ended.
        """
        async with self._lock:
            if self._stream is None:
                self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(self.sock))
            try:
                await self._stream.send_all(_encode({"what": what, **given}) + b"\n")
                line = await _line(self._stream, self._rest)
            except trio.BrokenResourceError:
                line = b""
        if not line:
            raise ClientError(f"the reading process {self.pid} ended")
        return _decode(line)


@contextmanager
def forked(plan: Plan, target: Target) -> Iterator[list[Worker]]:
    """Fork the reading processes of a plan; none if it wants one process only. They end with the block."""
    parts = plan.processes if plan.processes > 1 else 0
    workers: list[Worker] = []
    try:
        for part in range(parts):
            own, theirs = socket.socketpair()
            pid = os.fork()
            if not pid:
                own.close()
                for one in workers:
                    one.sock.close()
                _work(plan, target, part, parts, theirs)
            theirs.close()
            workers.append(Worker(pid, own))
        yield workers
    finally:
        for one in workers:
            one.sock.close()
            os.waitpid(one.pid, 0)


def _work(plan: Plan, target: Target, part: int, parts: int, sock: socket.socket) -> None:
    """Be a worker; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the conductor ends the test
        trio.run(_serve, plan, target, part, parts, sock)
        code = 0
    finally:
        os._exit(code)


async def _serve(plan: Plan, target: Target, part: int, parts: int, sock: socket.socket) -> None:
    stream, rest = trio.SocketStream(trio.socket.from_stdlib_socket(sock)), bytearray()
    if not (line := await _line(stream, rest)):
        return
    begin = _decode(line)
    async with local_readers(plan, target, begin["run"], _heads(begin), part, parts) as readers:
        watch = SelfWatch()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            await stream.send_all(b"{}\n")
            while line := await _line(stream, rest):
                await stream.send_all(_encode(await _answer(readers, watch, _decode(line))) + b"\n")
            nursery.cancel_scope.cancel()


async def _answer(readers: LocalReaders, watch: SelfWatch, request: dict[str, Any]) -> Any:  # noqa: ANN401
    match request["what"]:
        case "all_live":
            await readers.all_live()
        case "progress":
            progress = await readers.progress()
            return {"live": progress.live, "tally": progress.tally.to_json()}
        case "leave":
            await readers.leave(request["count"])
        case "storm":
            await readers.storm()
        case "behind":
            return await readers.behind(_heads(request))
        case "finish":
            tally, _ = await readers.finish(_heads(request))
            return {"tally": tally.to_json(), "lag": watch.lag.to_json(), "busy": watch.busy}
    return None


def _heads(request: dict[str, Any]) -> list[Head]:
    return [Head(**one) for one in request["heads"]]


async def _line(stream: trio.SocketStream, rest: bytearray) -> bytes:
    """Read a line; b"" at the end."""
    while (end := rest.find(b"\n")) < 0:
        piece = await stream.receive_some()
        if not piece:
            return b""
        rest += piece
    line = bytes(rest[:end])
    del rest[: end + 1]
    return line


class RemoteReaders:
    """All workers as one. Implements `readers.Readers`."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    async def all_live(self) -> None:
        """Wait."""
        await self.all("all_live")

    async def progress(self) -> Progress:
        """Add up the counts."""
        found = await self.all("progress")
        whole = Tally()
        for one in found:
            whole.add(Tally.read(one["tally"]))
        return Progress(sum(one["live"] for one in found), whole)

    async def leave(self, count: int) -> None:
        """Let some of each process leave."""
        parts = len(self._workers)
        await self.all("leave", lambda part: {"count": count // parts + (part < count % parts)})

    async def storm(self) -> None:
        """Break all."""
        await self.all("storm")

    async def behind(self, heads: Sequence[Head]) -> int:
        """Count those that lack events."""
        return sum(await self.all("behind", lambda part: {"heads": list(map(asdict, heads))}))

    async def finish(self, heads: Sequence[Head]) -> tuple[Tally, list[SelfWatch]]:
        """Settle the accounts."""
        whole, watches = Tally(), []
        for one in await self.all("finish", lambda part: {"heads": list(map(asdict, heads))}):
            whole.add(Tally.read(one["tally"]))
            watches.append(SelfWatch(lag=Histogram.read(one["lag"]), busy=one["busy"]))
        return whole, watches

    async def all(self, what: str, given: Callable[[int], dict[str, Any]] = lambda part: {}) -> list[Any]:
        """Ask all workers at once; return their answers, in their order."""
        answers: dict[int, Any] = {}

        async def ask(part: int, worker: Worker) -> None:
            answers[part] = await worker.ask(what, **given(part))

        async with trio.open_nursery() as nursery:
            for part, worker in enumerate(self._workers):
                nursery.start_soon(ask, part, worker)
        return [answers[part] for part in range(len(self._workers))]


@asynccontextmanager
async def remote_readers(
    workers: Sequence[Worker], run: str, heads: Sequence[Head]
) -> AsyncIterator[RemoteReaders]:
    """Let the workers connect their watchers."""
    readers = RemoteReaders(workers)
    await readers.all("begin", lambda part: {"run": run, "heads": list(map(asdict, heads))})
    yield readers
