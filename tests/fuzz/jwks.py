"""Documents of keys, as an identity provider's URL or a file may give them: JWK sets, PEM texts, secrets."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm

from tasktree_rt.web.auth.keys import ASYMMETRIC, MAX_KEY_ID, MAX_KEYS, read_jwks, read_pem, read_secrets

JWKS_WORDS: Final = (
    *(b'{"keys":[', b'"kty":"EC"', b'"kty":"RSA"', b'"kty":"OKP"', b'"kty":"oct"', b'"crv":"P-256"'),
    *(
        b'"crv":"Ed25519"',
        b'"x":"',
        b'"y":"',
        b'"n":"',
        b'"e":"AQAB"',
        b'"d":"',
        b'"k":"c2VjcmV0"',
        b'"kid":',
    ),
    *(b'"alg":"ES256"', b'"alg":"none"', b'"use":"sig"', b'"use":"enc"', b"-----BEGIN PUBLIC KEY-----\n"),
)


def run_jwks(data: bytes) -> None:
    """A document of keys: usable keys of their own algorithm, or a `ValueError`; no other exception."""
    with suppress(ValueError):
        found = read_jwks(data)
        assert 0 < len(found) <= MAX_KEYS
        for key in found:
            assert key.algorithm in ASYMMETRIC
            assert key.id is None or len(key.id) <= MAX_KEY_ID
            assert key.fingerprint not in repr(key).encode()
    with suppress(ValueError, UnsupportedAlgorithm):
        assert all(key.algorithm in ASYMMETRIC for key in read_pem(data))
    with suppress(ValueError):
        assert all(len(key.key) >= 32 for key in read_secrets(data, "a"))
