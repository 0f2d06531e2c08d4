"""How a node's block ended: completed, failed or cancelled, and what a failure says."""

from __future__ import annotations

import asyncio
from typing import Final

import trio

from tasktree_rt.client.run.event_buffer import clean

MAX_MESSAGE: Final = 2_000
"""Characters of a failed node's message, and of a title made of a function's arguments."""
BROKEN_OFF: Final = (
    trio.Cancelled,
    asyncio.CancelledError,
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
)
"""What ends a node as cancelled, not as failed."""
ENDED: Final = frozenset({"completed", "failed", "cancelled"})


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception, or all exceptions of a group, break the work off; nothing failed then."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_cancellation, error.exceptions))
    return isinstance(error, BROKEN_OFF)


def last_line(error: BaseException) -> str:
    """The last line of the traceback: the exception and what it says; of a group, its only failure's."""
    while isinstance(error, BaseExceptionGroup):
        failures = [one for one in error.exceptions if not is_cancellation(one)]
        if len(failures) != 1:
            break
        error = failures[0]
    kind = type(error)
    home = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    try:
        said = str(error)
    except Exception:  # an exception's own fault must not take the place of it
        said = "(its text cannot be made)"
    first, *rest = said.splitlines() or [""]
    line = f"{home}{kind.__qualname__}: {first}" if first else f"{home}{kind.__qualname__}"
    return cut(f"{line} …" if rest else line)


def cut(text: str) -> str:
    """Clean a text made of the program's own values, and cut it to `MAX_MESSAGE` characters."""
    return clean(text)[:MAX_MESSAGE]
