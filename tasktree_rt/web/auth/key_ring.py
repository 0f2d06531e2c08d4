"""All keys that one kind of token is verified with, from several sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import trio

from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Auth, AutoGpt
from tasktree_rt.web.auth.key_sources import (
    MAX_CANDIDATES,
    SCHEMES,
    KeySource,
    file_source,
    fixed_source,
    jwks_source,
)
from tasktree_rt.web.auth.keys import (
    ASYMMETRIC,
    SYMMETRIC,
    VerificationKey,
    read_pem,
    read_secrets,
    secret_key,
)

if TYPE_CHECKING:
    from quart import Quart
    from quart_trio import QuartTrio

EXTENSION: Final = "tasktree_rt.key_rings"
ROUND: Final = 1.0
"""Seconds between two looks at the sources."""


class KeyRing:
    """The sources of keys. Reads all files at once, so that a fault shows at the start.

    Args:
        sources: each with the name of its setting.

    Raises:
        SettingsError: a file cannot be read, or has no usable key.
    """

    def __init__(self, sources: Iterable[tuple[str, KeySource]]) -> None:
        self._sources: list[KeySource] = []
        for setting, source in sources:
            self._sources.append(source)
            if not source.where.startswith(SCHEMES):
                source.read_now(setting)

    def __bool__(self) -> bool:
        return bool(self._sources)

    def secrets(self) -> list[VerificationKey]:
        """Return the HS256 keys that are known now, in the order of the settings."""
        fit = (one for one in self._sources if SYMMETRIC in one.algorithms)
        return [key for one in fit for key in one.keys]

    async def find(self, name: str | None, algorithm: str) -> list[VerificationKey]:
        """Return the keys to try for a token: those of its ``kid``, else those without one.

        The sources read again if none has the ``kid``. Returns at most `MAX_CANDIDATES`.
        """
        fit = [one for one in self._sources if algorithm in one.algorithms]
        found = [key for one in fit for key in one.known(name, algorithm)]
        if not found or not (name is None or any(key.id == name for key in found)):
            found = [key for one in fit for key in await one.find(name, algorithm)]
        exact = [key for key in found if name is not None and key.id == name]
        return (exact or found)[:MAX_CANDIDATES]

    async def look(self, algorithm: str) -> None:
        """Read the files of an algorithm's keys again if they have changed: no known key verifies a token."""
        for one in self._sources:
            if algorithm in one.algorithms and not one.where.startswith(SCHEMES):
                await one.look()

    async def run(self) -> None:
        """Read keys again when they may have changed; runs until cancelled."""
        for one in self._sources:
            one.tended = True
        try:
            while True:
                await trio.sleep(ROUND)
                await self.refresh()
        finally:
            for one in self._sources:
                one.tended = False

    async def reload(self) -> None:
        """Read all keys again now, also after a source that fails.

        Raises:
            SettingsError: names the places that failed; their keys stay in force.
        """
        faults: list[str] = []
        for one in self._sources:
            try:
                await one.reload()
            except SettingsError as error:
                faults.append(str(error))
        if faults:
            raise SettingsError("; ".join(faults))

    async def refresh(self) -> None:
        """Read the keys again that may have changed; each source in its own task."""
        async with trio.open_nursery() as nursery:
            for one in self._sources:
                nursery.start_soon(one.refresh)


class KeyRings:
    """All rings of an app. `run` reads their keys again when they may have changed."""

    def __init__(self) -> None:
        self._rings: list[KeyRing] = []
        self._scope = trio.CancelScope()

    def add(self, ring: KeyRing) -> None:
        """Also look after `ring`."""
        self._rings.append(ring)

    async def run(self) -> None:
        """Read keys again when they may have changed, until `end`."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                for ring in self._rings:
                    nursery.start_soon(ring.run)

    def end(self) -> None:
        """End `run`."""
        self._scope.cancel()

    async def reload(self) -> None:
        """Read all keys again now.

        Raises:
            SettingsError: some cannot be read; those that were read before stay in force.
        """
        for ring in self._rings:
            await ring.reload()


def keep_keys(app: QuartTrio, ring: KeyRing) -> None:
    """Read the keys of `app` again for as long as it is served: those of `ring`, and what `rings_of` gets."""
    rings = app.extensions[EXTENSION] = KeyRings()
    rings.add(ring)

    @app.before_serving
    async def begin() -> None:
        app.nursery.start_soon(rings.run)

    @app.after_serving
    async def end() -> None:
        rings.end()


def rings_of(app: Quart) -> KeyRings:
    """Return the rings of `app`."""
    found: KeyRings = app.extensions[EXTENSION]
    return found


def hub_keys(auth: Auth) -> KeyRing:
    """Make the keys of the hub's own tokens, as the section ``auth`` says.

    Raises:
        SettingsError: a file cannot be read, or has no usable key.
    """
    found: list[tuple[str, KeySource]] = []
    if auth.secret:
        found.append(("auth.secret", fixed_source(secret_key(auth.secret))))
    if auth.secret_file:
        found.append(("auth.secret_file", file_source(auth.secret_file, {SYMMETRIC}, read_secrets)))
    found += ((f"auth.secrets[{index}]", _named_secret(one)) for index, one in enumerate(auth.secrets))
    found += (("auth.public_keys", file_source(one, ASYMMETRIC, read_pem)) for one in auth.public_keys)
    if auth.jwks:
        found.append(("auth.jwks", jwks_source(auth.jwks)))
    return KeyRing(found)


def autogpt_keys(autogpt: AutoGpt) -> KeyRing:
    """Make the public keys of the tokens that AutoGPT's platform signs.

    Raises:
        SettingsError: a file cannot be read, or has no usable key.
    """
    found: list[tuple[str, KeySource]] = []
    if autogpt.jwks:
        found.append(("autogpt.jwks", jwks_source(autogpt.jwks)))
    if autogpt.public_key:
        found.append(("autogpt.public_key", file_source(autogpt.public_key, ASYMMETRIC, read_pem)))
    return KeyRing(found)


def _named_secret(entry: Mapping[str, str]) -> KeySource:
    name, path = entry["kid"], entry.get("file")
    if path is None:
        return fixed_source(secret_key(entry["secret"], name))
    return file_source(path, {SYMMETRIC}, lambda data: read_secrets(data, name))
