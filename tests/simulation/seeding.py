"""One source of chance: while a seed runs, nothing in the process depends on anything but the seed.

Trio's scheduler shuffles with a seeded generator, in an order that does not hang on addresses; `secrets`
and `random` give what the seed says, and so do the wall clock's `time.time` and `time.time_ns`. Iteration
over sets of strings could still depend on the hash seed, and of objects on their addresses: a test compares
traces over processes with different ones.
"""

from __future__ import annotations

import gc
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import structlog
from trio._core import _run as scheduler

Report = Callable[[str], None]


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Put `value` in the place of an attribute that is there."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def seeded(seed: int, wall: Callable[[], int], report: Report) -> Iterator[None]:
    """Everything by chance comes from `seed`, and the wall clock says `wall()` (microseconds).

    `report` is told of every line that the product logs as an error.
    """
    dice = random.Random(f"product {seed}")
    scheduling, common = scheduler._r.getstate(), random.getstate()
    with ExitStack() as stack:
        stack.callback(scheduler._r.setstate, scheduling)
        stack.callback(random.setstate, common)
        scheduler._r.seed(f"scheduler {seed}")
        random.seed(f"random {seed}")
        for owner, name, value in (
            (scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
            (secrets, "token_hex", lambda size=32: dice.randbytes(size).hex()),
            (secrets, "token_bytes", lambda size=32: dice.randbytes(size)),
            (secrets, "token_urlsafe", lambda size=32: dice.randbytes(size).hex()),
            (secrets, "randbelow", dice.randrange),
            (secrets, "randbits", dice.getrandbits),
            (time, "time", lambda: wall() / 1_000_000),
            (time, "time_ns", lambda: wall() * 1_000),
        ):
            stack.enter_context(replaced(owner, name, value))
        stack.enter_context(_logging(report))
        stack.enter_context(_no_collecting())
        yield


@contextmanager
def _logging(report: Report) -> Iterator[None]:
    before = structlog.get_config()

    def note(_: object, __: str, line: Any) -> Any:
        error = line.get("exc_info")
        report(f"{line.get('event')}: {line.get('where', '')} {error!r}")
        raise structlog.DropEvent

    structlog.configure(
        processors=[note],
        wrapper_class=structlog.make_filtering_bound_logger(40),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def _no_collecting() -> Iterator[None]:
    """A run leaves some garbage; it is collected between runs, when it costs least."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
