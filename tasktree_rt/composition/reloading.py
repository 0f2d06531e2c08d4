"""Read secrets and certificates again on SIGHUP, without a restart and without ending a connection."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable

import trio
from structlog import get_logger

from tasktree_rt.errors import HubError

log = get_logger(__name__)

Reload = Callable[[], Awaitable[object]]


class Reloads:
    """The parts of a hub that read their files again, by name. `run_hub` adds them, SIGHUP calls `run`."""

    def __init__(self) -> None:
        self._by_name: dict[str, Reload] = {}

    def add(self, name: str, reload: Reload) -> None:
        """Call `reload` at each `run`. If it raises, the part keeps what it has in force.

        `name`: for the log, such as ``certificate``. A second part of the same name replaces the first.
        """
        self._by_name[name] = reload

    async def run(self) -> None:
        """Reload all parts, one after the other; log each, and the cause of each that fails."""
        if not self._by_name:
            log.info("nothing to reload")
        for name, reload in list(self._by_name.items()):
            try:
                await reload()
            except Exception as error:
                unexpected = None if isinstance(error, HubError) else error
                log.error("reload failed", part=name, reason=str(error), exc_info=unexpected)
            else:
                log.info("reloaded", part=name)


async def reload_on_hangup(
    reloads: Reloads, shutdown: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run `reloads` at each SIGHUP. If the terminal that the hub was started in is gone, set `shutdown`.

    The kernel sends the same signal when a terminal closes.
    """
    in_terminal = _has_terminal()
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            if in_terminal and not _has_terminal():
                shutdown.set()
            else:
                await reloads.run()


def _has_terminal() -> bool:
    return os.isatty(0)
