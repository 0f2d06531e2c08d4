"""SIGTERM and SIGINT: the first asks to stop, the second ends the process at once, with `FORCED`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import trio

FORCED: Final = 1
"""Exit code after a second signal."""
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping(shutdown: trio.Event) -> Iterator[None]:
    """Inside the block the first signal sets `shutdown`; the second ends the process at once.

    It uses its own handler, not `trio.open_signal_receiver`: the second signal must work even while the
    event loop is stuck.
    """
    token = trio.lowlevel.current_trio_token()
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _leave()
        asked = True
        token.run_sync_soon(shutdown.set)

    before = [signal.signal(one, handle) for one in SIGNALS]
    try:
        yield
    finally:
        for one, handler in zip(SIGNALS, before, strict=True):
            signal.signal(one, handler)


def _leave() -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # a progress bar hides the cursor
    os._exit(FORCED)
