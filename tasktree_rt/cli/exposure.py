"""Warn at start about secrets that other users can read, and about running as root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from structlog import get_logger

from tasktree_rt.cli.setting_options import is_secret
from tasktree_rt.cli.settings_sources import Loaded
from tasktree_rt.settings import Settings

log = get_logger(__name__)

OTHERS: Final = 0o077
"""The bits of a file's mode that let other users than its owner read, write or execute it."""
SECRET_FILES: Final = ("auth.secret_file", "redis.password_file", "tls.keyfile", "tls.keyfile_password_file")
"""Settings that are paths of files with a secret."""


def warn_of_exposure(loaded: Loaded) -> None:
    """Log a warning for each file with a secret that group or others may use, and if the hub runs as root."""
    if os.geteuid() == 0:
        log.warning("running as root", remedy="run the hub as a user of its own, as deploy/systemd does")
    if loaded.file is not None:
        _check_settings_file(loaded)
    for setting, path in _secret_files(loaded.settings):
        _check_secret_file(setting, path)


def _check_settings_file(loaded: Loaded) -> None:
    secrets = [
        path for path, origin in loaded.origins.items() if origin == str(loaded.file) and is_secret(path)
    ]
    mode = _loose_mode(loaded.file) if loaded.file and secrets else None
    if mode is not None:
        log.warning(
            "others can read the settings file",
            file=str(loaded.file),
            mode=mode,
            secrets=secrets,
            remedy=f"chmod 600 {loaded.file}",
        )


def _check_secret_file(setting: str, path: str) -> None:
    mode = _loose_mode(Path(path))
    if mode is not None:
        log.warning(
            "others can read a secret", file=path, mode=mode, setting=setting, remedy=f"chmod 600 {path}"
        )


def _secret_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return the files with secrets that the settings name, each with its setting."""
    for setting in SECRET_FILES:
        section, _, name = setting.partition(".")
        path = getattr(getattr(settings, section, None), name, "")
        if path:
            yield setting, path
    for entry in settings.auth.secrets:
        if "file" in entry:
            yield "auth.secrets", entry["file"]


def _loose_mode(file: Path | None) -> str | None:
    """Return the mode of a file that group or others may use, as in ``0644``; None if they may not.

    A file that cannot be looked at is reported by the code that reads it.
    """
    try:
        mode = os.stat(file or "").st_mode & 0o777
    except OSError:
        return None
    return f"{mode:04o}" if mode & OTHERS else None
