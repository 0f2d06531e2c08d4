"""The commands that an orchestrator says it obeys: read and bounded before the hub keeps them."""

from __future__ import annotations

from typing import Final

from tasktree_rt.core.commands import COMMAND_NAME
from tasktree_rt.core.events import Json, refuse_unknown, shown
from tasktree_rt.core.json_schema import Judge
from tasktree_rt.errors import InvalidInput

MOST: Final = 50
"""Commands that one connection announces."""
MOST_WORDS: Final = 20
"""Kinds, and statuses, of nodes that one command is for."""
MAX_WORD: Final = 64
MAX_DESCRIPTION: Final = 500
SCOPES: Final = ("node", "project")
_FIELDS: Final = ("name", "description", "args", "scope", "kinds", "statuses", "dangerous")


def read_announcement(given: object, judge: Judge) -> tuple[Json, ...]:
    """Read the ``commands`` of an announcement; `judge` says whether a schema of arguments is taken.

    Raises:
        InvalidInput: naming the field.
    """
    if not isinstance(given, list) or len(given) > MOST:
        raise InvalidInput(f"expected an array of at most {MOST} commands", field="commands")
    commands = tuple(_command(one, f"commands[{at}]", judge) for at, one in enumerate(given))
    names = [one["name"] for one in commands]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise InvalidInput(f"expected another name than {name!a}", field=f"commands[{at}].name")
    return commands


def _command(given: object, at: str, judge: Judge) -> Json:
    if not isinstance(given, dict):
        raise InvalidInput(f"expected an object, got {shown(given)}", field=at)
    try:
        refuse_unknown(given, _FIELDS)
    except InvalidInput as error:
        error.field = f"{at}.{error.field}"
        raise
    name = given.get("name")
    if not isinstance(name, str) or COMMAND_NAME.fullmatch(name) is None:
        expected = "expected 1-64 characters of A-Z a-z 0-9 . _ : -"
        raise InvalidInput(f"{expected}, got {shown(name)}", field=f"{at}.name")
    found: Json = {"name": name}
    description = given.get("description")
    if description is not None:
        found["description"] = _text(description, MAX_DESCRIPTION, f"{at}.description")
    if given.get("args") is not None:
        judge.schema(given["args"], f"{at}.args")
        found["args"] = given["args"]
    for field in ("kinds", "statuses"):
        if given.get(field) is not None:
            found[field] = _words(given[field], f"{at}.{field}")
    return found | _choices(given, at)


def _choices(given: Json, at: str) -> Json:
    found: Json = {}
    scope, dangerous = given.get("scope"), given.get("dangerous")
    if scope is not None:
        if scope not in SCOPES:
            raise InvalidInput(f"expected {' or '.join(SCOPES)}, got {shown(scope)}", field=f"{at}.scope")
        found["scope"] = scope
    if dangerous is not None:
        if type(dangerous) is not bool:
            raise InvalidInput(f"expected a boolean, got {shown(dangerous)}", field=f"{at}.dangerous")
        found["dangerous"] = dangerous
    return found


def _words(given: object, at: str) -> list[str]:
    if not isinstance(given, list) or len(given) > MOST_WORDS:
        raise InvalidInput(f"expected an array of at most {MOST_WORDS} strings", field=at)
    return [_text(one, MAX_WORD, f"{at}[{n}]") for n, one in enumerate(given)]


def _text(given: object, most: int, at: str) -> str:
    if not isinstance(given, str) or len(given) > most:
        raise InvalidInput(f"expected at most {most} characters, got {shown(given)}", field=at)
    return given
