"""Judging a value by a JSON Schema, and a schema by its draft's, with every step paid for beforehand.

Some schemas make one step cost as much as thousands: equal items are looked for pair by pair, a list of
10,000 allowed values is compared with each of 1,000, every error writes the whole value out. What a step
costs is known before it is taken, so that judging ends when its `Allowance` is spent, whatever the schema.
A thread beside an event loop pauses between steps; one step is about a hundredth of a second at
most, which is what a regular expression may take (`MAX_MATCH`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, define, frozen

from tasktree_rt.core.events import Json
from tasktree_rt.core.patterns import steps

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

MAX_WORK: Final = 30_000
"""Steps of some microseconds each: for a value."""
MAX_SCHEMA_WORK: Final = 60_000
"""And for a schema."""
MAX_MATCH: Final = 3_000
"""Steps that one string may take with one regular expression: nothing can be done meanwhile."""
PAUSE_EVERY: Final = 100
"""Steps between two pauses, about a thousandth of a second."""

DRAFTS: Final = {
    "https://json-schema.org/draft/2020-12/schema": "Draft202012Validator",
    "https://json-schema.org/draft/2019-09/schema": "Draft201909Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
    "http://json-schema.org/draft-07/schema#": "Draft7Validator",
}
DEFAULT: Final = "https://json-schema.org/draft/2020-12/schema"

_A_TEXT: Final = 64
"""Characters that weigh as much as a value."""
_A_REFERENCE: Final = 8
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
THEIRS: Final = "json-schema.org/"
OURS: Final = "schemas.invalid/"
"""Where the drafts' own schemas are found under names of ours."""
_PLACES: Final = frozenset(
    {"items", "additionalItems", "prefixItems", "contains", "propertyNames", "additionalProperties"}
)
_ENTRIES: Final = frozenset({"properties", "required", "allOf", "anyOf", "oneOf", "dependentSchemas"})
_WHOLE: Final = frozenset({"enum", "const", "dependentRequired", "dependencies"})

Judge = Callable[..., "Iterator[ValidationError] | None"]


class TooMuch(Exception):
    """Judging would take too long."""


@frozen
class Allowance:
    """The work that judging may take.

    Attributes:
        value, schema: steps for a value and for a schema.
        heaviest: a schema or a value that weighs more is not even begun.
        pause: called every so many steps.
    """

    value: int = MAX_WORK
    schema: int = MAX_SCHEMA_WORK
    heaviest: int | None = None
    pause: Callable[[], None] | None = None


FULL: Final = Allowance()


@define
class _Work:
    room: int
    pause: Callable[[], None] | None = None
    weights: dict[int, int] = Factory(dict)
    """Of what stands while the work lasts, by identity."""
    _unpaused: int = 0

    def spend(self, price: int) -> None:
        self.room -= price
        if self.room < 0:
            raise TooMuch
        self._unpaused += price
        if self.pause is not None and self._unpaused >= PAUSE_EVERY:
            self._unpaused = 0
            self.pause()

    def weigh(self, value: object) -> int:
        found = self.weights.get(id(value))
        if found is None:
            found = self.weights[id(value)] = weight(value, self.weigh)
        return found


_work: ContextVar[_Work] = ContextVar("work")


def first_error(schema: Json, value: object, allowed: Allowance = FULL) -> ValidationError | None:
    """The first thing in which `value` does not satisfy a schema; None if it does.

    Raises:
        TooMuch: it would take too long to tell.
    """
    judge = _counting(schema.get("$schema", DEFAULT))(schema)
    return _first(judge, value, _Work(allowed.value, allowed.pause))


def schema_error(schema: Json, allowed: Allowance = FULL) -> ValidationError | None:
    """The first thing in which a schema is none by its draft; None if it is one.

    Raises:
        TooMuch: it would take too long to tell.
    """
    judge = _of_schemas(schema.get("$schema", DEFAULT))
    return _first(judge, schema, _Work(allowed.schema, allowed.pause))


def _first(judge: Validator, value: object, work: _Work) -> ValidationError | None:
    token = _work.set(work)
    try:
        # Not the best of all errors: telling each one writes the value out.
        return next(iter(judge.iter_errors(value)), None)  # type: ignore[arg-type]
    finally:
        _work.reset(token)


def is_heavier(value: object, most: int) -> bool:
    """Return True if `weight` is more than `most`; stop counting there."""
    room, waiting = most, [value]
    while waiting and room >= 0:
        one = waiting.pop()
        room -= 1 if isinstance(one, (dict, list)) else weight(one)
        if isinstance(one, (dict, list)) and len(one) > room:
            return True
        if isinstance(one, dict):
            room -= sum(1 + len(key) // _A_TEXT for key in one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return room < 0


def weight(value: object, of: Callable[[object], int] | None = None) -> int:
    """How large a value is: values, and text by its length."""
    of = of or weight
    if isinstance(value, dict):
        return 1 + sum(1 + len(key) // _A_TEXT + of(one) for key, one in value.items())
    if isinstance(value, list):
        return 1 + sum(map(of, value))
    if isinstance(value, str):
        return 1 + len(value) // _A_TEXT
    return 1 + value.bit_length() // 1024 if isinstance(value, int) else 1


def is_ready() -> bool:
    """Return whether the library is imported already: importing it takes a fifth of a second."""
    return "jsonschema" in sys.modules


def library(name: str) -> type[Validator]:
    """Return the library's own validator for a draft."""
    # Half of what a command imports would be this; only hubs that are asked something need it.
    import jsonschema

    found: type[Validator] = getattr(jsonschema, DRAFTS[name])
    return found


@cache
def _of_schemas(name: str) -> Validator:
    """What judges schemas of a draft. Within it no schema names its draft: by that name the library would
    find its own class again, whose steps are not counted."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing import Registry
    from referencing.jsonschema import DRAFT7, DRAFT201909, DRAFT202012

    drafts = {"Draft202012Validator": DRAFT202012, "Draft201909Validator": DRAFT201909}
    specification = drafts.get(DRAFTS[name], DRAFT7)
    own = library(name)
    told = own.META_SCHEMA["$id"].rstrip("#")
    base = told.rpartition("/")[0]
    registry: Registry[Any] = Registry()
    for uri in REGISTRY:
        if uri.startswith(base):
            ours = specification.create_resource(_renamed(REGISTRY.contents(uri)))
            registry = registry.with_resource(uri.replace(THEIRS, OURS), ours)
    whole = _renamed(own.META_SCHEMA)
    return _counting(name)(whole, registry=registry, format_checker=own.FORMAT_CHECKER)


def _renamed(schema: Any) -> Any:  # noqa: ANN401 - a schema of the library's
    found = {key: value for key, value in schema.items() if key != "$schema"}
    return {**found, "$id": found["$id"].replace(THEIRS, OURS)}


@cache
def _counting(name: str) -> type[Validator]:
    from jsonschema.validators import extend

    own = library(name)
    paid = {keyword: _paid(keyword, judge) for keyword, judge in own.VALIDATORS.items()}
    counting: type[Validator] = extend(own, paid)  # type: ignore[no-untyped-call]
    return counting


def _paid(keyword: str, judge: Judge) -> Judge:
    def paid(validator: Any, said: Any, value: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
        work = _work.get()
        work.spend(_price(work, keyword, said, value, schema))
        for error in judge(validator, said, value, schema) or ():
            work.spend(work.weigh(value) + work.weigh(said))
            yield error

    return paid


def _price(work: _Work, keyword: str, said: Any, value: Any, schema: Any) -> int:  # noqa: ANN401
    """What it costs to look whether `value` is as `keyword` says, its subschemas apart."""
    size = len(value) if isinstance(value, (dict, list)) else 0
    if keyword in _PLACES:
        price = 1 + size
        patterns = schema.get("patternProperties") if keyword == "additionalProperties" else None
        return price + _matching(patterns, value) if patterns else price
    if keyword in _ENTRIES:
        return 1 + len(said)
    if keyword in _WHOLE:
        return 1 + work.weigh(said)
    if keyword == "uniqueItems":
        return 1 + (size if _sortable(value) else size * work.weigh(value))
    if keyword == "pattern":
        return 1 + (_match(said, value) if isinstance(value, str) else 0)
    if keyword == "patternProperties":
        return 1 + _matching(said, value)
    return _A_REFERENCE if keyword in _REFERENCES else 1


def _matching(patterns: Json, value: object) -> int:
    if not isinstance(value, dict):
        return 0
    return sum(_match(pattern, key) for pattern in patterns for key in value)


def _match(pattern: str, text: str) -> int:
    found = steps(pattern, len(text))
    if found > MAX_MATCH:
        raise TooMuch
    return found


def _sortable(value: object) -> bool:
    """Whether a look at neighbours will do, and each is short."""
    if not isinstance(value, list):
        return True
    kinds = {type(one) for one in value}
    return kinds <= {str} or kinds <= {int, float}
