"""Run commands that wait for people or orchestrators. An interrupt ends them in order. Their exit codes are
the outcome, so an internal error must not look like an answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import click
import trio

from tasktree_rt.cli.running import UNUSABLE, run
from tasktree_rt.cli.signals import stopping

T = TypeVar("T")
YES: Final = 0
NO: Final = 1
NO_ANSWER: Final = 3
"""Exit codes: success; failure; no answer in time."""

_UNITS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|)")


def seconds(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Parse a duration, written ``90``, ``90s``, ``10m``, ``2h``, ``1h30m`` or ``1d``, to seconds.

    Raises:
        click.BadParameter: it is no duration.
    """
    if text is None:
        return None
    found = read_seconds(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no time; write it as 90s, 10m, 2h or 1h30m")
    return found


def read_seconds(text: str) -> float | None:
    """Parse a duration as `seconds` does; None if it is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def run_waiting(function: Callable[..., Awaitable[T]], *args: object) -> T:
    """Run as `running.run` does; on SIGINT or SIGTERM cancel `function`, so that it can undo what it began,
    and the command ends as interrupted. A fault of the program's own ends it with `UNUSABLE`.
    """

    async def interruptible() -> list[T]:
        asked = trio.Event()
        found: list[T] = []
        with stopping(asked):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when, asked, nursery.cancel_scope)
                found.append(await function(*args))
                nursery.cancel_scope.cancel()
        return found

    try:
        answers: list[T] = run(interruptible)
    except SystemExit:
        raise SystemExit(UNUSABLE) from None
    if not answers:
        raise click.Abort
    return answers[0]


async def _cancel_when(asked: trio.Event, scope: trio.CancelScope) -> None:
    await asked.wait()
    scope.cancel()


def say(text: str) -> None:
    """Print a line for people on standard error: standard output is for scripts."""
    click.echo(f"tasktree-rt: {text}", err=True)
