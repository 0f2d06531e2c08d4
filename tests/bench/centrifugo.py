"""Centrifugo's JSON protocol: several messages, one a line, in a frame; the server decides how many."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.bench.wire import DeliveryError, Speech, event, masked, text_frame

CHANNEL = "bench"
_BEFORE_PUBLISHES = 10
"""Ids below this are those of the greeting."""
_CONNECT = '{"id":1,"connect":{}}'
_SUBSCRIBE = f'{{"id":2,"subscribe":{{"channel":"{CHANNEL}"}}}}'


class Lines:
    """The lines in a watcher's frames, each with its end of line, whatever frames they came in."""

    def __init__(self) -> None:
        self._data = bytearray()

    def take(self, piece: bytes | memoryview) -> bytes:
        """Take bytes of the connection; return the lines of the frames that are whole by now."""
        data, at, found = self._data, 0, []
        data += piece
        while (ends := text_frame(data, at))[1]:
            found.append(bytes(data[ends[0] : ends[1]]).strip(b"\n"))
            at = ends[1]
        del data[:at]
        return b"".join(one + b"\n" for one in found)


class Centrifugo(Speech):
    """The bidirectional protocol: a watcher connects and subscribes, a producer connects and publishes."""

    watch = push = "/connection/websocket"
    hello = masked(f"{_CONNECT}\n{_SUBSCRIBE}")
    greeting = 2
    push_hello = masked(_CONNECT)
    push_greeting = 1

    def unframed(self) -> Lines:
        """Watchers get the same lines, each in frames of its own."""
        return Lines()

    def greeting_end(self, data: bytearray, at: int, messages: int) -> int:
        """Count lines instead of frames."""
        while messages > 0:
            begin, end = text_frame(data, at)
            if not end:
                return 0
            lines = bytes(data[begin:end]).strip(b"\n").split(b"\n")
            if any(b'"error"' in line for line in lines):
                raise DeliveryError(f"greeted with {lines!r}")
            messages -= len(lines)
            at = end
        return at

    def message(self, data: bytearray, at: int) -> tuple[int, int]:
        """Find a line."""
        end = data.find(b"\n", at)
        return (at, end + 1) if end >= 0 else (0, 0)

    def publish(self, number: int) -> bytes:
        """A command with an id of its own."""
        return masked(self.publish_text(number, event(number)))

    def publish_text(self, number: int, event: str) -> str:
        """The same, of any event."""
        id_ = number + _BEFORE_PUBLISHES
        return f'{{"id":{id_},"publish":{{"channel":"{CHANNEL}","data":{event}}}}}'

    def number(self, payload: bytes) -> int:
        """Of a publication."""
        return int(json.loads(payload)["push"]["pub"]["data"]["data"]["n"])

    def answers(self, payload: bytes) -> Iterator[bytes]:
        """Several replies may share a frame."""
        yield from payload.strip(b"\n").split(b"\n")

    def acked(self, payload: bytes, wanted: int) -> int:
        """Of a reply, which has the command's id."""
        reply = json.loads(payload)
        if "publish" not in reply:
            raise DeliveryError(f"publish {wanted} was answered {payload[:300]!r}")
        return int(reply["id"]) - _BEFORE_PUBLISHES
