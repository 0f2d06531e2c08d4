"""The work on one file: its SHA-256, and for Python source whether it compiles.

Synchronous, for a worker thread. The outcome is a value for every file, never an exception.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from attrs import frozen

from tasktree_rt.cli.demo.compiling import compile_elsewhere, compile_fault
from tasktree_rt.cli.demo.walk import reason
from tasktree_rt.cli.safe_text import printable

CHUNK: Final = 1024 * 1024
LARGEST_HERE: Final = 64 * 1024
"""Maximum size of a source to compile in this process. The compiler holds the interpreter while it works,
and the hub that is to be shown lives in this one."""


@frozen
class Done:
    """The file was read whole.

    Attributes:
        size: bytes hashed.
        fault: why the work failed (the source does not compile).
        trace: the compiler's text, several lines.
    """

    size: int
    sha256: str
    fault: str | None = None
    trace: str | None = None


@frozen
class Unreadable:
    """The file could not be read."""

    fault: str


@frozen
class Vanished:
    """The file does not exist any more."""


Outcome = Done | Unreadable | Vanished


def examine(path: bytes, checkpoint: Callable[[], object] = lambda: None) -> Outcome:
    """Do the work on the file at `path`.

    `checkpoint` is called before every chunk; an exception it raises ends the work and passes through.
    Reads the file as it was when opened: it does not follow a growing file.
    """
    try:
        return _examine(path, checkpoint)
    except FileNotFoundError:
        # A dangling link still exists, and so does an unreachable name.
        return Unreadable("a link to nothing") if os.path.islink(path) else Vanished()
    except OSError as error:
        return Unreadable(reason(error))


def _examine(path: bytes, checkpoint: Callable[[], object]) -> Outcome:
    # O_NONBLOCK: the entry may be a pipe by now, and opening must not block.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return Unreadable("no longer a file: not read")
        is_python = path.endswith(b".py")
        keep = is_python and status.st_size <= LARGEST_HERE
        digest, size, source = hashlib.sha256(), 0, bytearray()
        for chunk in _chunks(handle, status.st_size, checkpoint):
            digest.update(chunk)
            size += len(chunk)
            if keep:
                source += chunk
        fault = compile_fault(bytes(source)) if keep else compile_elsewhere(handle) if is_python else None
        return _done(size, digest.hexdigest(), fault)
    finally:
        os.close(handle)


def _done(size: int, sha256: str, fault: str | None) -> Done:
    if fault is None:
        return Done(size, sha256)
    told, _, trace = fault.partition("\n")
    lines = [printable(line) for line in trace.splitlines()]
    return Done(size, sha256, printable(told), "\n".join(lines) or None)


def _chunks(handle: int, most: int, checkpoint: Callable[[], object]) -> Iterator[bytes]:
    left = most
    while left > 0:
        checkpoint()
        chunk = os.read(handle, min(CHUNK, left))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk
