"""See whether a file has changed, without reading it."""

from __future__ import annotations

import os
from pathlib import Path

FileStamp = tuple[int, int, int, int] | None
"""Modification time (ns), size, inode and device; None for a file that is missing."""


def file_stamp(path: str) -> FileStamp:
    """Return what differs once the file at `path` is written or replaced; ``~`` is the user's home."""
    try:
        found = os.stat(Path(path).expanduser())
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
