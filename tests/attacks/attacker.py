"""What an attacker has: raw sockets to the hub, tokens, and floods that go on while the hub is looked at."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from attrs import frozen

from tests.attacks.arena import BUSY_TURNS, SECONDS, Arena
from tests.rawws import RawSocket
from tests.wsclient import CLOSE, TEXT, Frame, masked, request_head

Headers = Iterable[tuple[str, str]]
NATIVE: Final = ("Sec-WebSocket-Protocol", "tasktree.v1")
OWN: Final = "mallory-1"
"""A project that the attacker is granted."""
SUBJECT: Final = "mallory"
WAIT: Final = 30.0
"""Seconds until a test gives up on the hub's next bytes."""
SOURCE: Final = "127.0.0.66"
"""The attacker's address."""


def unhidden(data: bytes) -> bytes:
    """A text frame whose mask is zero: quick to make, and as valid as any."""
    size = bytes((0xFE, *len(data).to_bytes(2, "big"))) if len(data) > 125 else bytes((0x80 | len(data),))
    return bytes((0x80 | TEXT,)) + size + bytes(4) + data


@frozen
class Answer:
    """An HTTP response.

    Attributes:
        ended: whether the hub then closed the connection.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    ended: bool

    @property
    def text(self) -> str:
        """The body, as text."""
        return self.body.decode()

    @property
    def problem(self) -> dict[str, Any]:
        """The body of an error."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def refused(self, status: int, *words: str, code: str | None = None) -> None:
        """Check that it is this refusal, with these words in it."""
        assert self.status == status, (self.status, self.body)
        for word in words:
            assert word in self.text, (word, self.text)
        if code is not None:
            assert self.problem["code"] == code, self.problem


class Raw(RawSocket):
    """A raw connection of the attacker."""

    def __init__(self, port: int, source: str = SOURCE, *, receive_buffer: int | None = None) -> None:
        self._port = port
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.bind((source, 0))
        self._socket.settimeout(WAIT)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = b""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def whole_answer(self) -> Answer:
        """An HTTP response with its body, by its length or up to the end of the connection."""
        status, headers = self.answer()
        length = headers.get("content-length")
        if length is not None:
            body = self._exactly(int(length))
        elif headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self._line(), 16):
                body += self._exactly(size)
                self._exactly(2)
            self._exactly(2)
        else:
            body = self.rest()
        return Answer(status, headers, body, headers.get("connection") == "close")

    def _line(self) -> bytes:
        while b"\r\n" not in self._data:
            assert self._more()
        line, _, self._data = self._data.partition(b"\r\n")
        return line

    def ended(self) -> bytes:
        """Everything up to the end of the connection, an RST included."""
        with suppress(ConnectionError):
            return self.rest()
        return self._data

    def closed(self, code: int) -> str:
        """Read on until the hub's close frame, which must have this code; its reason."""
        frame = self.until_close()
        assert frame.code == code, (frame.code, frame.reason)
        return frame.reason

    def until_close(self) -> Frame:
        """The next close frame."""
        while (frame := self.recv()).opcode != CLOSE:
            pass
        return frame

    def say(self, message: object) -> None:
        """Send one message in JSON."""
        self.send(masked(TEXT, json.dumps(message).encode()))

    def ask(self, message: Mapping[str, Any]) -> Any:
        """Send a request; the answer with its id."""
        self.say(message)
        while (heard := self.hear()).get("id") != message.get("id") or heard["type"] == "event":
            pass
        return heard

    def flood(self, data: bytes, begun: threading.Event, stop: threading.Event) -> None:
        """Send `data` over and over until the hub ends the connection, or `stop`; sets `begun` once all of it
        is sent, or the hub takes no more."""
        self._socket.settimeout(0.05)
        view = memoryview(data)
        with suppress(OSError):
            while not stop.is_set():
                try:
                    view = view[self._socket.send(view) :]
                except TimeoutError:
                    begun.set()
                if not view:
                    begun.set()
                    view = memoryview(data)
        begun.set()


class Attacker:
    """See the module's docstring."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self._before = arena.held().counts["tasks"]
        self.token = self.granted() if arena.asks_tokens else ""
        self._sockets: list[Raw] = []

    def granted(self, *, claims: dict[str, Any] | None = None, **others: Any) -> str:
        """The attacker's own token: projects of its own prefix, and nothing else."""
        mine = {key: ["mallory-*"] for key in ("watch", "push", "answer", "command")}
        return self.arena.token(SUBJECT, claims=claims, **mine | others)

    def close(self) -> None:
        """Close every socket of the attack."""
        for one in self._sockets:
            one.close()

    def socket(self, source: str = SOURCE, *, receive_buffer: int | None = None) -> Raw:
        """A connection that has said nothing yet."""
        found = Raw(self.arena.port, source, receive_buffer=receive_buffer)
        self._sockets.append(found)
        return found

    def raw(self, data: bytes) -> Answer:
        """Send bytes on a connection of their own; the answer."""
        one = self.socket()
        one.send(data.replace(b"HOST", self.host.encode()))
        return one.whole_answer()

    @property
    def host(self) -> str:
        """The hub's host and port."""
        return f"127.0.0.1:{self.arena.port}"

    def http(
        self,
        method: str,
        path: str,
        headers: Headers = (),
        body: bytes | object = b"",
        *,
        token: str | None = None,
        on: Raw | None = None,
    ) -> Answer:
        """Send one request, with the attacker's token unless another is given; the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = self.token if token is None else token
        given = dict(headers)
        lines = [("Host", self.host)] * ("Host" not in given) + list(headers)
        if shown and "Authorization" not in given:
            lines.append(("Authorization", f"Bearer {shown}"))
        if data:
            lines.append(("Content-Length", str(len(data))))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        one = on or self.socket()
        one.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + data)
        return one.whole_answer()

    def asks(self, one: Raw, path: str) -> None:
        """Send a GET with the attacker's token, and read nothing."""
        head = f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}\r\n\r\n"
        one.send(head.encode())

    def publish(self, project: str, *events: object, **options: Any) -> Answer:
        """Publish over HTTP; the answer."""
        return self.http("POST", f"/api/v1/projects/{project}/events", body=list(events), **options)

    def websocket(
        self,
        path: str = "/ws/updates?project_id=mallory-1",
        headers: Headers = (NATIVE,),
        *,
        token: str | None = None,
        source: str = SOURCE,
        receive_buffer: int | None = None,
        then: bytes = b"",
    ) -> Raw:
        """An open WebSocket, with the attacker's token unless another is given."""
        one = self.socket(source, receive_buffer=receive_buffer)
        shown = self.token if token is None else token
        given = [*headers, *([("Authorization", f"Bearer {shown}")] if shown else [])]
        one.shake_hands(path, given, then=then)
        return one

    def watcher(self, **options: Any) -> Raw:
        """A native watcher of the attacker's own project, which has heard its greeting."""
        one = self.websocket(**options)
        assert one.hear()["type"] == "welcome"
        assert one.hear()["type"] == "subscribed"
        return one

    def producer(self, **options: Any) -> Raw:
        """A producer of the attacker's, under a new id: the ids of its publishes are its own."""
        return self.websocket(f"/ws/orchestrator?producer_id={secrets.token_hex(8)}", (), **options)

    def handshake(
        self, path: str, headers: Headers, *, host: str | None = None, without: Iterable[str] = ()
    ) -> Answer:
        """Ask for a WebSocket; the answer, whatever it is."""
        one = self.socket()
        given = [*headers, *([("Authorization", f"Bearer {self.token}")] if self.token else [])]
        one.send(request_head(path, given, host=host or self.host, without=without))
        status, found = one.answer()
        body = b"" if status == 101 else one._exactly(int(found.get("content-length", 0)))
        return Answer(status, found, body, found.get("connection") == "close")

    def later(self, timeouts: float = 1.5) -> None:
        """Let so many times the hub's timeouts pass."""
        self.arena.jump(timeouts * SECONDS)

    def outlasted(self, *, at_most: int = 0) -> None:
        """Check that the hub ends all connections of the attack but `at_most`; they stay open here."""
        for _ in range(20):
            if self.arena.held().counts["tasks"] <= self._before + at_most:
                return
            self.later()
        raise AssertionError(self.arena.held())

    @contextmanager
    def flooding(self, one: Raw, data: bytes) -> Iterator[None]:
        """Send `data` over and over while the block lasts, and check deliveries meanwhile."""
        begun, stop = threading.Event(), threading.Event()
        thread = threading.Thread(target=one.flood, args=(data, begun, stop))
        thread.start()
        try:
            assert begun.wait(WAIT)
            self.arena.deliver(most=BUSY_TURNS)
            yield
            self.arena.deliver(most=BUSY_TURNS)
        finally:
            stop.set()
            thread.join()
            with suppress(OSError):
                one._socket.settimeout(WAIT)
