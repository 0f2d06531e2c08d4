"""Whatever a program hands over becomes JSON; nothing of it raises."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum, IntEnum
from typing import Any

import pydantic
import pydantic.v1 as pydantic_v1
import pytest
from attrs import frozen

from tasktree_rt.compat.aiecs.values import CUT, MAX_DEPTH, MAX_PARTS, plain


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()


class New(pydantic.BaseModel):
    at: datetime
    colour: Colour


class Old(pydantic_v1.BaseModel):
    at: datetime
    colour: Colour


@dataclass
class Data:
    at: datetime
    colour: Colour


@frozen
class Opaque:
    name: str

    def __str__(self) -> str:
        return f"opaque {self.name}"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("not today")


class BrokenModel:
    def model_dump(self) -> None:
        raise RuntimeError("not today")


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SHOWN = {"at": "2026-01-02T12:00:00+00:00", "colour": "red"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ("text", "text"),
        (Text("text"), "text"),
        ("half \ud83d", "half ?"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (date(2026, 1, 2), "2026-01-02"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        ((1, "a"), [1, "a"]),
        ({3}, [3]),
        (deque([1]), [1]),
        (OrderedDict({1: Colour.RED, Colour.RED: 2}), {"1": "red", "red": 2}),
        (iter([1, 2]), [1, 2]),
        (New(at=NOON, colour=Colour.RED), SHOWN),
        (Old(at=NOON, colour=Colour.RED), SHOWN),
        (Data(NOON, Colour.RED), SHOWN),
        (Opaque("x"), "opaque x"),
        (Broken(), "Broken"),
        (BrokenModel(), "BrokenModel"),
        (New, str(New)),
    ],
)
def test_a_value_becomes_what_json_says(value: object, shown: object) -> None:
    found = plain(value)
    assert found == shown
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_value_that_holds_itself_or_is_too_deep_is_cut() -> None:
    itself: dict[str, Any] = {"a": 1}
    itself["again"] = [itself, itself]
    assert plain(itself) == {"a": 1, "again": [CUT, CUT]}
    deep: Any = "bottom"
    for _ in range(5_000):
        deep = [deep]
    levels = json.dumps(plain(deep)).count("[")
    assert levels == MAX_DEPTH + 1


def test_a_value_without_end_has_an_end() -> None:
    def for_ever() -> Iterator[int]:
        while True:
            yield 1

    with_end = plain({"numbers": zip(range(MAX_PARTS * 2), range(MAX_PARTS * 2), strict=True)})
    assert len(with_end["numbers"]) <= MAX_PARTS
    assert len(plain(range(MAX_PARTS * 10))) == MAX_PARTS - 1
    assert len(plain(for_ever())) == MAX_PARTS - 1
