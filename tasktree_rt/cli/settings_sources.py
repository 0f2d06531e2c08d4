"""Read settings from a TOML file, then the environment, then flags; later sources win.

Every value keeps its origin. An invalid value is one `SettingsError` that names the place: the
file and the key, the environment variable, or the flag. typed-settings provides the layers, their names and
their merging (its own ``load_settings`` would drop the origins, coerce ``5`` to ``"5"`` and ignore
a misspelt section silently).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from typed_settings.dict_utils import merge_settings, set_path
from typed_settings.loaders import EnvLoader
from typed_settings.types import LoadedSettings, LoaderMeta, OptionList, SettingsClass, SettingsDict

from tasktree_rt.cli.setting_options import BY_PATH, GROUPS, OPTIONS, is_secret, parse_text, perhaps
from tasktree_rt.cli.settings_file import FromFile, find_file
from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Settings, UnfitSetting

PREFIX: Final = "TASKTREE_RT_"
DEFAULT: Final = "default"
CLIENT_VARIABLES: Final = frozenset(
    {
        "TASKTREE_RT_CAFILE",
        "TASKTREE_RT_CLIENT_CERT",
        "TASKTREE_RT_CLIENT_KEY",
        "TASKTREE_RT_CONFIG",
        "TASKTREE_RT_HUB",
        "TASKTREE_RT_INSECURE_TLS",
        "TASKTREE_RT_PARENT",
        "TASKTREE_RT_PROJECT",
        "TASKTREE_RT_SPOOL",
        "TASKTREE_RT_TOKEN",
        "TASKTREE_RT_TOKEN_FILE",
    }
)
"""Variables of this prefix that commands read and that are no settings of the hub."""
ORIGINALS: Final = {
    "WEBSOCKET_HOST": "aiecs.host",
    "WEBSOCKET_PORT": "aiecs.port",
    "WEBSOCKET_MAX_CONNECTIONS": "aiecs.max_connections",
    "WEBSOCKET_PING_INTERVAL": "aiecs.ping_interval",
    "WEBSOCKET_PING_TIMEOUT": "aiecs.ping_timeout",
    "WEBSOCKET_CALLBACK_TIMEOUT": "aiecs.callback_timeout",
}
"""Variables of AIECS' own WebSocket manager by the equivalent setting; this hub's own names win."""


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
                close = perhaps(
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
        raise SettingsError(f"--set {path}: unknown setting{perhaps(path, BY_PATH)}")
    if is_secret(path):
        raise SettingsError(
            f"--set {path}: a secret; give it in the file or as {EnvLoader(PREFIX).get_envvar(BY_PATH[path])}"
        )
    name = f"--set {path}"
    return Flag(name, path, parse_text(BY_PATH[path], value, name))


def _single(origin: str, path: str, value: object) -> LoadedSettings:
    values: SettingsDict = {}
    set_path(values, path, value)
    return LoadedSettings(values, LoaderMeta(origin))


def _build(values: SettingsDict) -> Settings:
    made: dict[str, Any] = {
        name: GROUPS[name](**value) if name in GROUPS and isinstance(value, dict) else value
        for name, value in values.items()
    }
    return Settings(**made)
