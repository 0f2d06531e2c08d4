"""Read settings from a TOML file, then the environment, then flags; later sources win.

Every value keeps its origin. An invalid value is one `SettingsError` that names the place: the
file and the key, the environment variable, or the flag. typed-settings provides the layers, their names and
their merging (its own ``load_settings`` would drop the origins, coerce ``5`` to ``"5"`` and ignore
a misspelt section silently).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import Attribute, frozen
from platformdirs import user_config_path
from typed_settings.dict_utils import merge_settings, set_path
from typed_settings.exceptions import ConfigFileLoadError, ConfigFileNotFoundError
from typed_settings.loaders import EnvLoader, TomlFormat
from typed_settings.types import (
    LoadedSettings,
    LoaderMeta,
    OptionInfo,
    OptionList,
    SettingsClass,
    SettingsDict,
)

from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings, UnfitSetting, shown_value

SECTION: Final = "tasktree-rt"
FILE_NAME: Final = "tasktree-rt.toml"
PREFIX: Final = "TASKTREE_RT_"
DEFAULT: Final = "default"
FILES: Final = {"store": "sqlite"} | dict.fromkeys(
    (
        "tls.certfile",
        "tls.keyfile",
        "tls.keyfile_password_file",
        "tls.client_ca",
        "auth.secret_file",
        "redis.password_file",
        "auth.public_keys",
        "auth.jwks",
        "auth.secrets",
    ),
    "",
)
"""Settings that name files, and what comes before a path and a colon."""
CLIENT_VARIABLES: Final = frozenset(
    {
        "TASKTREE_RT_CAFILE",
        "TASKTREE_RT_CLIENT_CERT",
        "TASKTREE_RT_CLIENT_KEY",
        "TASKTREE_RT_CONFIG",
        "TASKTREE_RT_HUB",
        "TASKTREE_RT_INSECURE_TLS",
        "TASKTREE_RT_SPOOL",
        "TASKTREE_RT_TOKEN",
        "TASKTREE_RT_TOKEN_FILE",
    }
)
"""Variables of this prefix that commands read and that are no settings of the hub."""


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
ORIGINALS: Final = {
    "WEBSOCKET_HOST": "aiecs.host",
    "WEBSOCKET_PORT": "aiecs.port",
    "WEBSOCKET_MAX_CONNECTIONS": "aiecs.max_connections",
    "WEBSOCKET_PING_INTERVAL": "aiecs.ping_interval",
    "WEBSOCKET_PING_TIMEOUT": "aiecs.ping_timeout",
    "WEBSOCKET_CALLBACK_TIMEOUT": "aiecs.callback_timeout",
}
"""Variables of AIECS' own WebSocket manager by the equivalent setting; this hub's own names win."""
BY_PATH: Final[dict[str, OptionInfo]] = {option.path: option for option in OPTIONS}
_GROUPS: Final = {option.path.rpartition(".")[0]: option.parent_cls for option in OPTIONS}
_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


Layer = Callable[[SettingsClass, OptionList], Iterable[LoadedSettings]]
"""A loader of typed-settings that knows the origin of each value."""


@frozen
class Flag:
    """A setting given on the command line: the flag as typed, the setting's path, its value."""

    name: str
    path: str
    value: Any


@frozen
class Loaded:
    """The effective settings and their origins.

    Attributes:
        origins: by path (``limits.max_nodes``): ``default``, a file, a variable's or a flag's name.
        file: the file that was read, if any.
    """

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None


def load(
    flags: Sequence[Flag] = (), *, config: Path | None = None, environ: Mapping[str, str] | None = None
) -> Loaded:
    """Read, merge and validate all settings.

    `config` must exist. Without it the file that `find_file` finds is read, if any.

    Raises:
        SettingsError: one line that names the place.
    """
    file = config or find_file()
    layers: list[Layer] = [*([FromFile(file)] if file else []), FromEnvironment(environ), FromFlags(flags)]
    loaded = [one for layer in layers for one in layer(Settings, OPTIONS)]
    merged = merge_settings(OPTIONS, loaded)
    origins = {path: merged[path].loader_meta.name if path in merged else DEFAULT for path in BY_PATH}
    values: SettingsDict = {}
    for path, one in merged.items():
        set_path(values, path, one.value)
    try:
        return Loaded(_build(values), origins, file)
    except UnfitSetting as error:
        places = [origins[path] for path in error.fields if origins.get(path, DEFAULT) != DEFAULT]
        where = f"{places[0]}: " if places else ""
        raise SettingsError(f"{where}{error}") from None


def find_file() -> Path | None:
    """Find ``tasktree-rt.toml`` in the current folder, else in the platform's folder for configuration.

    Raises:
        SettingsError: this user may not look there: a file with a secret could be overlooked.
    """
    for folder in (Path.cwd(), user_config_path(SECTION)):
        try:
            os.stat(folder / FILE_NAME)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            reason = f"{error.strerror}; name a settings file with --config, or set HOME"
            raise SettingsError(f"{folder / FILE_NAME}: {reason}") from None
        return folder / FILE_NAME
    return None


def is_secret(path: str) -> bool:
    """Return whether a setting's value is a secret."""
    return not _attribute(BY_PATH[path]).repr


def is_json(path: str) -> bool:
    """Whether a setting's value is a table, or an array of tables; as text it is JSON."""
    return bool(_attribute(BY_PATH[path]).metadata.get("json"))


# --- the layers: each a typed-settings loader -----------------------------------------------------


@frozen
class FromFile:
    """The section ``[tasktree-rt]`` of a TOML file, which may have no other section."""

    path: Path

    def __call__(self, settings_cls: SettingsClass, options: OptionList) -> Iterable[LoadedSettings]:
        """See `typed_settings.loaders.Loader`."""
        table = self._section(self._read(settings_cls, options))
        values: SettingsDict = {}
        for path, value in self._walk(table, ""):
            place = f"{self.path}: {SECTION}.{path}"
            _check(path, value, place)
            set_path(values, path, self._anchored(path, value))
        return [LoadedSettings(values, LoaderMeta(str(self.path), base_dir=self.path.parent))]

    def _read(self, settings_cls: SettingsClass, options: OptionList) -> SettingsDict:
        try:
            return TomlFormat(None)(self.path, settings_cls, options)
        except ConfigFileNotFoundError:
            raise SettingsError(f"{self.path}: no such file") from None
        except OSError as error:
            raise SettingsError(f"{self.path}: {error.strerror or error}") from None
        except (ConfigFileLoadError, UnicodeDecodeError, RecursionError) as error:
            raise SettingsError(f"{self.path}: {_one_line(error)}") from None

    def _section(self, document: SettingsDict) -> SettingsDict:
        for name, table in document.items():
            if name != SECTION:
                raise SettingsError(
                    f"{self.path}: {name}: unknown; settings stand in the section [{SECTION}]"
                )
            if not isinstance(table, dict):
                raise SettingsError(f"{self.path}: {name}: expected a section, got {shown_value(table)}")
        return document.get(SECTION, {})

    def _walk(self, table: SettingsDict, prefix: str) -> Iterator[tuple[str, object]]:
        for name, value in table.items():
            path = prefix + name
            if path in BY_PATH:
                yield path, value
            elif path not in _GROUPS:
                known = (one.removeprefix(prefix) for one in (*BY_PATH, *_GROUPS) if one.startswith(prefix))
                raise SettingsError(f"{self.path}: {SECTION}.{path}: unknown setting{_perhaps(name, known)}")
            elif isinstance(value, dict):
                yield from self._walk(value, f"{path}.")
            else:
                got = shown_value(value)
                raise SettingsError(f"{self.path}: {SECTION}.{path}: expected a section, got {got}")

    def _anchored(self, setting: str, value: object) -> object:
        """Make a relative path relative to its file, so that it does not depend on the current folder."""
        if setting not in FILES:
            return value
        if isinstance(value, list):  # several paths, or tables that may each name a file
            return [self._anchored(setting, one) for one in value]
        if isinstance(value, dict):
            return {**value, "file": self._anchored(setting, value["file"])} if "file" in value else value
        if not isinstance(value, str) or (setting == "auth.jwks" and "://" in value):
            return value  # the check of the setting refuses what is no text
        kind, _, path = value.rpartition(":") if setting == "store" else ("", "", value)
        if kind != FILES[setting] or not path or path.startswith("~"):
            return value
        return f"{kind}{kind and ':'}{self.path.absolute().parent / path}"


class FromEnvironment:
    """The variables ``TASKTREE_RT_…``: one for each setting, arrays with commas, tables as JSON; unknown
    names are errors. And `ORIGINALS`."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def __call__(self, settings_cls: SettingsClass, options: OptionList) -> Iterable[LoadedSettings]:
        """See `typed_settings.loaders.Loader`."""
        name_of = EnvLoader(PREFIX).get_envvar
        known = {name_of(option): option for option in options}
        for name, path in ORIGINALS.items():
            if name in self._environ:
                yield _single(name, path, parse_text(BY_PATH[path], self._environ[name], name))
        for name in sorted(self._environ):
            if name in known:
                yield _single(name, known[name].path, parse_text(known[name], self._environ[name], name))
            elif name.startswith(PREFIX) and name not in CLIENT_VARIABLES:
                close = _perhaps(
                    name.removeprefix(PREFIX), (one.removeprefix(PREFIX) for one in known), PREFIX
                )
                raise SettingsError(f"{name}: unknown variable{close}")


@frozen
class FromFlags:
    """The flags of the command line; of two for one setting the later wins."""

    flags: Sequence[Flag]

    def __call__(self, settings_cls: SettingsClass, options: OptionList) -> Iterable[LoadedSettings]:
        """See `typed_settings.loaders.Loader`."""
        return [_single(flag.name, flag.path, flag.value) for flag in self.flags]


def assignment(text: str) -> Flag:
    """Parse the flag ``--set PATH=VALUE``.

    Raises:
        SettingsError: malformed, an unknown setting, or a secret, which ``ps`` would show.
    """
    path, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--set {path}: expected SETTING=VALUE, as in limits.max_nodes=5000")
    if path not in BY_PATH:
        raise SettingsError(f"--set {path}: unknown setting{_perhaps(path, BY_PATH)}")
    if is_secret(path):
        raise SettingsError(
            f"--set {path}: a secret; give it in the file or as {EnvLoader(PREFIX).get_envvar(BY_PATH[path])}"
        )
    name = f"--set {path}"
    return Flag(name, path, parse_text(BY_PATH[path], value, name))


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
    _check(option.path, value, place)
    return value


# --- helpers --------------------------------------------------------------------------------------


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


def _attribute(option: OptionInfo) -> Attribute[Any]:
    return getattr(attrs.fields(option.parent_cls), option.name)  # type: ignore[no-any-return]


def _check(path: str, value: object, place: str) -> None:
    attribute = _attribute(BY_PATH[path])
    convert: Any = attribute.converter
    value = convert(value) if convert else value
    try:
        attribute.validator(None, attribute, value)  # type: ignore[misc]
    except UnfitSetting as error:
        raise SettingsError(f"{place}: {error.reason}") from None


def _single(origin: str, path: str, value: object) -> LoadedSettings:
    values: SettingsDict = {}
    set_path(values, path, value)
    return LoadedSettings(values, LoaderMeta(origin))


def _build(values: SettingsDict) -> Settings:
    made: dict[str, Any] = {
        name: _GROUPS[name](**value) if name in _GROUPS and isinstance(value, dict) else value
        for name, value in values.items()
    }
    return Settings(**made)


def _perhaps(name: str, known: Iterable[str], prefix: str = "") -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
