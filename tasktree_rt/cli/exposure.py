"""Warn at start about secrets that other users can read, and about running as root."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen
from structlog import get_logger

from tasktree_rt.cli.setting_options import is_secret
from tasktree_rt.cli.settings_sources import Loaded
from tasktree_rt.settings import Settings

log = get_logger(__name__)

OTHERS: Final = 0o077
"""The bits of a file's mode that let other users than its owner read, write or execute it."""
SECRET_FILES: Final = ("auth.secret_file", "redis.password_file", "tls.keyfile", "tls.keyfile_password_file")
"""Settings that are paths of files with a secret."""


@frozen
class Exposure:
    """A secret that others can read, or a hub that runs as root.

    Attributes:
        event: what it is, in a few words.
        details: the file, its mode and the settings.
        remedy: what to do.
    """

    event: str
    details: Mapping[str, object]
    remedy: str


def warn_of_exposure(loaded: Loaded) -> None:
    """Log a warning for each file with a secret that group or others may use, and if the hub runs as root."""
    for one in exposures(loaded):
        log.warning(one.event, **one.details, remedy=one.remedy)


def exposures(loaded: Loaded) -> Iterator[Exposure]:
    """Look at the user that runs this program, and at each file with a secret."""
    if os.geteuid() == 0:
        yield Exposure("running as root", {}, "run the hub as a user of its own, as deploy/systemd does")
    if loaded.file is not None:
        yield from _check_settings_file(loaded.file, loaded)
    for setting, path in named_files(loaded.settings):
        mode = _loose_mode(Path(path))
        if mode is not None:
            details = {"file": path, "mode": mode, "setting": setting}
            yield Exposure("others can read a secret", details, f"chmod 600 {path}")


def _check_settings_file(file: Path, loaded: Loaded) -> Iterator[Exposure]:
    secrets = [path for path, origin in loaded.origins.items() if origin == str(file) and is_secret(path)]
    mode = _loose_mode(file) if secrets else None
    if mode is not None:
        details = {"file": str(file), "mode": mode, "secrets": secrets}
        yield Exposure("others can read the settings file", details, f"chmod 600 {file}")


def named_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return the files with secrets that the settings name, each with its setting."""
    for setting in SECRET_FILES:
        section, _, name = setting.partition(".")
        path = getattr(getattr(settings, section, None), name, "")
        if path:
            yield setting, path
    for entry in settings.auth.secrets:
        if "file" in entry:
            yield "auth.secrets", entry["file"]


def _loose_mode(file: Path) -> str | None:
    """Return the mode of a file that group or others may use, as in ``0644``; None if they may not.

    A file that cannot be looked at is reported by the code that reads it.
    """
    try:
        mode = os.stat(file).st_mode & 0o777
    except OSError:
        return None
    return f"{mode:04o}" if mode & OTHERS else None
