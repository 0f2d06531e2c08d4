"""What a fuzz target is: bytes in, an assertion if anything is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tasktree_rt.errors import HTTP_STATUS, PeerError

CORPUS: Final = Path(__file__).parent / "corpus"
WITHOUT_FIELD: Final = frozenset(
    {
        "invalid_json",
        "forbidden",
        "unauthorized",
        "not_found",
        "gone",
        "project_full",
        "subject_full",
        "draining",
        "overloaded",
    }
)
"""Errors that may have no place in what was sent."""


@frozen
class Target:
    """One decoder, or a few on one way.

    Attributes:
        name: its folder in the corpus.
        run: feeds it one input; an exception is a find.
        words: what its language is made of, for those who make inputs.
        cost: milliseconds of an input, about; how many are tried follows from it.
    """

    name: str
    run: Callable[[bytes], None]
    words: tuple[bytes, ...]
    cost: float = 0.2


def seeds(name: str) -> dict[str, bytes]:
    """The corpus of a target, by file name."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}


def text_of(data: bytes) -> str | None:
    """As a text message has it; None if it is not UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def json_of(data: bytes) -> Any:
    """The value of a JSON text; None for what is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def told_well(error: PeerError, *codes: str) -> None:
    """An error as the protocol has it: a known code (of `codes`, if given), a short message, the place."""
    assert error.code in (codes or HTTP_STATUS)
    told_well_on_the_wire(error.code, error.message, error.field)


def told_well_on_the_wire(code: str, message: str, field: str | None) -> None:
    """The same, from an answer."""
    assert code in HTTP_STATUS
    assert code != "internal"
    assert message
    assert len(message) < 2_000
    whole = message == "expected a JSON object"
    assert field or whole or code in WITHOUT_FIELD, f"{code}: {message}"
