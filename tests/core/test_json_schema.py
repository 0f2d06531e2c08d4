"""JSON Schemas from outside: the verdict is the library's, and it never takes long."""

from __future__ import annotations

import re
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.core import schema_budget as judging
from tasktree_rt.core.json_schema import (
    MAX_DEPTH,
    MAX_NESTED,
    MAX_SCHEMAS,
    check_schema,
    check_value,
)
from tasktree_rt.core.patterns import MAX_MATCHED, check_pattern
from tasktree_rt.errors import InvalidInput

DRAFT = "http://json-schema.org/draft-07/schema#"
ENOUGH = 1.0
"""Seconds; what is bounded takes a tenth of it."""


def fault_of(schema: object) -> str | None:
    try:
        check_schema(schema)
    except InvalidInput as error:
        return error.field
    return None


def verdict(schema: dict[str, Any], value: object) -> str:
    """``yes``, ``no``, or ``too much``."""
    try:
        check_value(schema, value)
    except InvalidInput as error:
        much = ("would take too long", "expected at most", "expected strings of", "cannot be checked")
        return "too much" if error.message.startswith(much) else "no"
    return "yes"


# --- which are taken ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}, "maxItems": 3},
        {"definitions": {"a/b": {"const": 1}}, "$ref": "#/definitions/a~1b", "$schema": DRAFT},
        {"properties": {"id": {"type": "string"}, "$id": {}, "pattern": {"type": "string"}}},
        {"pattern": "^[a-z]{1,63}(-[a-z0-9]+)?$"},
        {"enum": ["required", {"$ref": "#"}]},
        {"properties": {f"p{n}": {"type": "string", "maxLength": 9} for n in range(MAX_SCHEMAS - 1)}},
    ],
)
def test_a_sound_schema_is_taken(schema: dict[str, Any]) -> None:
    check_schema(schema)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels - 1):
        schema = {"not": schema}
    return schema


def chained(levels: int) -> dict[str, Any]:
    """Each definition refers to the next one."""
    named = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(levels)}
    return {"$defs": {**named, f"d{levels}": {}}, "$ref": "#/$defs/d0"}


def doubling(levels: int) -> dict[str, Any]:
    """Each definition refers to the next one twice."""
    named = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**named, f"d{levels}": {}}, "$ref": "#/$defs/d0"}


DEEP: dict[str, Any] = {"const": 1}
for _ in range(MAX_DEPTH):
    DEEP = {"const": DEEP}


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        (None, "schema"),
        ([], "schema"),
        (True, "schema"),
        ({"type": "whatever"}, "schema.type"),
        ({"minLength": -1}, "schema.minLength"),
        ({"properties": {"a": {"type": 3}}}, "schema.properties.a.type"),
        ({"$ref": "#"}, "schema.$ref"),
        ({"$ref": "http://example.com/a"}, "schema.$ref"),
        ({"$ref": "#/$defs/none"}, "schema.$ref"),
        ({"$ref": "#/$defs/a%20b", "$defs": {"a%20b": {}}}, "schema.$ref"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}}, "schema.$defs.a.$ref.$ref"),
        (
            {"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}}},
            "schema.$defs.a.not.$ref.items.$ref.not.$ref",
        ),
        ({"$id": "x"}, "schema.$id"),
        ({"items": {"$anchor": "x"}}, "schema.items.$anchor"),
        ({"$dynamicRef": "#x"}, "schema.$dynamicRef"),
        ({"unevaluatedProperties": False}, "schema.unevaluatedProperties"),
        ({"anyOf": [{"unevaluatedItems": False}]}, "schema.anyOf[0].unevaluatedItems"),
        ({"$schema": "http://json-schema.org/draft-03/schema#", "extends": {"$ref": "#"}}, "schema.$schema"),
        ({"$schema": ["x"]}, "schema.$schema"),
        ({"$schema": "http://["}, "schema.$schema"),
        ({"not": {"$schema": DRAFT}}, "schema.not.$schema"),
        ({"required": ["a", 1]}, "schema.required"),
        ({"type": ["string", 1]}, "schema.type"),
        ({"dependentRequired": {"a": [1]}}, "schema.dependentRequired.a"),
        ({"allOf": [{}] * MAX_SCHEMAS}, "schema"),
        ({"enum": list(range(5_000))}, "schema"),
        ({"const": "x" * 300_000}, "schema"),
        (DEEP, "schema"),
        (nested(MAX_NESTED + 1), "schema"),
        (chained(MAX_NESTED), "schema"),
        (doubling(8), "schema"),
        ({"pattern": "("}, "schema.pattern"),
        ({"patternProperties": {"(a+)+": {}}}, "schema.patternProperties"),
        ({"patternProperties": {f"a{n}": {} for n in range(9)}}, "schema"),
    ],
)
def test_a_bad_recursive_or_huge_schema_is_refused_by_its_place(schema: object, field: str) -> None:
    assert fault_of(schema) == field


def test_the_deepest_schema_that_is_taken_can_be_judged() -> None:
    schema = nested(min(MAX_NESTED, MAX_DEPTH))
    assert fault_of(schema) is None
    assert verdict(schema, 1) in ("yes", "no")


# --- what is judged -------------------------------------------------------------------------------

names = st.sampled_from(["a", "b", "ab"])
scalars = st.sampled_from([None, True, False, 0, 1, 1.0, -1, 1.5, 2, "", "a", "ab", "b"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
patterns = st.sampled_from(["a", "^a", "b$", "^[ab]+$", "a{2}", "a|b"])
small = st.integers(0, 3)


def larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(names, inner, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minimum": small,
            "exclusiveMaximum": small,
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": small,
            "maxLength": small,
            "pattern": patterns,
            "minItems": small,
            "maxItems": small,
            "uniqueItems": st.booleans(),
            "items": inner,
            "prefixItems": some,
            "contains": inner,
            "minContains": small,
            "properties": named,
            "patternProperties": st.dictionaries(patterns, inner, max_size=2),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(names, max_size=2, unique=True),
            "dependentRequired": st.dictionaries(names, st.lists(names, max_size=2, unique=True), max_size=2),
            "dependentSchemas": named,
            "minProperties": small,
            "allOf": some,
            "anyOf": some,
            "oneOf": some,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.just("#/$defs/a"),
        },
    )


schemas = st.recursive(st.booleans(), larger, max_leaves=12).filter(lambda one: isinstance(one, dict))
definitions = st.fixed_dictionaries({"type": types}, optional={"enum": st.lists(scalars, min_size=1)})


@settings(max_examples=400)
@given(schemas, definitions, st.lists(values, min_size=1, max_size=5))
def test_the_verdict_is_the_librarys(
    schema: dict[str, Any], a: dict[str, Any], given_values: list[Any]
) -> None:
    schema = {**schema, "$defs": {"a": a}}
    if fault_of(schema) is not None:
        assert fault_of(schema) == "schema"  # too large or nested too deep: whatever else it makes is sound
        return
    own = jsonschema.Draft202012Validator(schema)
    for value in given_values:
        said = verdict(schema, value)
        assert said == ("yes" if own.is_valid(value) else "no"), value


def test_the_draft_that_is_named_is_the_one_that_judges() -> None:
    schema = {"items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False}
    assert fault_of(schema) == "schema.items"
    older = {**schema, "$schema": DRAFT}
    check_schema(older)
    assert [verdict(older, value) for value in (["a", 1], ["a", "b"], ["a", 1, 2])] == ["yes", "no", "no"]


def test_a_fault_is_told_by_its_place() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    with pytest.raises(InvalidInput) as caught:
        check_value(schema, {"a": [1, "x" * 1_000]}, "value")
    assert caught.value.field == "value.a[1]"
    assert len(caught.value.message) < 300


# --- what could be slow ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"uniqueItems": True}, [{} for _ in range(1_900)]),
        ({"uniqueItems": True}, [str(n) if n % 2 else n for n in range(1_900)]),
        ({"items": {"enum": [str(n) for n in range(1_500)]}}, ["1499"] * 1_500),
        ({"items": {"const": {"a": [0] * 500}}}, [{"a": [0] * 600}] * 3),
        ({"allOf": [{"items": {"type": "integer"}} for _ in range(127)]}, [1] * 1_900),
        ({"anyOf": [{"type": "integer"} for _ in range(250)]}, "x" * 60_000),
        ({"anyOf": [{"items": {"required": [str(n) for n in range(900)]}}]}, [{}] * 900),
        ({"items": {"pattern": "a*a*b"}}, ["a" * 500]),
        ({"items": {"pattern": "(a|a)" * 17}}, ["a" * 400]),
        ({"patternProperties": {"a*a*b": True}}, {"a" * 500: 1}),
        ({"patternProperties": {"a*a*b": True}, "additionalProperties": False}, {"a" * 500: 1}),
        ({"multipleOf": 0.5}, 10**400),
        ({"multipleOf": 10**400}, 0.5),
        ({}, [0] * 3_000),
        ({}, "x" * 300_000),
        ({"pattern": "^a"}, "a" * (MAX_MATCHED + 1)),
        ({"propertyNames": {"pattern": "^a"}}, {"a" * (MAX_MATCHED + 1): 1}),
    ],
)
def test_what_would_take_long_is_not_done(schema: dict[str, Any], value: object) -> None:
    check_schema(schema)
    begun = time.process_time()
    assert verdict(schema, value) == "too much" or schema["items"].get("const")
    assert time.process_time() - begun < ENOUGH


def test_a_value_nested_too_deep_is_not_looked_into() -> None:
    value: Any = 1
    for _ in range(500):
        value = [value]
    assert verdict({"enum": [1]}, value) == "too much"


def test_a_schema_as_large_as_may_be_is_judged_in_time() -> None:
    largest = {"allOf": [{"not": {"type": ["string", "null"], "minLength": 1}} for _ in range(126)]}
    begun = time.process_time()
    check_schema(largest)
    check_value(largest, 1)
    assert time.process_time() - begun < ENOUGH


def test_work_is_counted_anew_for_each_value() -> None:
    schema = {"items": {"enum": [str(n) for n in range(100)]}}
    for _ in range(20):
        check_value(schema, ["99"] * 200)
    assert judging._work.get(None) is None


# --- regular expressions --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(aa|b)*",
        "(?:a?b)*",
        ".*.*.*x",
        "(a)\\1",
        "(?=a)b",
        "(?<!a)b",
        "(?i)a",
        "(?P<n>a)",
        "(?:b{600})?.*.*.*.*.*x",
        "(?:^){100000000}",
        "(?:){1000000}",
        "(?:\\b)*",
        "a" * 300,
        "[[a]",
        "a**",
        "(?:a{1,20}){20}b",
        "a?" * 40,
    ],
)
def test_what_can_backtrack_for_long_is_no_pattern(pattern: str) -> None:
    with pytest.raises(InvalidInput):
        check_pattern(pattern, "pattern")


pieces = st.sampled_from(["a", "b", ".", "[ab]", "\\w", "^", "$", "\\b", "(?:ab)", "(a)"])
suffixes = st.sampled_from(["", "", "", "*", "+", "?", "*?", "{2}", "{2,}", "{0,600}", "{600}"])
atoms = st.builds(lambda piece, suffix: piece + suffix, pieces, suffixes)
regexes = st.recursive(
    atoms,
    lambda inner: (
        st.builds(lambda one, suffix: f"(?:{one}){suffix}", inner, suffixes)
        | st.builds("{}|{}".format, inner, inner)
        | st.builds("{}{}".format, inner, inner)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(regexes, st.sampled_from(["a", "b", "ab", "aab", "c"]), st.sampled_from(["", "!", "c"]))
def test_a_pattern_that_is_taken_ends_whatever_is_pumped(regex: str, pumped: str, end: str) -> None:
    try:
        check_pattern(regex, "pattern")
    except InvalidInput:
        return
    text = (pumped * MAX_MATCHED)[: MAX_MATCHED - len(end)] + end
    begun = time.process_time()
    said = verdict({"pattern": regex}, text)
    assert time.process_time() - begun < ENOUGH
    if said != "too much":
        assert said == ("yes" if re.search(regex, text) else "no")
