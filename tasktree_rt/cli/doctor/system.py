"""Checks of the machine: versions, open files, clock."""

from __future__ import annotations

import ctypes
import platform
import resource
import sqlite3
import time
from collections.abc import Iterator
from typing import Final

from tasktree_rt import __version__
from tasktree_rt.brokers.sqlite.schema import MINIMUM_SQLITE
from tasktree_rt.cli.doctor.finding import HINT, OK, PROBLEM, Finding
from tasktree_rt.settings import Limits

RESERVE: Final = 256
"""Open files that a hub needs besides its connections: the store, its threads, requests to other services."""
LONG_AGO: Final = 1_735_689_600
"""Seconds since 1970 at the begin of 2025: a clock before it is wrong."""
_TIMEX_BYTES: Final = 208
"""Size of Linux' ``struct timex``; all zeros asks and changes nothing (adjtimex(2))."""
_UNSYNCHRONISED: Final = 5


def check_versions() -> Iterator[Finding]:
    """Check Python and SQLite."""
    sqlite = sqlite3.sqlite_version
    text = (
        f"tasktree-rt {__version__}, Python {platform.python_version()}, SQLite {sqlite}, {platform.system()}"
    )
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        needed = ".".join(map(str, MINIMUM_SQLITE[:2]))
        yield Finding(PROBLEM, "versions", text, f"use a Python with SQLite {needed} or newer")
    elif platform.system() != "Linux":
        yield Finding(HINT, "versions", text, "the hub is made for Linux; elsewhere it is not tested")
    else:
        yield Finding(OK, "versions", text)


def check_open_files(limits: Limits) -> Iterator[Finding]:
    """Check that the system allows a file for each connection. A hub raises its soft limit by itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = limits.max_connections + RESERVE
    allowed = "any number of" if hard == resource.RLIM_INFINITY else f"{hard}"
    text = f"{allowed} open files are allowed; limits.max_connections is {limits.max_connections}"
    if hard == resource.RLIM_INFINITY or hard >= needed:
        yield Finding(OK, "files", text)
    else:
        remedy = (
            f"allow {needed} (LimitNOFILE={needed} in systemd, ulimit -Hn), or lower limits.max_connections"
        )
        yield Finding(HINT, "files", text, remedy)


def check_clock(now: float | None = None) -> Iterator[Finding]:
    """Check that the clock is not long ago, and that the kernel calls it synchronised."""
    now = time.time() if now is None else now
    text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < LONG_AGO:
        yield Finding(
            PROBLEM, "clock", f"{text} is in the past", "set the clock: tokens and deadlines depend on it"
        )
    elif _kernel_state() == _UNSYNCHRONISED:
        remedy = "run a time service (chrony, systemd-timesyncd): tokens and deadlines depend on the clock"
        yield Finding(HINT, "clock", f"{text}; the kernel does not call it synchronised", remedy)
    else:
        yield Finding(OK, "clock", text)


def _kernel_state() -> int:
    """Return what adjtimex(2) says of the clock; 0 where it cannot be asked."""
    try:
        return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError, TypeError):
        return 0
