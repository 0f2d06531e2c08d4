"""How commands run and fail: expected faults are one line and exit code 2, never a traceback."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click
import trio

from tasktree_rt.errors import HubError

UNUSABLE: Final = 2
"""Exit code for what the user can mend: settings, address, store, input, an unreachable hub."""
CRASHED: Final = 1
"""Exit code for an internal error; the log has the traceback."""


class Failed(click.ClickException):
    """A command fails with one line on standard error."""

    exit_code = UNUSABLE

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - as click declares it
        """Print the message to `file`, by default standard error."""
        click.echo(f"tasktree-rt: {' '.join(self.message.split())}", file=file or sys.stderr)


def run(function: Callable[..., Awaitable[Any]], *args: object) -> Any:  # noqa: ANN401 - whatever it returns
    """Run an async function as `trio.run` does; turn errors into exit codes."""
    try:
        return trio.run(function, *args)
    except BaseException as error:
        give_up(error)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Ignore that the reader of standard output closes the pipe inside the block."""
    try:
        yield
    except BrokenPipeError:
        # Python would report the buffered rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def give_up(error: BaseException) -> NoReturn:
    """End the command for `error`, which may be a group.

    Raises:
        Failed: `error`, or each error of the group, is one that the user can mend.
        BrokenPipeError: the reader of standard output closed the pipe.
        click.Abort: the user interrupted the command.
    """
    causes = list(_leaves(error))
    for one in causes:
        if isinstance(one, BrokenPipeError):
            raise one from None
    expected = (HubError, click.ClickException, KeyboardInterrupt)
    if not all(isinstance(one, expected) for one in causes):
        logging.getLogger("tasktree_rt.cli").error("crashed", exc_info=error)
        raise SystemExit(CRASHED)
    for one in causes:
        if isinstance(one, click.ClickException):
            raise one from None
    # An interruption ends connections too: their errors are its effect.
    if any(isinstance(one, KeyboardInterrupt) for one in causes):
        raise click.Abort from error
    raise Failed(str(causes[0])) from None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
