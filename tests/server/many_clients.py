"""Many plain sockets in a process of its own, for tests whose hub needs all descriptors of a process.

Commands come as lines of JSON on standard input, each is answered by a line: ``["connect", port, requests]``
makes a connection for each request, ``["read"]`` reads what has arrived at all of them.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
from typing import Any, Final

MARKS: Final = {
    "begun": b"subscribed",
    "ended": b"\x0f\xa3",
    "refused": b'"unauthorized"',
    "event": b'"completed"',
}
"""What is looked for in the bytes that came: the close code 4003 is ``ended``."""


def read(one: socket.socket) -> bytes:
    found = b""
    try:
        while piece := one.recv(65_536):
            found += piece
    except (BlockingIOError, ConnectionResetError):
        pass
    return found


def answer(command: list[Any], sockets: list[socket.socket]) -> Any:
    if command[0] == "connect":
        for request in command[2]:
            made = socket.create_connection(("127.0.0.1", command[1]))
            made.sendall(request.encode())
            made.setblocking(False)
            sockets.append(made)
        return len(sockets)
    came = {number: data for number, one in enumerate(sockets) if (data := read(one))}
    found = {name: [number for number, data in came.items() if mark in data] for name, mark in MARKS.items()}
    # The first heartbeats of many connections are spread over their interval, however long it is.
    return {"any": [number for number, data in came.items() if b'"heartbeat"' not in data], **found}


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets: list[socket.socket] = []
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line), sockets)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
