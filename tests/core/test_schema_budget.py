"""Judging ends when its allowance is spent, pauses meanwhile, and finds what the library finds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import jsonschema
import pytest
from jsonschema.exceptions import SchemaError

from tasktree_rt.core.json_schema import PlainJudge
from tasktree_rt.core.patterns import check_pattern, steps
from tasktree_rt.core.schema_budget import (
    DRAFTS,
    MAX_MATCH,
    MAX_SCHEMA_WORK,
    MAX_WORK,
    PAUSE_EVERY,
    Allowance,
    TooMuch,
    is_heavier,
    schema_error,
    weight,
)
from tasktree_rt.errors import InvalidInput

DEEP: dict[str, Any] = {"type": "string"}
for _ in range(7):
    DEEP = {"type": "object", "properties": {"a": DEEP}, "additionalProperties": DEEP["type"] != "x"}

HOSTILE: dict[str, tuple[dict[str, Any], Any]] = {
    "allOf": ({"items": {"allOf": [{"type": "integer"}] * 200}}, list(range(150))),
    "anyOf that fails": ({"items": {"anyOf": [{"type": "string"}] * 200}}, list(range(150))),
    "equal objects": ({"uniqueItems": True}, [{"a": [n, {"b": n}]} for n in range(300)]),
    "unlike items": ({"uniqueItems": True}, [n if n % 2 else str(n) for n in range(900)]),
    "enum": ({"items": {"enum": [{"a": n} for n in range(900)]}}, [{"a": -n} for n in range(300)]),
    "const": ({"items": {"const": [list(range(900))]}}, [[list(range(30))]] * 50),
    "contains": (
        {"items": {"contains": {"anyOf": [{"const": n} for n in range(120)]}}},
        [list(range(1_000, 1_040))] * 40,
    ),
    "pattern": ({"items": {"pattern": "a*b*c"}}, ["a" * 500] * 100),
    "names": ({"patternProperties": {"a*b*c": {}}}, {"a" * n: 1 for n in range(60)}),
    "references": (
        {
            "$defs": {"a": {"allOf": [{"type": "array"}] * 20}},
            "items": {"allOf": [{"$ref": "#/$defs/a"}] * 10},
        },
        [[n] for n in range(200)],
    ),
    "dependent": ({"items": {"dependentRequired": {"a": [str(n) for n in range(900)]}}}, [{"a": 1}] * 200),
    "deep": (DEEP, {"a": {"a": {"a": {"a": {"a": {"a": {"a": "x"}}}}}}}),
    "large": ({"properties": {f"p{n}": {"type": "string", "minLength": 1} for n in range(250)}}, {"p1": "x"}),
    "names that are required": ({"required": [f"k{n}" for n in range(3_900)]}, {}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_judging_ends_and_pauses_whatever_it_is_given(name: str) -> None:
    schema, value = HOSTILE[name]
    pauses = [0]

    def pause() -> None:
        pauses[0] += 1

    judge = PlainJudge(Allowance(pause=pause))
    with suppress(InvalidInput):
        judge.schema(schema, "schema")
    with suppress(InvalidInput):
        judge.value(schema, value, "value")
    assert pauses[0] <= (MAX_SCHEMA_WORK + MAX_WORK) // PAUSE_EVERY


def test_a_thousand_steps_have_ten_pauses() -> None:
    pauses, done = [0], Allowance(pause=lambda: pauses.__setitem__(0, pauses[0] + 1))
    judge = PlainJudge(done)
    judge.value({"items": {"type": "integer"}}, list(range(1_000)), "value")
    assert 10 <= pauses[0] <= 1_000 * 3 // PAUSE_EVERY


def test_one_who_is_not_the_last_to_try_says_that_it_takes_long_and_the_last_refuses() -> None:
    schema, value = HOSTILE["allOf"]
    small = Allowance(value=100, schema=100)
    first, last = PlainJudge(small, last=False), PlainJudge(small)
    with pytest.raises(TooMuch):
        first.schema(schema, "schema")
    with pytest.raises(TooMuch):
        first.value(schema, value, "value")
    with pytest.raises(InvalidInput, match="would take too long to check"):
        last.schema(schema, "schema")
    with pytest.raises(InvalidInput, match="would take too long to check"):
        last.value(schema, value, "value")


def test_what_is_too_heavy_is_not_begun() -> None:
    light = PlainJudge(Allowance(heaviest=3), last=False)
    light.value({"type": "array"}, [1, 2], "value")
    with pytest.raises(TooMuch):
        light.value({"type": "array"}, [1, 2, 3], "value")
    with pytest.raises(TooMuch):
        light.schema({"enum": [1, 2, 3]}, "schema")


@pytest.mark.parametrize(
    "value",
    [1, "x" * 1_000, [], [[[]]], {"a": {"b": [1, "c"]}}, {"k" * 200: 1}, list(range(50)), {"a": "x" * 640}],
)
def test_a_value_is_heavier_than_less_than_its_weight(value: object) -> None:
    whole = weight(value)
    assert is_heavier(value, whole - 1)
    assert not is_heavier(value, whole)


# --- regular expressions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["(?i:[\x01-\U0010fffe])", "(?i:a)", "a(?s:.)", "(?-i:a)", "(?i)a", "x(?:(?i:b))?"]
)
def test_flags_within_a_pattern_are_refused_before_anything_is_compiled(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled(*_: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr("re.compile", compiled)
    with pytest.raises(InvalidInput):
        check_pattern(pattern, "pattern")


def test_one_match_that_nothing_could_interrupt_is_not_begun() -> None:
    pattern, long = "[ab]*[ab]?[ab]?[ab]?c", "ab" * 200
    check_pattern(pattern, "pattern")
    assert MAX_MATCH < steps(pattern, len(long)) < MAX_WORK
    with pytest.raises(InvalidInput, match="would take too long to check"):
        PlainJudge().value({"pattern": pattern}, long, "value")
    with pytest.raises(InvalidInput, match="would take too long to check"):
        PlainJudge().value({"patternProperties": {pattern: {}}}, {long: 1}, "value")
    PlainJudge().value({"pattern": "^[a-z0-9]+(-[a-z0-9]+)?$"}, "some-name", "value")


# --- schemas by their drafts -------------------------------------------------------------------------

SCHEMAS: list[dict[str, Any]] = [
    {},
    {"type": ["string", "null"], "minLength": 3, "title": "T", "description": "D", "default": 1},
    {"type": "klingon"},
    {"type": []},
    {"type": ["string", "string"]},
    {"minimum": "1"},
    {"multipleOf": 0},
    {"maxLength": -1},
    {"uniqueItems": 1},
    {"required": "a"},
    {"required": ["a", "a"]},
    {"enum": 5},
    {"properties": []},
    {"properties": {"a": 5}},
    {"properties": {"a": {"properties": {"b": {"type": 5}}}}},
    {"allOf": []},
    {"anyOf": [True, {"not": {"minItems": "x"}}]},
    {"items": 5},
    {"if": {"type": 1}},
    {"$defs": {"a": {"type": 1}}},
    {"definitions": {"a": {"type": 1}}},
    {"dependentRequired": {"a": [1]}},
    {"contains": {"const": {"type": 5}}, "minContains": -1},
    {"$comment": 5},
    {"format": 5},
]


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_of_a_schema_is_found_what_the_library_finds(draft: str, schema: dict[str, Any]) -> None:
    whole = {"$schema": draft, **schema}
    try:
        getattr(jsonschema, DRAFTS[draft]).check_schema(whole)
        sound = True
    except SchemaError:
        sound = False
    assert (schema_error(whole) is None) is sound


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_step_of_judging_a_schema_is_paid_for(draft: str) -> None:
    large = {"$schema": draft, "allOf": [{"minLength": 1, "maxLength": 9}] * 200}
    assert schema_error(large) is None
    with pytest.raises(TooMuch):
        schema_error(large, Allowance(schema=1_000))
