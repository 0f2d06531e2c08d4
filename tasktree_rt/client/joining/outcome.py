"""How a node's block ended: completed, failed or cancelled, and what a failure says."""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from typing import Final

from tasktree_rt.client.joining.plain_json import clean

MAX_MESSAGE: Final = 2_000
"""Characters of a failed node's message, and of a title made of a function's arguments."""
ENDED: Final = frozenset({"completed", "failed", "cancelled", "skipped"})
WAITING: Final = "review"
"""The status of a node that was left without an end; entered again it goes on with the same attempt."""
_BROKEN_OFF: Final = (KeyboardInterrupt, GeneratorExit)
_FOREIGN: Final = (("trio", "Cancelled"), ("asyncio", "CancelledError"))
_TOLD: Final = "__tasktree_told__"


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception, or all exceptions of a group, break the work off; nothing failed then."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_cancellation, error.exceptions))
    return isinstance(error, _BROKEN_OFF) or _is_foreign(error)


def _is_foreign(error: BaseException) -> bool:
    """Whether Trio or asyncio cancels; neither is imported for it."""
    for module, name in _FOREIGN:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return True
    return False


def is_success(error: BaseException | None) -> bool:
    """Whether a block that ended so did what it should: ``sys.exit(0)`` is how many programs end."""
    return error is None or (isinstance(error, SystemExit) and error.code in (None, 0, False))


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
    return short_text(f"{line} …" if rest else line)


def new_traceback(error: BaseException) -> str | None:
    """The traceback as text; None if this exception was told before, at a node further in, or is an exit."""
    if isinstance(error, SystemExit) or getattr(error, _TOLD, False):
        return None
    with suppress(Exception):  # one with slots and no room for the mark is told at every level
        setattr(error, _TOLD, True)
    try:
        return "".join(traceback.format_exception(error)).rstrip()
    except Exception:
        return last_line(error)


def short_text(text: str) -> str:
    """Clean a text made of the program's own values, and cut it to `MAX_MESSAGE` characters."""
    return clean(text)[:MAX_MESSAGE]
