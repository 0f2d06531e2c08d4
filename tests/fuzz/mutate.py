"""New inputs from old ones: bytes changed, taken out, repeated, words put in, two inputs spliced."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

LONGEST: Final = 4096


def mutated(chance: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One input made from one or two of `seeds`, all by `chance`."""
    data = bytearray(chance.choice(seeds))
    if chance.random() < 0.25:
        _splice(chance, data, chance.choice(seeds))
    for _ in range(chance.randrange(1, 6)):
        _change(chance, data, words)
    return bytes(data[:LONGEST])


def _splice(chance: random.Random, data: bytearray, other: bytes) -> None:
    if chance.random() < 0.5:
        data += b"\n" + other
    else:
        data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other) + 1) :]


def _change(chance: random.Random, data: bytearray, words: Sequence[bytes]) -> None:
    at, size = chance.randrange(len(data) + 1), chance.randrange(1, 12)
    match chance.randrange(6):
        case 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        case 1:
            data[at : at + 1] = bytes([data[at] ^ 1 << chance.randrange(8)]) if at < len(data) else b"\x00"
        case 2:
            data[at : at + size] = b""
        case 3:
            data[at:at] = chance.choice(words)
        case 4:
            data[at : at + size] = chance.choice(words)
        case _:
            data[at:at] = data[at : at + size * 4] * chance.choice((1, 1, 2, 20))
