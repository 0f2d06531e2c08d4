"""Read the keys that tokens are verified with: secrets, PEM texts and JWK sets (RFC 7517). Pure.

A key verifies tokens of one algorithm, which is the key's own and never the token's choice: a secret HS256, a
P-256 key ES256, RSA RS256, Ed25519 EdDSA. The hub ignores whatever else a set has, secrets too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, Final

import jwt
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tasktree_rt.core.access import KeyState
from tasktree_rt.settings import SECRET_BYTES

SYMMETRIC: Final = "HS256"
ASYMMETRIC: Final = frozenset({"ES256", "RS256", "EdDSA"})
RSA_BITS: Final = range(2_048, 8_193)
MAX_KEYS: Final = 64
"""Maximum number of keys that the hub reads from one file or URL."""
MAX_KEY_ID: Final = 256
"""Maximum characters of a ``kid``."""

_parse_jwk: Final[Callable[[Any], jwt.PyJWK]] = jwt.PyJWK


@define(eq=False)
class VerificationKey:
    """A key, its one algorithm, and its ``kid`` if it has one.

    Attributes:
        fingerprint: equal for equal keys of the same ``kid``; it does not reveal the key.
        state: shared with the grants of all tokens that the key verified.
    """

    algorithm: str
    key: Any = field(repr=False)
    id: str | None
    fingerprint: bytes = field(repr=False)
    state: KeyState = field(factory=KeyState, repr=False)


def secret_key(secret: str, name: str | None = None) -> VerificationKey:
    """Make the HS256 key of a secret."""
    data = secret.encode()
    return VerificationKey(SYMMETRIC, data, name, _fingerprint(SYMMETRIC, name, data))


def read_secrets(data: bytes, name: str | None = None) -> list[VerificationKey]:
    """Return the keys of a file of secrets: one a line; blank lines and those that begin with # are ignored.

    `name`: the ``kid`` of all of them.

    Raises:
        ValueError: there is no secret, or one is too short. The message does not contain it.
    """
    lines = [line.strip() for line in data.decode().splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not 0 < len(found) <= MAX_KEYS:
        raise ValueError(f"expected 1-{MAX_KEYS} secrets, one a line, got {len(found)}")
    for number, line in enumerate(found, 1):
        if len(line.encode()) < SECRET_BYTES:
            raise ValueError(f"expected at least {SECRET_BYTES} bytes in secret {number}")
    return [secret_key(line, name) for line in found]


def read_pem(data: bytes) -> list[VerificationKey]:
    """Return the public key of a PEM text.

    Raises:
        ValueError: it has none, or one of a kind that the hub does not use.
    """
    key = load_pem_public_key(data)
    algorithm = _algorithm(key)
    if algorithm is None:
        raise ValueError("expected a P-256, RSA (2048 to 8192 bits) or Ed25519 public key")
    return [_public(algorithm, key, None)]


def read_jwks(data: bytes) -> list[VerificationKey]:
    """Return the usable keys of a JWK set.

    Raises:
        ValueError: it is not a set, or has no usable key.
    """
    try:
        document = json.loads(data)
    except RecursionError:
        raise ValueError('expected {"keys": […]}, not so deep') from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('expected {"keys": […]}')
    found = [key for one in entries[:MAX_KEYS] if (key := _jwk(one)) is not None]
    if not found:
        raise ValueError("expected at least one key for ES256, RS256 or EdDSA")
    return found


def in_force(old: Iterable[VerificationKey], new: Iterable[VerificationKey]) -> list[VerificationKey]:
    """Return the new keys; one that equals an old key is the old one. The other old keys are withdrawn."""
    before = {key.fingerprint: key for key in old}
    found = {key.fingerprint: before.pop(key.fingerprint, key) for key in new}
    for gone in before.values():
        gone.state.withdrawn = True
    return list(found.values())


def _jwk(entry: Any) -> VerificationKey | None:  # noqa: ANN401 - any JSON
    """Return the key of an entry; None if the hub cannot use it."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key = _parse_jwk(entry).key
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        return None
    algorithm, name = _algorithm(key), entry.get("kid")
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    return _public(algorithm, key, name if isinstance(name, str) and len(name) <= MAX_KEY_ID else None)


def _public(algorithm: str, key: Any, name: str | None) -> VerificationKey:  # noqa: ANN401 - of three classes
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerificationKey(algorithm, key, name, _fingerprint(algorithm, name, data))


def _fingerprint(algorithm: str, name: str | None, data: bytes) -> bytes:
    return sha256(b"\0".join((algorithm.encode(), repr(name).encode(), data))).digest()


def _algorithm(key: object) -> str | None:
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    if isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS:
        return "RS256"
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else None
