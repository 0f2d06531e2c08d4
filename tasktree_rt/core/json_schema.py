"""JSON Schemas that come from outside: which are taken, and whether a value satisfies one.

A producer gives the schema and a user the value, and both are judged in the hub's one thread. So a schema is
refused unless judging the values it is for is quick: no reference beyond itself, none that comes back to
where it is, no more than `MAX_SCHEMAS` subschemas once all references are followed, and no regular expression
that can backtrack for long. What is left is bounded as it is judged (`judging`). Draft 2020-12, unless
``$schema`` names 2019-09 or 7.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from attrs import frozen

from tasktree_rt.core.event_schema import shown
from tasktree_rt.core.events import Json, deeper_than
from tasktree_rt.core.patterns import MAX_MATCHED, check_pattern
from tasktree_rt.core.schema_budget import (
    DEFAULT,
    DRAFTS,
    FULL,
    Allowance,
    TooMuch,
    first_error,
    is_heavier,
    schema_error,
    weight,
)
from tasktree_rt.errors import InvalidInput

MAX_SCHEMAS: Final = 256
"""Subschemas, every reference followed."""
MAX_DEPTH: Final = 16
"""Levels of objects and arrays, of a schema and of a value."""
MAX_NESTED: Final = 16
"""Subschemas within each other, every reference followed."""
MAX_SCHEMA: Final = 4_000
"""Values within a schema, itself included; 64 characters count as one."""
MAX_WEIGHT: Final = 2_000
"""And within a value."""
MAX_PATTERNS: Final = 8
"""Regular expressions of a schema."""


_REFUSED: Final = (
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "id",
)
_COSTLY: Final = ("unevaluatedItems", "unevaluatedProperties")
"""To tell what was evaluated, everything beside them is evaluated again, and so on within it."""
_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "dependentSchemas", "dependencies")
_SINGLES: Final = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
)
_DEFINITIONS: Final = ("$defs", "definitions")


class Judge(Protocol):
    """Checks schemas, and values by schemas. Both methods raise `InvalidInput`, which names the place."""

    def schema(self, schema: object, field: str) -> None:
        """Refuse a schema that is bad, recursive, or could be slow."""

    def value(self, schema: Json, value: object, field: str) -> None:
        """Refuse a value that does not satisfy a schema."""


@frozen
class PlainJudge:
    """Judges here and now, within an allowance.

    One that is not the last to try raises `TooMuch` where another may take longer; the last one refuses then.
    """

    allowed: Allowance = FULL
    last: bool = True

    def schema(self, schema: object, field: str) -> None:
        """Refuse a schema, within the allowance."""
        try:
            self._begin(schema)
            _judge_schema(schema, field, self.allowed)
        except TooMuch:
            if not self.last:
                raise
            raise InvalidInput("would take too long to check: expected a simpler one", field=field) from None

    def value(self, schema: Json, value: object, field: str) -> None:
        """Refuse a value, within the allowance."""
        try:
            self._begin(schema)
            self._begin(value)
            _judge_value(schema, value, field, self.allowed)
        except TooMuch:
            if not self.last:
                raise
            raise InvalidInput(
                "would take too long to check: expected a smaller value", field=field
            ) from None

    def _begin(self, value: object) -> None:
        heaviest = self.allowed.heaviest
        if heaviest is not None and is_heavier(value, heaviest):
            raise TooMuch


def check_schema(schema: object, field: str = "schema") -> None:
    """Refuse a schema that is bad, recursive, or could be slow.

    Raises:
        InvalidInput: ``invalid_message``, naming the place in it.
    """
    PlainJudge().schema(schema, field)


def check_value(schema: Json, value: object, field: str = "value") -> None:
    """Refuse a value that does not satisfy a schema that `check_schema` took.

    Raises:
        InvalidInput: ``invalid_message``, naming the place in the value.
    """
    PlainJudge().value(schema, value, field)


def _judge_schema(schema: object, field: str, allowed: Allowance) -> None:
    if not isinstance(schema, dict):
        raise InvalidInput(f"expected an object, got {shown(schema)}", field=field)
    if deeper_than(MAX_DEPTH, schema):
        raise InvalidInput(f"expected at most {MAX_DEPTH} levels of objects and arrays", field=field)
    if weight(schema) > MAX_SCHEMA:
        raise InvalidInput(f"expected at most {MAX_SCHEMA} values, long texts counting more", field=field)
    draft = schema.get("$schema", DEFAULT)
    if not isinstance(draft, str) or draft not in DRAFTS:
        raise InvalidInput(f"expected one of {', '.join(DRAFTS)}", field=f"{field}.$schema")
    _Survey(schema, field).walk(schema, field, ())
    error = schema_error(schema, allowed)
    if error is not None:
        place = "".join(f".{part}" for part in error.absolute_path)
        raise InvalidInput(f"is no JSON Schema: {_short(error.message)}", field=f"{field}{place}")


def _judge_value(schema: Json, value: object, field: str, allowed: Allowance) -> None:
    _check_size(value, field, matched=_has_patterns(schema))
    try:
        error = first_error(schema, value, allowed)
    except (ArithmeticError, ValueError, RecursionError) as fault:
        # A quotient, say, that no float can hold.
        raise InvalidInput(f"cannot be checked: {_short(str(fault))}", field=field) from None
    if error is not None:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        raise InvalidInput(_short(error.message), field=f"{field}{place}")


class _Survey:
    """One walk through a schema, along its references."""

    def __init__(self, root: Json, field: str) -> None:
        self._root = root
        self._field = field
        self._room = MAX_SCHEMAS
        self._patterns = MAX_PATTERNS

    def walk(self, schema: object, field: str, within: tuple[str, ...], depth: int = 1) -> None:
        """`within`: the references that led here."""
        if depth > MAX_NESTED:
            raise InvalidInput(
                f"expected at most {MAX_NESTED} subschemas within each other", field=self._field
            )
        self._room -= 1
        if self._room < 0:
            raise InvalidInput(
                f"expected at most {MAX_SCHEMAS} subschemas, references followed", field=self._field
            )
        if not isinstance(schema, dict):
            return  # true and false are schemas; anything else the library names
        self._check_keywords(schema, field)
        for pattern, place in _patterns(schema, field):
            self._patterns -= 1
            if self._patterns < 0:
                raise InvalidInput(f"expected at most {MAX_PATTERNS} regular expressions", field=self._field)
            check_pattern(pattern, place)
        for inner, place in _subschemas(schema, field):
            self.walk(inner, place, within, depth + 1)
        self._follow(schema, field, within, depth)

    def _check_keywords(self, schema: Json, field: str) -> None:
        for name in schema:
            if name in _COSTLY or (name in _REFUSED and isinstance(schema[name], str)):
                raise InvalidInput("is not supported here", field=f"{field}.{name}")
        if "$schema" in schema and schema is not self._root:
            raise InvalidInput("expected at the top only", field=f"{field}.$schema")
        _check_names(schema, field)

    def _follow(self, schema: Json, field: str, within: tuple[str, ...], depth: int) -> None:
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return
        if reference in within:
            raise InvalidInput("comes back to itself: a schema must not be recursive", field=f"{field}.$ref")
        self.walk(self._find(reference, field), f"{field}.$ref", (*within, reference), depth + 1)

    def _find(self, reference: str, field: str) -> object:
        parts = reference.split("/")
        if len(parts) != 3 or parts[0] != "#" or parts[1] not in _DEFINITIONS:
            raise InvalidInput('expected "#/$defs/<name>"', field=f"{field}.$ref")
        found = self._root.get(parts[1])
        name = parts[2].replace("~1", "/").replace("~0", "~")
        if "%" in name or not isinstance(found, dict) or name not in found:
            raise InvalidInput("there is no such definition", field=f"{field}.$ref")
        return found[name]


def _check_names(schema: Json, field: str) -> None:
    """Lists of names hold nothing else: the library looks for equal ones pair by pair if they do."""
    named = [(name, schema.get(name)) for name in ("required", "type")]
    for name in ("dependentRequired", "dependencies"):
        inner = schema.get(name)
        if isinstance(inner, dict):
            named += [(f"{name}.{key}", one) for key, one in inner.items()]
    for name, names in named:
        if isinstance(names, list) and not all(isinstance(one, str) for one in names):
            raise InvalidInput("expected strings", field=f"{field}.{name}")


def _subschemas(schema: Json, field: str) -> Iterator[tuple[object, str]]:
    """What a schema holds. Definitions too: each must be sound even if nothing refers to it."""
    for name in (*_MAPS, *_DEFINITIONS):
        inner = schema.get(name)
        if isinstance(inner, dict):
            yield from ((one, f"{field}.{name}.{key}") for key, one in inner.items())
    for name in (*_LISTS, *_SINGLES):
        inner = schema.get(name)
        if isinstance(inner, list):
            yield from ((one, f"{field}.{name}[{index}]") for index, one in enumerate(inner))
        elif inner is not None:
            yield inner, f"{field}.{name}"


def _patterns(schema: Json, field: str) -> Iterator[tuple[str, str]]:
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        yield pattern, f"{field}.pattern"
    named = schema.get("patternProperties")
    if isinstance(named, dict):
        yield from ((str(name), f"{field}.patternProperties") for name in named)


def _has_patterns(schema: object) -> bool:
    if isinstance(schema, dict):
        return (
            isinstance(schema.get("pattern"), str)
            or "patternProperties" in schema
            or any(map(_has_patterns, schema.values()))
        )
    return isinstance(schema, list) and any(map(_has_patterns, schema))


def _check_size(value: object, field: str, *, matched: bool) -> None:
    if deeper_than(MAX_DEPTH, value):
        raise InvalidInput(f"expected at most {MAX_DEPTH} levels of objects and arrays", field=field)
    if weight(value) > MAX_WEIGHT:
        raise InvalidInput(f"expected at most {MAX_WEIGHT} values, long texts counting more", field=field)
    if matched and any(len(text) > MAX_MATCHED for text in _texts(value)):
        raise InvalidInput(f"expected strings of at most {MAX_MATCHED} characters", field=field)


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            yield from one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _short(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:200]}…"
