"""Check the secrets of API keys: in threads, few at a time, with a limit on the wrong ones of an address."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

import trio
from attrs import define, frozen

from tasktree_rt.errors import Refused, Unavailable
from tasktree_rt.hub.access.credentials import matches, passes_check

THREADS: Final = 2
"""Secrets that are checked at a time."""
WAITING: Final = 64
"""Secrets that wait for their check, at most."""
REMEMBERED: Final = 300.0
"""Seconds for which a checked secret is not checked again."""
WRONG: Final = 20
"""Wrong secrets that one network address may send in `WINDOW`."""
WINDOW: Final = 60.0
"""Seconds."""
MAX_ADDRESSES: Final = 4_096
"""Addresses with wrong secrets that are remembered, those of the newest windows."""


@frozen
class _Checked:
    digest: bytes
    until: float


@define
class _Window:
    """The wrong secrets of an address since `begun`."""

    begun: float
    wrong: int = 0


class KeyChecks:
    """See the module's docstring. A checked secret is remembered by a keyed digest, one for each key."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._pepper = secrets.token_bytes(32)
        self._checked: dict[str, _Checked] = {}
        self._running: dict[bytes, trio.Event] = {}
        self._windows: dict[str, _Window] = {}
        self._threads: trio.CapacityLimiter | None = None
        self.count = 0
        """Runs of scrypt, for tests."""

    async def check(self, key_id: str, secret: str, stored: bytes, address: str) -> bool:
        """Return whether a secret is the one of a key's digest.

        Raises:
            Refused: ``rate_limited``: the address has sent too many wrong ones.
            Unavailable: ``overloaded``: too many secrets wait for their check.
        """
        shown = self._keyed(key_id, secret)
        while not (known := self._is_known(key_id, shown)) and shown in self._running:
            await self._running[shown].wait()
        if known:
            return True
        self.refuse_many(address)
        if not passes_check(secret, stored) or not await self._run(shown, secret, stored):
            return False
        self._checked[key_id] = _Checked(shown, self._clock() + REMEMBERED)
        return True

    async def _run(self, shown: bytes, secret: str, stored: bytes) -> bool:
        if len(self._running) >= WAITING:
            raise Unavailable("too many API keys are being checked", code="overloaded", retry_after=1.0)
        self._threads = self._threads or trio.CapacityLimiter(THREADS)
        over = self._running[shown] = trio.Event()
        self.count += 1
        try:
            return await trio.to_thread.run_sync(matches, secret, stored, limiter=self._threads)
        finally:
            del self._running[shown]
            over.set()

    def forget(self, key_id: str) -> None:
        """Check the next secret of a key again."""
        self._checked.pop(key_id, None)

    def _keyed(self, key_id: str, secret: str) -> bytes:
        return hashlib.blake2b(f"{key_id}_{secret}".encode(), key=self._pepper, digest_size=32).digest()

    def _is_known(self, key_id: str, shown: bytes) -> bool:
        found = self._checked.get(key_id)
        return found is not None and self._clock() < found.until and compare_digest(found.digest, shown)

    # --- wrong secrets ----------------------------------------------------------------------------

    def refuse_many(self, address: str) -> None:
        """Refuse an address that has sent too many wrong secrets.

        Raises:
            Refused: ``rate_limited``.
        """
        found = self._windows.get(address)
        left = 0.0 if found is None else found.begun + WINDOW - self._clock()
        if found is not None and found.wrong >= WRONG and left > 0:
            message = f"too many wrong API keys from this address: at most {WRONG} a minute"
            raise Refused(message, code="rate_limited", retry_after=left)

    def wrong(self, address: str) -> None:
        """Count a wrong secret of an address."""
        now = self._clock()
        found = self._windows.get(address)
        if found is None or now - found.begun >= WINDOW:
            self._windows.pop(address, None)
            found = self._windows[address] = _Window(now)
            if len(self._windows) > MAX_ADDRESSES:
                del self._windows[next(iter(self._windows))]
        found.wrong += 1
