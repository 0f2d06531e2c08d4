"""The form of an API key (``ttk_<id>_<secret>``), and how the store's digest verifies a secret.

A secret has 256 random bits. The digest is a check of 32 bits, a salt and scrypt's output. The check is a
plain hash: it refuses a wrong secret without the cost of scrypt, but for one in four thousand million, and
tells nothing of the other 224 bits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from hmac import compare_digest
from typing import Final

PREFIX: Final = "ttk_"
_FORM: Final = re.compile(r"ttk_([0-9a-f]{16})_([0-9a-f]{64})")
_CHECK: Final = 4
_SALT: Final = 16
_LOG_N: Final = 14
"""scrypt's N is 2 to the power of it: with r = 8, 16 MiB and some 40 ms for each digest."""


def is_api_key(credential: str) -> bool:
    """Return whether a credential is an API key, valid or not, and no JSON Web Token."""
    return credential.startswith(PREFIX)


def new_credential() -> tuple[str, str]:
    """Make a credential; returns its id and the whole of it."""
    key_id = secrets.token_hex(8)
    return key_id, f"{PREFIX}{key_id}_{secrets.token_hex(32)}"


def parse(credential: str) -> tuple[str, str] | None:
    """Return the id and the secret of a credential; None if it has another form."""
    found = _FORM.fullmatch(credential)
    return None if found is None else (found[1], found[2])


def digest(secret: str) -> bytes:
    """Make the digest of a secret. Blocks for some 40 ms."""
    salt = secrets.token_bytes(_SALT)
    return _check(secret) + salt + _scrypt(secret, salt)


def passes_check(secret: str, stored: bytes) -> bool:
    """Return whether a secret may be the one of a digest. Quick."""
    return compare_digest(_check(secret), stored[:_CHECK])


def matches(secret: str, stored: bytes) -> bool:
    """Return whether a secret is the one of a digest. Blocks for some 40 ms."""
    salt = stored[_CHECK : _CHECK + _SALT]
    return compare_digest(_scrypt(secret, salt), stored[_CHECK + _SALT :])


def _check(secret: str) -> bytes:
    return hashlib.blake2b(secret.encode(), digest_size=_CHECK, person=b"api key check").digest()


def _scrypt(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(secret.encode(), salt=salt, n=1 << _LOG_N, r=8, p=1, maxmem=1 << 25, dklen=32)
