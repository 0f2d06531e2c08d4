"""Pass signals that are sent to us on to the command."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Final

FORWARDED: Final = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
)
_BY_TERMINAL: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGHUP})
_SI_KERNEL: Final = 0x80
"""``si_code`` of a signal that the terminal sent."""


class Forwarder:
    """Blocks the signals in this process, and waits for them in a thread of its own.

    Make it before any other thread: threads inherit what is blocked. What a terminal sends it sends to the
    whole process group: unless the command is in another one, it has had it already.

    Attributes:
        mask: the signals that were blocked before; the command gets these.
        passed: the signals that were passed on, in order.
    """

    def __init__(self) -> None:
        self.mask = {int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)}
        self.passed: list[int] = []
        self._leave: int | None = None

    def begin(self, send: Callable[[int], None], resize: Callable[[], None], *, same_group: bool) -> None:
        """Pass signals on by `send` from now on; what came before is passed on first."""
        thread = threading.Thread(target=self._run, args=(send, resize, same_group), daemon=True)
        thread.start()

    def leave_at_once(self, code: int) -> None:
        """The command has ended: from now on a signal ends us with its exit code."""
        self._leave = code

    def _run(self, send: Callable[[int], None], resize: Callable[[], None], same_group: bool) -> None:
        while True:
            info = signal.sigwaitinfo(_WATCHED)
            number = info.si_signo
            if number == signal.SIGWINCH:
                resize()
                continue
            if self._leave is not None:
                os._exit(self._leave)
            self.passed.append(number)
            if not (same_group and number in _BY_TERMINAL and info.si_code == _SI_KERNEL):
                send(number)


_WATCHED: Final = FORWARDED | {signal.SIGWINCH}
