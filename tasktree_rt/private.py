"""Files and folders that only their owner may read and write, whatever the umask is."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

FILE: Final = 0o600
FOLDER: Final = 0o700


def make_folder(path: str) -> None:
    """Make a folder, and those above it that are missing. One that is there keeps its mode.

    Raises:
        OSError: it cannot be made, or something else has its place.
    """
    if not path or os.path.isdir(path):
        return
    make_folder(os.path.dirname(path))
    try:
        os.mkdir(path, FOLDER)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return
    os.chmod(path, FOLDER)


def tighten(file: int | str) -> None:
    """Give a file, by descriptor or path, the mode 0600. Another user's file keeps its mode.

    Raises:
        OSError: it is not there.
    """
    if os.stat(file).st_mode & 0o777 != FILE:
        with suppress(PermissionError):
            os.chmod(file, FILE)
