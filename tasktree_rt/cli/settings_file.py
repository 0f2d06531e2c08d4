"""Find the settings file and read it: a layer of `settings_sources`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from attrs import frozen
from platformdirs import user_config_path
from typed_settings.dict_utils import set_path
from typed_settings.exceptions import ConfigFileLoadError, ConfigFileNotFoundError
from typed_settings.loaders import TomlFormat
from typed_settings.types import LoadedSettings, LoaderMeta, OptionList, SettingsClass, SettingsDict

from tasktree_rt.cli.setting_options import BY_PATH, GROUPS, check, perhaps
from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import shown_value

SECTION: Final = "tasktree-rt"
FILE_NAME: Final = "tasktree-rt.toml"
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
            check(path, value, place)
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
            elif path not in GROUPS:
                known = (one.removeprefix(prefix) for one in (*BY_PATH, *GROUPS) if one.startswith(prefix))
                raise SettingsError(f"{self.path}: {SECTION}.{path}: unknown setting{perhaps(name, known)}")
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


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
