"""Regular expressions that come from outside: which are taken, and what it costs to match one.

Python's `re` backtracks, and nothing else in the process runs meanwhile. So the cost is computed from the
parsed expression before it is used.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any, Final

from tasktree_rt.errors import InvalidInput

MAX_MATCHED: Final = 500
"""Characters of a string that a regular expression looks at."""
MAX_PATTERN: Final = 256
"""Characters of a regular expression."""
MAX_WAYS: Final = 300_000
"""Ways in which a regular expression may match from one place; two unbounded repetitions have 250,000."""
FOR_EVER: Final = 1 << 40
"""Ways in which a regular expression may match that is not taken."""
_A_STEP: Final = 400
"""Places that a regular expression looks at, in a step."""


def check_pattern(pattern: str, field: str) -> None:
    """Refuse a regular expression that is bad or can backtrack for long.

    Every repetition that may end early, and every choice, multiplies the ways to try; one within a repetition
    makes them exponential. So: none within a repetition, no more than `MAX_WAYS` in all, and no look-around
    or reference back, whose ways are not counted here.

    Raises:
        InvalidInput: ``invalid_message``.
    """
    if len(pattern) > MAX_PATTERN:
        raise InvalidInput(f"expected at most {MAX_PATTERN} characters", field=field)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # Taken apart first: to compile what is not taken may already be slow.
            if not is_plain(pattern):
                raise InvalidInput("expected neither flags nor names of groups", field=field)
            if ways(parse(pattern), MAX_MATCHED) > MAX_WAYS:
                raise InvalidInput("could take too long: use a simpler regular expression", field=field)
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise InvalidInput(f"is no regular expression: {error}", field=field) from None


def steps(pattern: str, length: int) -> int:
    """Return the steps that it costs at most to search `length` characters for a regular expression."""
    parsed = parse(pattern)
    begins = bool(parsed) and str(parsed[0][0]) == "AT" and str(parsed[0][1]) == "AT_BEGINNING"
    starts = 1 if begins else length + 1
    least = min(int(parsed.getwidth()[0]), length)
    return 1 + ways(parsed, length) * starts * (4 + least) // _A_STEP


@lru_cache(1_024)
def parse(pattern: str) -> Any:  # noqa: ANN401 (the library's own tree has no types)
    """Parse a regular expression.

    Raises:
        re.error: it is none.
    """
    from re import _parser  # type: ignore[attr-defined]

    return _parser.parse(pattern)


_PLAIN: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})


def ways(items: Any, length: int, *, repeated: bool = False) -> int:  # noqa: ANN401
    """Return in about how many ways a parsed sequence can match at one place in `length` characters;
    `FOR_EVER` for what is not taken.
    """
    found = 1
    for kind, argument in items:
        found = min(FOR_EVER, found * _item_ways(str(kind), argument, length, repeated))
    return found


def _item_ways(kind: str, argument: Any, length: int, repeated: bool) -> int:  # noqa: ANN401
    if kind in _PLAIN:
        return 1
    if kind == "SUBPATTERN":
        if argument[1] or argument[2]:
            return FOR_EVER  # flags: letters without case make one range take half a second to compile
        return ways(argument[3], length, repeated=repeated)
    if kind in _REPEATS:
        least, most, inner = (int(argument[0]), int(argument[1]), argument[2])
        # What matches nothing could be repeated without end, or a thousand million times.
        if least > MAX_MATCHED or (most > 1 and inner.getwidth()[0] == 0):
            return FOR_EVER
        choices = max(1, min(most, length) - least + 1)
        if repeated and most > least:
            return FOR_EVER
        return choices * ways(inner, length, repeated=repeated or most > 1)
    if kind == "BRANCH" and not repeated:
        return sum(ways(branch, length) for branch in argument[1])
    return FOR_EVER  # look-around, references back, conditionals, and whatever a later Python adds


def is_plain(pattern: str) -> bool:
    """Return whether an expression can be joined with others: no flags for the whole, no names of groups.

    Raises:
        re.error: it is no regular expression.
    """
    state = parse(pattern).state
    return state.flags == re.UNICODE.value and not state.groupdict
