"""Public keys that tokens are verified with: from a PEM file, or a JWK set (RFC 7517) in a file or at a URL.

A key verifies tokens of one algorithm, which is the key's own and never the token's choice: P-256 ES256, RSA
RS256, Ed25519 EdDSA. Whatever else a set holds is passed over, secrets too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import jwt
import trio
from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from structlog.stdlib import BoundLogger, get_logger

log: Final[BoundLogger] = get_logger("tasktree_rt.keys")
SCHEMES: Final = ("https://", "http://")
RSA_BITS: Final = 2_048
MOST_KEYS: Final = 64
MOST_BYTES: Final = 262_144
PATIENCE: Final = 5.0
"""Seconds for an answer of the JWK set's server, and twice that for everything about it."""
TRIED: Final = 60.0
"""Seconds between two attempts to read the keys, however many tokens name unknown ones."""
FRESH: Final = 600.0
"""Seconds after which the keys are read again."""
KEPT: Final = 86_400.0
"""Seconds for which keys that cannot be read again are still good."""

_parse_jwk: Final[Callable[[Any], jwt.PyJWK]] = jwt.PyJWK


@frozen
class PublicKey:
    """A public key, its one algorithm, and its ``kid`` if it has one."""

    algorithm: str
    key: Any
    id: str | None = None


def read_pem(data: bytes) -> list[PublicKey]:
    """The public key of a PEM text.

    Raises:
        ValueError: it is none, or of a kind that is not taken.
    """
    key = load_pem_public_key(data)
    algorithm = _algorithm(key)
    if algorithm is None:
        raise ValueError("expected a P-256, RSA (2048 bits at least) or Ed25519 public key")
    return [PublicKey(algorithm, key)]


def read_jwks(data: bytes) -> list[PublicKey]:
    """The usable keys of a JWK set.

    Raises:
        ValueError: it is no set, or holds none.
    """
    said = json.loads(data)
    entries = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(entries, list):
        raise ValueError('expected {"keys": […]}')
    found = [key for one in entries[:MOST_KEYS] if (key := _key(one)) is not None]
    if not found:
        raise ValueError("expected at least one key for ES256, RS256 or EdDSA")
    return found


def _key(entry: Any) -> PublicKey | None:  # noqa: ANN401 - any JSON
    """Return the key of an entry; None if the hub cannot use it."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key = _parse_jwk(entry).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    algorithm, name = _algorithm(key), entry.get("kid")
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    return PublicKey(algorithm, key, name if isinstance(name, str) else None)


def _algorithm(key: object) -> str | None:
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    if isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS:
        return "RS256"
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else None


class KeySource:
    """The keys from one place, read when they are needed, in a thread, and kept.

    `load` reads them; what it raises is logged, once for each time that it begins to fail, and the keys that
    were read before stay good for `KEPT`.
    """

    def __init__(self, where: str, load: Callable[[], list[PublicKey]]) -> None:
        self.where = where
        self.load = load
        self._keys: list[PublicKey] = []
        self._read_at = -KEPT
        self._next_try = -KEPT
        self._reading = trio.Lock()
        self._failing = False

    async def find(self, name: str | None, algorithm: str) -> PublicKey | None:
        """The key of that name for that algorithm. Without a name, on either side, the algorithm says it if
        there is one such key only."""
        found = self._pick(name, algorithm)
        old = trio.current_time() - self._read_at >= FRESH
        if found is None or (old and not self._reading.locked()):
            async with self._reading:
                await self._read()
            found = self._pick(name, algorithm)
        return found

    def _pick(self, name: str | None, algorithm: str) -> PublicKey | None:
        if trio.current_time() - self._read_at > KEPT:
            return None
        fit = [one for one in self._keys if one.algorithm == algorithm]
        named = [one for one in fit if name is not None and one.id == name]
        nameless = fit if name is None else [one for one in fit if one.id is None]
        return named[0] if named else nameless[0] if len(nameless) == 1 else None

    async def _read(self) -> None:
        now = trio.current_time()
        if now < self._next_try:
            return
        self._next_try = now + TRIED
        try:
            with trio.fail_after(2 * PATIENCE):
                self._keys = await trio.to_thread.run_sync(self.load, abandon_on_cancel=True)
        except Exception as error:  # whatever it is: the keys of before are still good
            if not self._failing:
                log.warning(
                    "keys unreadable", where=self.where, reason=f"{type(error).__name__}: {error}"[:300]
                )
            self._failing = True
        else:
            if self._failing:
                log.warning("keys readable again", where=self.where)
            self._failing, self._read_at = False, now


def pem_source(path: str) -> KeySource:
    """Make the source of the key in a PEM file."""
    return KeySource(path, lambda: read_pem(_file(path)))


def jwks_source(where: str) -> KeySource:
    """The keys of a JWK set: a file's, or what a URL answers."""
    load = partial(_fetch, where) if where.startswith(SCHEMES) else partial(_file, where)
    return KeySource(where, lambda: read_jwks(load()))


def _file(path: str) -> bytes:
    with Path(path).expanduser().open("rb") as file:
        return file.read(MOST_BYTES)


def _fetch(url: str) -> bytes:
    # Late: no hub needs a client of HTTP's to start.
    import httpx

    found = b""
    with httpx.stream("GET", url, timeout=PATIENCE) as response:
        if response.status_code != 200:
            raise ValueError(f"expected status 200, got {response.status_code}")
        for chunk in response.iter_bytes():
            found += chunk
            if len(found) > MOST_BYTES:
                raise ValueError(f"expected at most {MOST_BYTES} bytes")
    return found
