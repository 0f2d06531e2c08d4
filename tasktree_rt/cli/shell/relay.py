"""Pass a command's output on to our own, byte for byte, until the command has ended."""

from __future__ import annotations

import os
import selectors
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from tasktree_rt.cli.shell.child import Child, Output

CHUNK: Final = 64 * 1024
LINGER: Final = 2.0
"""Seconds that output may still come after the command's end: from what it left running in the background."""

Seen = Callable[[str, bytes], None]
"""Is handed each piece of output after it was passed on: the stream's name, the bytes."""


def relay(child: Child, seen: Seen) -> None:
    """Pass on output, and a terminal's input, until the command and its output ended, or `LINGER` is over.

    The command's process is not waited for: `Child.wait` then returns at once.
    """
    with selectors.DefaultSelector() as selector, _raw(child.interactive):
        _Relay(child, seen, selector).run()


@contextmanager
def _raw(interactive: bool) -> Iterator[None]:
    """Let our terminal hand every key on: the command's own terminal edits lines and sends signals."""
    if not interactive:
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


class _Relay:
    def __init__(self, child: Child, seen: Seen, selector: selectors.BaseSelector) -> None:
        self._child = child
        self._seen = seen
        self._selector = selector
        self._open = {output.source: output for output in child.outputs}
        self._deadline: float | None = None
        self._typed = b""

    def run(self) -> None:
        for source in self._open:
            self._selector.register(source, selectors.EVENT_READ)
        self._selector.register(self._child.pidfd, selectors.EVENT_READ)
        if self._child.interactive and self._child.terminal is not None:
            os.set_blocking(self._child.terminal, False)
            self._selector.register(0, selectors.EVENT_READ)
        while self._open or self._deadline is None:
            left = None if self._deadline is None else self._deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            for key, events in self._selector.select(left):
                self._ready(key.fd, events)

    def _ready(self, number: int, events: int) -> None:
        if number == self._child.pidfd:
            self._deadline = time.monotonic() + LINGER
            self._selector.unregister(number)
        elif number == 0 and number not in self._open:
            self._read_keys()
        else:
            if events & selectors.EVENT_WRITE:
                self._type()
            if events & selectors.EVENT_READ and number in self._open:
                self._pass_on(self._open[number])

    def _pass_on(self, output: Output) -> None:
        try:
            data = os.read(output.source, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a terminal that nobody has open any more
            data = b""
        if data and _write_all(output.target, data):
            self._seen(output.stream, data)
            return
        # The end, or nobody reads ours: the command finds out by its next write.
        del self._open[output.source]
        self._selector.unregister(output.source)
        os.close(output.source)
        if output.source == self._child.terminal:
            self._child.terminal = None
            self._stop_keys()

    def _read_keys(self) -> None:
        try:
            self._typed = os.read(0, CHUNK)
        except OSError:
            self._typed = b""
        if self._typed:
            self._type()
        else:
            self._stop_keys()

    def _type(self) -> None:
        """Hand on what was typed; while the command does not take it, read no more."""
        terminal = self._child.terminal
        if terminal is None:
            return
        try:
            self._typed = self._typed[os.write(terminal, self._typed) :]
        except BlockingIOError:
            pass
        except OSError:
            self._typed = b""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._typed else 0)
        self._selector.modify(terminal, wanted)
        self._listen_to_keys(not self._typed)

    def _listen_to_keys(self, wanted: bool) -> None:
        listening = 0 in self._selector.get_map()
        if wanted and not listening:
            self._selector.register(0, selectors.EVENT_READ)
        elif listening and not wanted:
            self._selector.unregister(0)

    def _stop_keys(self) -> None:
        if self._child.interactive:
            self._listen_to_keys(False)


def _write_all(target: int, data: bytes) -> bool:
    """Write to one of our own outputs; return False where nobody reads it any more."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(target, rest) :]
        except BlockingIOError:  # somebody else who has it made it so
            _wait_until_writable(target)
        except OSError:
            return False
    return True


def _wait_until_writable(target: int) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(target, selectors.EVENT_WRITE)
        selector.select()
