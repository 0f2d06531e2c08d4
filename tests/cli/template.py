"""The process that `tests.cli.forking` forks: it imports every command once, and becomes each child."""

from __future__ import annotations

import gc
import os
import pickle
import pkgutil
import random
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

LENGTH = 4
"""Bytes of each number on a channel."""


def exactly(channel: socket.socket, count: int) -> bytes:
    """Read so many bytes, or raise `EOFError`."""
    data = b""
    while len(data) < count:
        chunk = channel.recv(count - len(data))
        if not chunk:
            raise EOFError("the other end of the channel was closed")
        data += chunk
    return data


def main(control: int) -> None:
    """Import all commands, fork for each request on this socket, and end with it."""
    _import_all()
    # What is seeded by an import would give all children the same choices.
    generators = [one for one in gc.get_objects() if isinstance(one, random.Random)]
    gc.freeze()
    request = _serve(socket.socket(fileno=control))
    if request is None:
        return
    for one in generators:
        one.seed()
    code, arguments, folder, environment = request
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - as `python -c` does


def _import_all() -> None:
    from tasktree_rt import cli

    for module in pkgutil.walk_packages(cli.__path__, f"{cli.__name__}."):
        import_module(module.name)


_Request = tuple[str, Sequence[str], str, dict[str, str]]


def _serve(control: socket.socket) -> _Request | None:
    """Fork for each request: the request in a child, None in the template when `control` is closed."""
    children = dict[int, socket.socket]()
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is for the tests, and for the children
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(1024)
            _report_ended(children)
        if control not in ready:
            continue
        data, files, _, _ = socket.recv_fds(control, 1, 4)
        if not data:
            for pid in children:  # left by a test that failed
                os.kill(pid, signal.SIGKILL)
            return None
        channel = socket.socket(fileno=files[0])
        pid = os.fork()
        if pid:
            children[pid] = channel
            for number in files[1:]:
                os.close(number)
            channel.sendall(pid.to_bytes(LENGTH, "little"))
            continue
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in (control, woken, wake, *children.values()):
            one.close()
        return _become(channel, files[1:])


def _become(channel: socket.socket, streams: Sequence[int]) -> _Request:
    """Take the standard streams and read the request."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with channel:
        length = int.from_bytes(exactly(channel, LENGTH), "little")
        request: _Request = pickle.loads(exactly(channel, length))  # noqa: S301 - of our own tests
    return request


def _report_ended(children: dict[int, socket.socket]) -> None:
    """Send the wait status of every child that ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with children.pop(pid) as channel, suppress(OSError):  # the test has given up on it
            channel.sendall(status.to_bytes(LENGTH, "little"))
