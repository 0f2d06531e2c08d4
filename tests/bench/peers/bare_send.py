"""The floor: a selector loop that does ``socket.send`` of one finished frame to each watcher, and no more."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import selectors
import socket

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(listener: socket.socket) -> tuple[socket.socket, bool]:
    """Shake hands; whether it is the producer."""
    sock, _ = listener.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    found = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
    assert found is not None
    token = base64.b64encode(hashlib.sha1(found[1] + GUID, usedforsecurity=False).digest())
    sock.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock, b"/ws/orchestrator" in head.split(b"\r\n", 1)[0]


def frame(payload: bytes) -> bytes:
    """An unmasked text frame."""
    size = len(payload)
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + payload


def messages(data: bytearray) -> list[bytes]:
    """Take the whole frames (masked with zeros, under 64 KiB) out of `data`."""
    found = []
    while len(data) >= 8:
        size, head = data[1] & 0x7F, 6
        if size == 126:
            size, head = int.from_bytes(data[2:4], "big"), 8
        if len(data) < head + size:
            break
        found.append(bytes(data[head : head + size]))
        del data[: head + size]
    return found


def main() -> None:
    """Serve on a free port and say which."""
    watchers: list[socket.socket] = []
    selector = selectors.DefaultSelector()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print("ready", listener.getsockname()[1], flush=True)
        selector.register(listener, selectors.EVENT_READ)
        data = bytearray()
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    sock, producer = accept(listener)
                    if producer:
                        selector.register(sock, selectors.EVENT_READ)
                    else:
                        watchers.append(sock)
                    continue
                producer_sock = key.fileobj
                assert isinstance(producer_sock, socket.socket)
                piece = producer_sock.recv(65536)
                if not piece:
                    selector.unregister(producer_sock)
                data += piece
                for message in messages(data):
                    request = json.loads(message)
                    for event in request["events"]:
                        finished = frame(json.dumps(event).encode())
                        for watcher in watchers:
                            watcher.send(finished)
                    answer = json.dumps({"type": "ack", "id": request["id"]}).encode()
                    producer_sock.send(frame(answer))


main()
