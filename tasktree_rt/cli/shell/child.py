"""Start a command whose output passes through us: by a terminal where ours is one, else by pipes."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import termios
import tty
from contextlib import suppress
from typing import Final, NamedTuple

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
SIGNALLED: Final = 128
"""Exit codes, as shells have them; `SIGNALLED` plus the signal's number."""
_PYTHONS: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python ignores: the command must not inherit that."""


class NotStarted(Exception):
    """The command cannot be started. `code` is what a shell would exit with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Output(NamedTuple):
    """One way for the command's output: read at `source`, written again to our descriptor `target`."""

    source: int
    target: int
    stream: str


class Child:
    """A running command.

    Attributes:
        pidfd: readable when the command has ended; a signal through it never meets another process.
        outputs: what to pass on; each ends by itself when nobody has it open any more.
        terminal: the master of the command's own terminal where it has one, else None.
        interactive: whether our terminal's input must be passed on to `terminal`.
    """

    def __init__(self, pid: int, outputs: list[Output], terminal: int | None, interactive: bool) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.outputs = outputs
        self.terminal = terminal
        self.interactive = interactive

    def signal(self, number: int) -> None:
        """Send the command a signal, if it still runs."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def resize(self) -> None:
        """Give the command's terminal the size of ours."""
        if self.terminal is not None:
            copy_size(1, self.terminal)

    def wait(self) -> int:
        """Wait for the end; return the exit code, of a signal `SIGNALLED` and its number."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code if code >= 0 else SIGNALLED - code


def start(
    command: list[str], environment: dict[str, str], *, use_pty: bool, own_session: bool, mask: set[int]
) -> Child:
    """Start a command; its standard input is ours.

    With `use_pty`, its standard output and error are a terminal where ours are. With `own_session` too, and
    if our input is a terminal, the new one controls the command: Ctrl+C and full-screen programs work, and
    the caller must pass our input on. Otherwise the command stays in our process group.

    Args:
        mask: signals that the command has blocked.

    Raises:
        NotStarted: there is no such command, or it may not be executed.
    """
    plumbing = _Plumbing()
    try:
        terminal = plumbing.terminal() if use_pty and os.isatty(1) else None
        interactive = own_session and terminal is not None and os.isatty(0)
        if terminal is not None:
            _prepare(plumbing, terminal, interactive)
            plumbing.connect(terminal, [number for number in (1, 2) if os.isatty(number)], interactive)
        for number, stream in ((1, "stdout"), (2, "stderr")):
            if terminal is None or not os.isatty(number):
                plumbing.pipe(number, stream)
        pid = _spawn(command, environment, plumbing.actions, interactive, mask)
        return Child(pid, plumbing.outputs, terminal, interactive)
    except BaseException:
        plumbing.drop()
        raise
    finally:
        plumbing.close_ends()


def copy_size(source: int, target: int) -> None:
    """Give a terminal the size of another."""
    with suppress(OSError):  # one of them has gone
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8))


class _Plumbing:
    """The descriptors of a command: those that it gets, and those that we read."""

    def __init__(self) -> None:
        self.actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = []
        self.outputs: list[Output] = []
        self._ends: list[int] = []
        self.slave = -1

    def terminal(self) -> int | None:
        """Make a terminal and return its master; None where the system has none left."""
        try:
            master, self.slave = pty.openpty()
        except OSError:
            return None
        self._ends.append(self.slave)
        return master

    def connect(self, master: int, numbers: list[int], controlling: bool) -> None:
        self.outputs.append(Output(master, 1, "stdout"))
        if controlling:
            # A session's leader that opens a terminal is controlled by it.
            self.actions.append((os.POSIX_SPAWN_OPEN, 0, os.ttyname(self.slave), os.O_RDWR, 0))
        self.actions += [(os.POSIX_SPAWN_DUP2, self.slave, number) for number in numbers]

    def pipe(self, number: int, stream: str) -> None:
        source, end = os.pipe()
        self._ends.append(end)
        self.outputs.append(Output(source, number, stream))
        self.actions.append((os.POSIX_SPAWN_DUP2, end, number))

    def close_ends(self) -> None:
        """Close what only the command needs: else its output would never end."""
        for end in self._ends:
            os.close(end)

    def drop(self) -> None:
        for output in self.outputs:
            os.close(output.source)


def _prepare(plumbing: _Plumbing, master: int, interactive: bool) -> None:
    copy_size(1, master)
    if interactive:
        termios.tcsetattr(plumbing.slave, termios.TCSANOW, termios.tcgetattr(0))
    else:
        tty.setraw(plumbing.slave, termios.TCSANOW)  # every byte as the command wrote it


def _spawn(
    command: list[str],
    environment: dict[str, str],
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]],
    setsid: bool,
    mask: set[int],
) -> int:
    try:
        return os.posix_spawnp(
            command[0],
            command,
            environment,
            file_actions=actions,
            setsid=setsid,
            setsigmask=mask,
            setsigdef=_PYTHONS,
        )
    except FileNotFoundError:
        raise NotStarted(f"{command[0]}: not found", NOT_FOUND) from None
    except OSError as error:
        raise NotStarted(f"{command[0]}: {error.strerror}", NOT_EXECUTABLE) from None
