"""The readers of one process: one epoll, as little work for each delivery as can be.

A watcher that has the same bytes as the shared stream of its topic needs one read, one comparison of memory
and one addition. All others (a new frame, a heartbeat, a reconnect, a fault) take the way through `incoming`
and `judge`, message by message, and come back to the stream when they have caught up.

The engine runs inside Trio: Trio waits for the epoll's own descriptor, and `turn` takes what is ready.
"""

from __future__ import annotations

import os
import select
import ssl
from collections.abc import Callable
from typing import Final

from tasktree_rt.load import frames, incoming
from tasktree_rt.load.dialer import Dialer, Failed, send
from tasktree_rt.load.following import join_stream, leave_stream, trim
from tasktree_rt.load.judge import Judge
from tasktree_rt.load.languages.base import Event, Leaving, Live, Merged, Message, Refused, StatePart, Wrong
from tasktree_rt.load.shared_stream import SharedStream
from tasktree_rt.load.tally import CONNECT, DELIVERY, now_us
from tasktree_rt.load.watcher import Kind, Stage, Watcher

BATCH: Final = 128
"""Descriptors in a round; all deliveries of a round get its end as their time."""
BUFFER: Final = 1 << 18
GAP: Final = 4009
"""Close code with which a hub tells a plain watcher that its position is gone."""
MEMORY: Final = 256
"""Parsed messages that are kept, for the watchers that get the same bytes."""

Ended = Callable[[Watcher, str, float, bool], None]
"""Called with a watcher whose connection ended, the kind of end, the seconds that the server asks to wait,
and whether the watcher was live."""


class Engine:
    """All watchers of one process. `ended` is called for each that ended; `opened` for each that is live."""

    def __init__(self, dialer: Dialer, judge: Judge, ended: Ended, opened: Callable[[Watcher], None]) -> None:
        self.epoll = select.epoll()
        self._dialer = dialer
        self._judge = judge
        self._tally = judge.tally
        self._ended = ended
        self._opened = opened
        self._live: dict[int, Watcher] = {}
        self._others: dict[int, Watcher] = {}
        self._buffer = bytearray(BUFFER)
        self._buffers = [self._buffer]
        self._view = memoryview(self._buffer)
        self._parsed: dict[bytes, Message] = {}

    def close(self) -> None:
        """Close all connections and the epoll."""
        for watcher in [*self._live.values(), *self._others.values()]:
            assert watcher.sock is not None
            watcher.sock.close()
        self._live.clear()
        self._others.clear()
        self.epoll.close()

    # --- connecting

    def open(self, watcher: Watcher) -> None:
        """Begin to connect a watcher that is away."""
        try:
            wanted = self._dialer.begin(watcher)
        except Failed as error:
            self.end(watcher, str(error))
            return
        assert watcher.sock is not None
        self._others[watcher.sock.fileno()] = watcher
        self.epoll.register(watcher.sock, wanted)

    def end(self, watcher: Watcher, kind: str, after: float = 0.0) -> None:
        """Close a watcher's connection and report it."""
        leave_stream(watcher)
        if watcher.sock is not None:
            fd = watcher.sock.fileno()
            if self._live.pop(fd, None) or self._others.pop(fd, None):
                self.epoll.unregister(fd)
            watcher.sock.close()
        was_live = watcher.stage is Stage.LIVE
        watcher.sock, watcher.stage = None, Stage.AWAY
        watcher.rest.clear()
        watcher.body.clear()
        watcher.fragments = watcher.parts = None
        self._ended(watcher, kind, after, was_live)

    def _other(self, fd: int) -> None:
        """Go on with a connection that is not live, or that is not read at full speed."""
        watcher = self._others.get(fd)
        if watcher is None:
            return
        try:
            if watcher.stage in (Stage.CONNECTING, Stage.SECURING):
                wanted = self._dialer.proceed(watcher)
                self.epoll.modify(watcher.sock or fd, wanted)
            elif watcher.stage is Stage.LIVE:  # slow or stalled: only its end is reported
                self.end(watcher, "the server ended it")
            else:
                self._read(watcher)
        except Failed as error:
            self.end(watcher, str(error))

    def _begin(self, watcher: Watcher) -> None:
        """Note that the subscription is in effect."""
        assert watcher.sock is not None
        now = now_us()
        watcher.stage, watcher.live_since, watcher.failures = Stage.LIVE, now, 0
        self._tally.latencies[CONNECT].record(now - watcher.intended)
        self._tally.counts["connected"] += 1
        fd = watcher.sock.fileno()
        if watcher.kind in (Kind.SLOW, Kind.STALLED):
            self.epoll.modify(fd, 0)  # it still reports that the server ended the connection
        else:
            self._live[fd] = self._others.pop(fd)
        self._opened(watcher)

    # --- reading

    def turn(self) -> bool:
        """Take what is ready, one round; return whether there was anything."""
        ready = self.epoll.poll(0, BATCH)
        live, view, buffers, readv = self._live, self._view, self._buffers, os.readv
        stream: SharedStream | None = None
        begin = length = same = 0
        for fd, _ in ready:
            watcher = live.get(fd)
            if watcher is None:
                self._other(fd)
                continue
            if watcher.sock.__class__ is ssl.SSLSocket:
                self._read(watcher)
                continue
            try:
                size = readv(fd, buffers)
            except BlockingIOError:
                continue
            except OSError as error:
                self.end(watcher, error.strerror or "broken")
                continue
            at = watcher.at
            if at >= 0 and size and watcher.stream.data.startswith(view[:size], at):
                watcher.at = at + size
                if at == begin and size == length and watcher.stream is stream:
                    same += 1
                    continue
                if stream is not None:
                    self._count(stream, begin, length, same)
                stream, begin, length, same = watcher.stream, at, size, 1
                continue
            self._take(watcher, size)
        if stream is not None:
            self._count(stream, begin, length, same)
        return bool(ready)

    def _count(self, stream: SharedStream, begin: int, length: int, watchers: int) -> None:
        """Count the events that end in a stretch of the stream, for so many watchers."""
        first, last = stream.before(begin), stream.before(begin + length)
        if first == last:
            return
        self._tally.counts["delivered"] += (last - first) * watchers
        now, record = now_us(), self._tally.latencies[DELIVERY].record
        for due in stream.dues[first:last]:
            if due:
                record(now - due, watchers)

    def read_some(self, watcher: Watcher, most: int) -> int:
        """Let a slow reader read at most so many bytes; return how many it got."""
        assert watcher.sock is not None
        try:
            size = watcher.sock.recv_into(self._view[: min(most, BUFFER)])
        except (BlockingIOError, ssl.SSLWantReadError):
            return 0
        except OSError as error:
            self.end(watcher, error.strerror or "broken")
            return 0
        self._take(watcher, size)
        return size

    def _read(self, watcher: Watcher) -> None:
        """Read all that is there, as TLS needs it: what its layer holds does not make the socket ready."""
        while watcher.sock is not None:
            try:
                size = watcher.sock.recv_into(self._view)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError as error:
                self.end(watcher, error.strerror or "broken")
                return
            self._take(watcher, size)

    def _take(self, watcher: Watcher, size: int) -> None:
        """Take `size` bytes of the buffer the long way."""
        if not size:
            self.end(watcher, "the server ended it")
            return
        leave_stream(watcher)
        watcher.rest += self._view[:size]
        try:
            if watcher.stage is Stage.ASKED and not self._answered(watcher):
                return
            self._messages(watcher)
        except (Failed, ValueError) as error:
            self.end(watcher, str(error))
            return
        if watcher.sock is not None and watcher.stage is Stage.LIVE:
            join_stream(watcher)

    def _answered(self, watcher: Watcher) -> bool:
        if self._dialer.answered(watcher) is None:
            return False
        watcher.stage = Stage.GREETING
        if not watcher.topic.language.traits.greets:
            self._begin(watcher)
        return True

    def _messages(self, watcher: Watcher) -> None:
        split = incoming.stream if watcher.topic.language.traits.streams else incoming.websocket
        for opcode, payload, frame in split(watcher):
            if opcode <= frames.BINARY:
                self._message(watcher, payload, frame)
            elif opcode == frames.PING and watcher.kind is not Kind.HALF_OPEN:
                send(watcher, frames.client_frame(payload, frames.PONG))
            elif opcode == frames.CLOSE:
                code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                if code == GAP:
                    self._judge.gap(watcher)
                raise Failed(
                    f"closed with {code}" if not watcher.topic.language.traits.streams else "the stream ended"
                )
            if watcher.sock is None:
                return

    def _read_message(self, watcher: Watcher, payload: bytes) -> Message:
        message = self._parsed.get(payload)
        if message is None:
            message = watcher.topic.language.read(payload)
            if len(self._parsed) >= MEMORY:
                self._parsed.clear()
            self._parsed[payload] = message
        return message

    def _message(self, watcher: Watcher, payload: bytes, frame: bytes) -> None:
        match message := self._read_message(watcher, payload):
            case Event():
                self._judge.event(watcher, message, frame)
            case Live():
                self._greeted(watcher, message)
            case Merged():
                self._judge.merged(watcher, message)
            case StatePart():
                if self._judge.state(watcher, message) and watcher.stage is Stage.GREETING:
                    self._begin(watcher)
            case Wrong():
                self._judge.wrong(watcher, message.message)
            case Leaving():
                self.end(watcher, "the server drains", message.after)
            case Refused():
                self.end(watcher, message.message)
            case _:
                self._tally.counts["other_messages"] += 1

    def _greeted(self, watcher: Watcher, message: Live) -> None:
        if message.epoch and message.epoch != watcher.topic.epoch:
            self._judge.wrong(watcher, f"a new epoch began: {message.epoch}")
        if watcher.stage is Stage.GREETING:
            self._begin(watcher)

    def trim(self, stream: SharedStream) -> None:
        """Drop the older half of a stream that has become long."""
        if stream.long:
            trim(stream, self._live.values())
