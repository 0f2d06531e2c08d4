"""The thread that writes: it stays, so that a commit costs two wake-ups and no more.

Trio's own threads are lent out for one call each: naming it, its limiter and its copied context cost about as
much as the commit of one event itself.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar, cast

import trio
from outcome import Outcome, capture

T = TypeVar("T")
_Job = tuple[Callable[[], Any], trio.lowlevel.Task, trio.lowlevel.TrioToken]


class Worker:
    """Calls what blocks in a thread of its own, in the order of asking. Usable as a `broker.Run`."""

    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def __call__(self, call: Callable[[], T], /, *, limiter: trio.CapacityLimiter) -> T:
        """Return what `call` returns. Once begun it is waited for, cancelled or not."""
        async with limiter:
            if self._thread is None:
                self._thread = Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._jobs.put((call, trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()))
            return cast(T, await trio.lowlevel.wait_task_rescheduled(_not_now))

    def close(self) -> None:
        """End the thread, once nothing is asked of it any more."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, task, token = job
            token.run_sync_soon(_hand_back, task, capture(call))
            del job, call, task  # or the last answer would live until the next question


def _hand_back(task: trio.lowlevel.Task, found: Outcome[Any]) -> None:
    trio.lowlevel.reschedule(task, found)


def _not_now(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED
