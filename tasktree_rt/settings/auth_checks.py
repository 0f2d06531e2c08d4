"""Validators of the section `auth`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tasktree_rt.core.grant_claim import NAMES, read_grants
from tasktree_rt.errors import InvalidInput
from tasktree_rt.settings.checks import SECRET_BYTES, UnfitSetting, a_text, require

if TYPE_CHECKING:
    from attrs import Attribute

MAX_SECRETS: Final = 64
"""Maximum number of named secrets, and of PEM files."""
MAX_KEY_ID: Final = 256
"""Maximum characters of a ``kid``."""


def a_grants_table(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require a table of grants, of the same form as a token's claim."""
    _read_grants(value, attribute, attribute.name)


def a_table_of_roles(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require a table of tables of grants."""
    require(isinstance(value, Mapping), attribute, "a table of tables of grants", value)
    for name, one in value.items() if isinstance(value, Mapping) else ():
        _read_grants(one, attribute, f"{attribute.name}.{name}")


def a_table_of_names(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require a table of different names by verb."""
    require(isinstance(value, Mapping), attribute, "a table of names", value)
    names = dict(value) if isinstance(value, Mapping) else {}
    good = set(names) <= set(NAMES) and all(isinstance(one, str) and one for one in names.values())
    require(good, attribute, f"a table of names by {', '.join(NAMES)}", value)
    meant = [names.get(one, one) for one in NAMES]
    require(len(set(meant)) == len(meant), attribute, "a different name for each verb", value)


def a_path(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require the path of a file, or nothing."""
    a_text(_, attribute, value)
    require("\0" not in str(value), attribute, "the path of a file", value)


def paths(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require an array of paths of files."""
    good = isinstance(value, tuple) and len(value) <= MAX_SECRETS
    require(good, attribute, f"an array of at most {MAX_SECRETS} paths", value)
    for one in value if isinstance(value, tuple) else ():
        require(isinstance(one, str) and one != "" and "\0" not in one, attribute, "the path of a file", one)


def some_secrets(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require an array of tables with ``kid`` and ``secret`` or ``file``. An error contains no secret."""
    if not isinstance(value, tuple) or len(value) > MAX_SECRETS:
        raise UnfitSetting((attribute.name,), f"expected an array of at most {MAX_SECRETS} tables")
    for index, one in enumerate(value):
        fault = _secret_fault(one)
        if fault:
            raise UnfitSetting((attribute.name,), f"{attribute.name}[{index}]: {fault}")
    names = [one["kid"] for one in value]
    if len(set(names)) != len(names):
        raise UnfitSetting((attribute.name,), "expected a different kid in each table")


def _secret_fault(entry: object) -> str:
    if not isinstance(entry, Mapping) or set(entry) not in ({"kid", "secret"}, {"kid", "file"}):
        return "expected a table with kid and secret, or kid and file"
    if not all(isinstance(one, str) and one and "\0" not in one for one in entry.values()):
        return "expected strings that are not empty"
    if len(entry["kid"]) > MAX_KEY_ID:
        return f"expected at most {MAX_KEY_ID} characters in kid"
    short = "secret" in entry and len(entry["secret"].encode()) < SECRET_BYTES
    return f"expected at least {SECRET_BYTES} bytes in secret" if short else ""


def _read_grants(value: object, attribute: Attribute[Any], place: str) -> None:
    try:
        read_grants(value, place)
    except InvalidInput as error:
        raise UnfitSetting((attribute.name,), str(error)) from None
