"""A value of a node that is too large to be sent with every state: the tree keeps its encoding.

docs/protocol.md, "Large values", has the rules in words.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

LARGE_FIELDS: Final = ("input", "output")
"""Fields of a node whose values may be large."""
MARKER: Final = "$large"
"""The only key of the object that readers get in place of the value."""


class LargeValue:
    """The JSON encoding of a value. Immutable; every encoder for peers writes the marker in its place.

    Attributes:
        body: the value as compact JSON.
        digest: of the body, 32 hexadecimal digits.
    """

    __slots__ = ("body", "digest")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.digest = blake2b(body, digest_size=16).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LargeValue) and self.body == other.body

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"LargeValue({len(self.body)} bytes)"

    @property
    def marker(self) -> dict[str, Any]:
        """What readers get in place of the value."""
        return {MARKER: {"bytes": len(self.body), "digest": self.digest}}
