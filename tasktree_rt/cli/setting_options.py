"""Every setting by its path (``limits.max_nodes``), and the checks of one value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Final

import attrs
from attrs import Attribute
from typed_settings.types import OptionInfo, OptionList

from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings, UnfitSetting

FACTORY: Final[type] = type(attrs.Factory(dict))


def _options(group: type, prefix: str = "") -> Iterator[OptionInfo]:
    """Return every setting below `group`.

    typed-settings' ``deep_options`` finds the same, but also parses the source for docstrings,
    which is a quarter of the time that a hub takes to start.
    """
    for one in attrs.fields(attrs.resolve_types(group)):
        if attrs.has(one.type):
            yield from _options(one.type, f"{prefix}{one.name}.")
        else:
            yield OptionInfo(
                parent_cls=group,
                path=prefix + one.name,
                cls=one.type,
                default=one.default,
                has_no_default=False,
                default_is_factory=isinstance(one.default, FACTORY),
                converter=one.converter,
            )


OPTIONS: Final[OptionList] = tuple(_options(Settings))
BY_PATH: Final[dict[str, OptionInfo]] = {option.path: option for option in OPTIONS}
GROUPS: Final = {option.path.rpartition(".")[0]: option.parent_cls for option in OPTIONS}
_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def is_secret(path: str) -> bool:
    """Return whether a setting's value is a secret."""
    return not attribute_of(BY_PATH[path]).repr


def is_json(path: str) -> bool:
    """Whether a setting's value is a table, or an array of tables; as text it is JSON."""
    return bool(attribute_of(BY_PATH[path]).metadata.get("json"))


def parse_text(option: OptionInfo, text: str, place: str) -> object:
    """Parse and validate a setting's value from text (a variable, a flag).

    Raises:
        SettingsError: it names `place`.
    """
    value: object = text
    if option.cls is bool:
        value = _WORDS.get(text.strip().lower(), text)
    elif option.cls in (int, float):
        value = _number(option.cls, text)
    elif is_json(option.path):
        value = _from_json(text)
    elif option.cls is not str:
        value = tuple(part.strip() for part in text.split(",") if part.strip())
    check(option.path, value, place)
    return value


def _number(kind: type, text: str) -> object:
    try:
        return kind(text)
    except ValueError:
        return text


def _from_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def attribute_of(option: OptionInfo) -> Attribute[Any]:
    """Return the attribute of the settings class that an option stands for."""
    return getattr(attrs.fields(option.parent_cls), option.name)  # type: ignore[no-any-return]


def check(path: str, value: object, place: str) -> None:
    """Convert and validate the value of a setting.

    Raises:
        SettingsError: it names `place`.
    """
    attribute = attribute_of(BY_PATH[path])
    convert: Any = attribute.converter
    value = convert(value) if convert else value
    try:
        attribute.validator(None, attribute, value)  # type: ignore[misc]
    except UnfitSetting as error:
        raise SettingsError(f"{place}: {error.reason}") from None


def perhaps(name: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the end of an error message that names the known name nearest to `name`, if one is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean {prefix}{close[0]}?" if close else ""
