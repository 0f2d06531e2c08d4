"""What concerns the process as a whole: its end, for which there is one budget, and its forked children.

- At the end of the interpreter every sender ends at the same time, so that the longest of their timeouts is
  the budget of all. A child of `multiprocessing` skips `atexit` and runs finalizers of its own instead.
- A forked child has none of the parent's threads, and locks may be held in it for ever. Each sender begins
  anew there; what waited is the parent's to send.
- `os._exit` runs nothing: before it, flush.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

EXIT = 2.0
"""Seconds that the end of a program or of a run may wait for the hub, by default, altogether."""
GRACE = 0.5
"""Seconds of them, at most, that a request on its way is waited for after everything else was given up."""


class Member(Protocol):
    """Something that sends in the background."""

    @property
    def exit_timeout(self) -> float:
        """Seconds that it may take at the end of the process."""

    def hurry(self, deadline: float) -> None:
        """Begin to end: send what waits without a pause, until `deadline` of `time.monotonic`."""

    def finish(self) -> None:
        """Wait for that, give the rest up, and say what was lost."""

    def after_fork(self) -> None:
        """Begin anew: this is a forked child, with no thread but the one that runs this."""


_members: tuple[weakref.ref[Member], ...] = ()
_lock = threading.RLock()
_hooked = False
"""Whether this process calls `finish_all` at its end."""


def add(member: Member) -> None:
    """Look after a member from now on, as long as it lives."""
    global _members  # noqa: PLW0603 - the process is one
    with _lock:
        # A new tuple each time: who reads it needs no lock, which in a forked child may be held for ever.
        _members = (*(one for one in _members if one() is not None), weakref.ref(member))


def hook() -> None:
    """See to it that `finish_all` is called at the end of this process: it has something to send."""
    global _hooked
    with _lock:
        hooked, _hooked = _hooked, True
    if not hooked:
        atexit.register(finish_all)
        _finalize_in_multiprocessing()


def _finalize_in_multiprocessing() -> None:
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        with suppress(Exception):  # of another shape than expected: then atexit alone has to do
            util.Finalize(None, finish_all, exitpriority=100)


def finish_all() -> None:
    """End all members, within the longest of their timeouts."""
    finish(_alive())


def finish(members: Iterable[Member]) -> None:
    """End these members, all at the same time."""
    several, now = list(members), time.monotonic()
    for one in several:
        with suppress(Exception):
            one.hurry(now + one.exit_timeout)
    for one in several:
        with suppress(Exception):
            one.finish()


def tell_lost(count: int, of: str, hub: str, why: str | None) -> None:
    """Say on standard error that events were lost; a program's logging may be gone by now."""
    if count <= 0 or sys.stderr is None:
        return
    events = "1 event" if count == 1 else f"{count} events"
    reason = why or "there was no time left"
    with suppress(Exception):
        sys.stderr.write(f"tasktree_rt: {events} of {of} did not get to the hub at {hub}: {reason}\n")


def _alive() -> list[Member]:
    return [found for one in _members if (found := one()) is not None]


def _after_fork() -> None:
    global _lock, _hooked  # noqa: PLW0603
    _lock = threading.RLock()
    # A child of multiprocessing forgets the finalizers that it inherits: the first event hooks it again.
    _hooked = False
    for one in _alive():
        one.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
