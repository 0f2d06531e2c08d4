"""Checks of files with secrets, and of the user that runs the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tasktree_rt.cli.doctor.finding import HINT, OK, PROBLEM, Finding
from tasktree_rt.cli.exposure import exposures, named_files
from tasktree_rt.cli.settings_sources import Loaded


def check_secrets(loaded: Loaded) -> Iterator[Finding]:
    """Check that each file with a secret can be read, by its owner only."""
    files = list(named_files(loaded.settings))
    for setting, path in files:
        try:
            with Path(path).expanduser().open("rb"):
                pass
        except OSError as error:
            text = f"{setting}: {path}: {error.strerror}"
            yield Finding(PROBLEM, "secrets", text, "correct the path, or let the hub's user read the file")
    found = list(exposures(loaded))
    for one in found:
        text = ", ".join([one.event, *(f"{name} {value}" for name, value in one.details.items())])
        yield Finding(HINT, "secrets", text, one.remedy)
    if files and not found:
        yield Finding(OK, "secrets", f"{len(files)} files, readable by their owner only")
