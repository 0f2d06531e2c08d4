"""Where keys come from: settings, files, URLs. A source reads in a thread and keeps what it has read.

A file is read again when it changes, a URL every `FRESH` seconds. If reading fails, the log says so once and
the keys that were read before stay in force.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, Protocol

import trio
from cryptography.exceptions import UnsupportedAlgorithm
from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.errors import SettingsError
from tasktree_rt.web.auth.keys import ASYMMETRIC, VerificationKey, in_force, read_jwks
from tasktree_rt.web.file_stamp import FileStamp, file_stamp

log: Final[BoundLogger] = get_logger("tasktree_rt.keys")
SCHEMES: Final = ("https://", "http://")
MAX_BYTES: Final = 262_144
"""Maximum size of a file of keys, and of a URL's answer."""
MAX_CANDIDATES: Final = 8
"""Maximum number of keys that the hub tries for one token."""
PATIENCE: Final = 5.0
"""Seconds until the first byte of a URL's answer and between two; twice that for the whole answer."""
RETRY: Final = 60.0
"""Seconds between two requests to a URL, however many tokens name unknown keys."""
FRESH: Final = 600.0
"""Seconds after which keys of a URL are read again."""
KEPT: Final = 86_400.0
"""Seconds for which keys of a URL that does not answer are still valid."""

UNREAD: Final = "unread"
"""In place of the stamp of a file that was not read yet; it equals no stamp, also not None."""

Load = Callable[[], list[VerificationKey]]


class Schedule(Protocol):
    """When a source reads its keys again."""

    def due(self) -> bool:
        """Return whether the keys may have changed."""

    def may_look(self) -> bool:
        """Return whether to read now because a token names an unknown key."""

    def begins(self) -> None:
        """Note that an attempt to read begins."""

    def succeeded(self) -> None:
        """Note that it succeeded."""

    def outdated(self) -> bool:
        """Return whether the keys are too old to be used."""


class WhenChanged:
    """Read a file when its time, size or place on the disk changes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: object = UNREAD
        self._begun: FileStamp = None

    def due(self) -> bool:
        """See `Schedule`."""
        return file_stamp(self._path) != self._seen

    may_look = due

    def begins(self) -> None:
        """See `Schedule`."""
        self._begun = file_stamp(self._path)

    def succeeded(self) -> None:
        """See `Schedule`."""
        self._seen = self._begun

    def outdated(self) -> bool:
        """See `Schedule`."""
        return False


class NowAndThen:
    """Read a URL every `FRESH` seconds, and at most every `RETRY` seconds."""

    def __init__(self) -> None:
        self._read_at = self._next_try = -KEPT

    def due(self) -> bool:
        """See `Schedule`."""
        return trio.current_time() - self._read_at >= FRESH and self.may_look()

    def may_look(self) -> bool:
        """See `Schedule`."""
        return trio.current_time() >= self._next_try

    def begins(self) -> None:
        """See `Schedule`."""
        self._next_try = trio.current_time() + RETRY

    def succeeded(self) -> None:
        """See `Schedule`."""
        self._read_at = trio.current_time()

    def outdated(self) -> bool:
        """See `Schedule`."""
        return trio.current_time() - self._read_at > KEPT


class Never:
    """Do not read again."""

    def due(self) -> bool:
        """See `Schedule`."""
        return False

    may_look = outdated = due

    def begins(self) -> None:
        """See `Schedule`."""

    succeeded = begins


class KeySource:
    """The keys from one place; see the module's docstring.

    Attributes:
        where: the place, for errors and the log.
        algorithms: those of all keys that the place can have.
        tended: True while a task calls `refresh`; then no token waits for a key that is known.
    """

    def __init__(self, where: str, algorithms: Collection[str], load: Load, schedule: Schedule) -> None:
        self.where = where
        self.algorithms = algorithms
        self.tended = False
        self._load = load
        self._schedule = schedule
        self._keys: list[VerificationKey] = []
        self._reading = trio.Lock()
        self._failing = False

    @property
    def keys(self) -> list[VerificationKey]:
        """The keys that are in force."""
        return [] if self._schedule.outdated() else self._keys

    def read_now(self, setting: str) -> None:
        """Read the keys at the start, so that a fault stops it.

        Raises:
            SettingsError: names `setting` and the place.
        """
        self._schedule.begins()
        try:
            self._keys = self._load()
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            raise SettingsError(f"{setting}: {self.where}: {reason}") from None
        self._schedule.succeeded()

    def known(self, name: str | None, algorithm: str) -> list[VerificationKey]:
        """Return the keys for a token: those of its ``kid``, else those without; all if it names none."""
        fit = [one for one in self.keys if one.algorithm == algorithm]
        named = [one for one in fit if name is not None and one.id == name]
        nameless = fit if name is None else [one for one in fit if one.id is None]
        return (named or nameless)[:MAX_CANDIDATES]

    async def find(self, name: str | None, algorithm: str) -> list[VerificationKey]:
        """Return the keys for a token, as `known`; read them again if there are none, or if they are old."""
        found = self.known(name, algorithm)
        if found and (self.tended or self._reading.locked() or not self._schedule.due()):
            return found
        await self.look()
        return self.known(name, algorithm)

    async def look(self) -> None:
        """Read the keys again, unless it is too early: no known key verifies a token."""
        if self._reading.locked() or self._schedule.may_look():
            async with self._reading:
                if self._schedule.may_look():
                    await self._read()

    async def refresh(self) -> None:
        """Read the keys again if they may have changed."""
        if self._schedule.due() and not self._reading.locked():
            async with self._reading:
                await self._read()

    async def reload(self) -> None:
        """Read the keys again now.

        Raises:
            SettingsError: that is not possible; the keys that were read before stay in force.
        """
        async with self._reading:
            error = await self._read()
        if error is not None:
            raise SettingsError(f"{self.where}: {error}")

    async def _read(self) -> Exception | None:
        """Read the keys; return the fault, which is in the log already."""
        self._schedule.begins()
        try:
            with trio.fail_after(2 * PATIENCE):
                found = await trio.to_thread.run_sync(self._load, abandon_on_cancel=True)
        except Exception as error:
            self._failed(error)
            return error
        if self._failing:
            log.warning("keys readable again", where=self.where)
        self._failing = False
        self._keys = in_force(self._keys, found)
        self._schedule.succeeded()
        return None

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            reason = f"{type(error).__name__}: {error}"[:300]
            log.warning("keys unreadable; those read before stay in force", where=self.where, reason=reason)
        self._failing = True


def file_source(
    path: str, algorithms: Collection[str], parse: Callable[[bytes], list[VerificationKey]]
) -> KeySource:
    """Make the source of the keys in a file, with what reads its contents."""
    return KeySource(path, algorithms, lambda: parse(_file(path)), WhenChanged(path))


def fixed_source(key: VerificationKey) -> KeySource:
    """Make the source of one key that never changes."""
    return KeySource("settings", {key.algorithm}, lambda: [key], Never())


def jwks_source(where: str) -> KeySource:
    """Make the source of a JWK set: a file, or a URL's answer."""
    if not where.startswith(SCHEMES):
        return file_source(where, ASYMMETRIC, read_jwks)
    return KeySource(where, ASYMMETRIC, lambda: read_jwks(_fetch(where)), NowAndThen())


def _file(path: str) -> bytes:
    with Path(path).expanduser().open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes")
    return data


def _fetch(url: str) -> bytes:
    # Late: a hub without a URL of keys starts without an HTTP client.
    import httpx

    found = b""
    with httpx.stream("GET", url, timeout=PATIENCE) as response:
        if response.status_code != 200:
            raise ValueError(f"expected status 200, got {response.status_code}")
        for chunk in response.iter_bytes():
            found += chunk
            if len(found) > MAX_BYTES:
                raise ValueError(f"expected at most {MAX_BYTES} bytes")
    return found
