"""Handshakes, client frames, numbered events; and how each peer's language differs."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Protocol

from tasktree_rt.load.frames import frame_at

PAD = "x" * 96
NATIVE = "tasktree.v1"


class DeliveryError(Exception):
    """A watcher or producer did not get exactly what it should have."""


def event(number: int, project: str = "bench", pad: str = PAD, nodes: int = 1) -> str:
    """Event `number`, about 256 bytes on the wire with its position; it changes one of `nodes` nodes."""
    return (
        f'{{"type":"node_update","project_id":"{project}","data":{{"node_id":"n{number % nodes}",'
        f'"n":{number},"changes":{{"status":"running","message":"{pad}"}}}}}}'
    )


def masked(text: str) -> bytes:
    """A client's text frame, masked with a key of zeros."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 65_536:
        head = b"\x81\xfe" + size.to_bytes(2, "big")
    else:
        head = b"\x81\xff" + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


def publish(number: int, project: str = "bench", nodes: int = 1) -> bytes:
    """The client frame that publishes event `number`."""
    return masked(f'{{"type":"publish","id":{number},"events":[{event(number, project, nodes=nodes)}]}}')


def publish_many(number: int, events: list[str]) -> bytes:
    """The client frame that publishes several events at once."""
    return masked(f'{{"type":"publish","id":{number},"events":[{",".join(events)}]}}')


def handshake(port: int, path: str, subprotocol: str = "") -> bytes:
    """A request for a WebSocket."""
    asked = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{asked}\r\n"
    ).encode()


def frame_end(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where the payload of the frame at `at` begins and ends; (0, 0) while it is not whole."""
    return frame_at(data, at)


def text_frame(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """As `frame_end`, of a frame that must be a whole text message."""
    begin, end = frame_end(data, at)
    if end and data[at] != 0x81:
        raise DeliveryError(f"not a whole text frame: {data[at]:#x} {bytes(data[begin:end])[:80]!r}")
    return begin, end


def take_frames(data: bytearray) -> Iterator[bytes]:
    """Take the whole text frames out of the front of `data`."""
    at = 0
    try:
        while True:
            begin, end = text_frame(data, at)
            if not end:
                return
            at = end
            yield bytes(data[begin:end])
    finally:
        del data[:at]


def take_answers(data: bytearray) -> Iterator[bytes]:
    """Take the whole HTTP answers out of the front of `data`; each has a Content-Length."""
    while True:
        head, empty, rest = bytes(data).partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if not empty or len(rest) < size:
            return
        del data[: len(head) + len(empty) + size]
        yield head


def read_head(sock: socket.socket) -> bytearray:
    """Read the answer to a handshake; what came behind it."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise DeliveryError(f"no handshake: {bytes(data)!r}")
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise DeliveryError(f"no handshake: {bytes(head)!r}")
    return rest


class Unframed(Protocol):
    """Takes a watcher's bytes out of their frames."""

    def take(self, piece: bytes | memoryview) -> bytes:
        """Take bytes of the connection; return what is whole of its messages."""


class Speech:
    """The language of most peers: a JSON event a text frame, `publish` answered by `ack`."""

    watch = "/ws/updates"
    push = "/ws/orchestrator?producer_id=bench"
    hello = b""
    """What a client sends after the handshake."""
    greeting = 0
    """Messages that everybody gets for themselves before anything else."""
    push_hello: bytes | None = None
    push_greeting = 0
    """The same of a producer; without `push_hello` as of a watcher."""
    posts = False
    """Whether `publish` is an HTTP request, answered by any 2xx."""

    def unframed(self) -> Unframed | None:
        """Where watchers get the same messages in different frames: what takes one watcher's bytes out of
        them. None: all watchers get the same bytes.
        """
        return None

    def greeting_end(self, data: bytearray, at: int, messages: int) -> int:
        """Where `messages` messages that begin at `at` end; 0 while they are not whole."""
        for _ in range(messages):
            _, at = frame_end(data, at)
            if not at:
                return 0
        return at

    def message(self, data: bytearray, at: int) -> tuple[int, int]:
        """Where the payload of a watcher's message at `at` begins, and where the message ends; (0, 0) while
        it is not whole.
        """
        return text_frame(data, at)

    def answers(self, payload: bytes) -> Iterable[bytes]:
        """The answers in a frame that a producer got."""
        return (payload,)

    def publish(self, number: int) -> bytes:
        """The frame that publishes event `number`."""
        return publish(number)

    def publish_text(self, number: int, event: str) -> str:
        """The text that publishes `event` as number `number`."""
        return f'{{"type":"publish","id":{number},"events":[{event}]}}'

    def number(self, payload: bytes) -> int:
        """Which event a watcher got."""
        return int(json.loads(payload)["data"]["n"])

    def acked(self, payload: bytes, wanted: int) -> int:
        """Which publish is answered; `wanted` is the one whose turn it is."""
        answer = json.loads(payload)
        if answer["type"] != "ack":
            raise DeliveryError(f"publish {wanted} was answered {payload[:300]!r}")
        return int(answer["id"])


class SocketIo(Speech):
    """Engine.IO 4 over a WebSocket, and in it Socket.IO 5: event and acknowledgement packets."""

    watch = push = "/socket.io/?EIO=4&transport=websocket"
    hello = masked("40")
    greeting = 2

    def publish(self, number: int) -> bytes:
        """An event packet that asks to be acknowledged."""
        return masked(f'42{number}["publish",{event(number)}]')

    def number(self, payload: bytes) -> int:
        """Of a packet with the event as its argument."""
        if not payload.startswith(b"42"):
            raise DeliveryError(f"not an event packet: {payload[:80]!r}")
        return int(json.loads(payload[2:])[1]["data"]["n"])

    def acked(self, payload: bytes, wanted: int) -> int:
        """Of an acknowledgement packet."""
        found = re.match(rb"43(\d+)", payload)
        if found is None:
            raise DeliveryError(f"publish {wanted} was answered {payload[:300]!r}")
        return int(found[1])


class Nchan(Speech):
    """A publisher's text is the message; its answer tells how many are queued, not which it answers."""

    push = "/ws/orchestrator"

    def publish(self, number: int) -> bytes:
        """The event alone."""
        return masked(event(number))

    def acked(self, payload: bytes, wanted: int) -> int:
        """The next one."""
        if not payload.startswith(b"queued messages"):
            raise DeliveryError(f"publish {wanted} was answered {payload[:300]!r}")
        return wanted
