"""Read a table of grants, as a token's claim, an API key or a setting has it. Fail closed.

::

    {"watch": ["*"], "push": ["build-*"], "history": ["*"], "answer": [], "command": [], "admin": false}

A verb that the table does not name allows nothing; `history` and `delete` then follow from the other verbs
(`Grants.scope`). A misspelt verb or pattern makes the whole table invalid: the caller gets no grants at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tasktree_rt.core.access import EVERYTHING, NOTHING, Grants, Scope, Verb
from tasktree_rt.core.event_schema import wrong
from tasktree_rt.core.events import PROJECT_ID

ADMIN: Final = "admin"
NAMES: Final = (*(verb.value for verb in Verb), ADMIN)
MAX_PATTERNS: Final = 256
"""Maximum number of patterns of one verb."""
_PREFIX: Final = re.compile(rf"(?:{PROJECT_ID.pattern})?\*")
_EXPECTED: Final = "a project id or the beginning of one with * at its end"
NO_GRANTS: Final = Grants("")
_OWN_NAMES: Final[Mapping[str, str]] = {}


def read_grants(value: object, field: str = "tasktree", names: Mapping[str, str] = _OWN_NAMES) -> Grants:
    """Return the grants of a table, without a subject.

    Args:
        field: the table's name, for errors.
        names: other names of verbs within this table, by the verb (`NAMES`).

    Raises:
        InvalidInput: the table is malformed; names the place, as in ``tasktree.watch[2]``.
    """
    if not isinstance(value, dict):
        raise wrong(field, "an object", value, "invalid_message")
    meant = {names.get(name, name): name for name in NAMES}
    found: dict[str, Any] = {}
    for name, given in value.items():
        if name not in meant:
            raise wrong(f"{field}.{str(name)[:40]!a}", f"one of {', '.join(meant)}", name, "invalid_message")
        verb, place = meant[name], f"{field}.{name}"
        found[verb] = _flag(given, place) if verb == ADMIN else _scope(given, place)
    return Grants("", **found)


def joined(first: Grants, second: Grants) -> Grants:
    """Return what `first` or `second` allows, without a subject."""
    scopes: dict[str, Any] = {verb.value: _union(first.scope(verb), second.scope(verb)) for verb in Verb}
    return Grants("", **scopes, admin=first.admin or second.admin)


def _union(first: Scope, second: Scope) -> Scope:
    if first.everything or second.everything:
        return EVERYTHING
    return Scope(tuple(dict.fromkeys((*first.patterns, *second.patterns))))


def _flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(field, "true or false", value, "invalid_message")
    return value


def _scope(value: object, field: str) -> Scope:
    if not isinstance(value, (list, tuple)):
        raise wrong(field, "an array of project ids", value, "invalid_message")
    if len(value) > MAX_PATTERNS:
        raise wrong(field, f"at most {MAX_PATTERNS} entries", len(value), "invalid_message")
    for index, one in enumerate(value):
        if not isinstance(one, str) or not (PROJECT_ID.fullmatch(one) or _PREFIX.fullmatch(one)):
            raise wrong(f"{field}[{index}]", _EXPECTED, one, "invalid_message")
    return Scope(tuple(value)) if value else NOTHING
