"""Checks of a store in a SQLite file. Nothing is written, and no lock is kept."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tasktree_rt.brokers.sqlite import schema
from tasktree_rt.brokers.sqlite.lock_file import holder_of
from tasktree_rt.cli.doctor.finding import HINT, OK, PROBLEM, Finding

_GIB: Final = 1 << 30
_MIB: Final = 1 << 20
_CHECKED: Final = 64 * _MIB
"""Bytes up to which every page is checked: a second or so."""
_AHEAD: Final = 5.0
"""Seconds by which the newest event may be ahead of the clock."""
_SHARED: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "glusterfs", "ceph"})
"""File systems of other machines: SQLite's write-ahead log needs memory that its users share."""


def check_store(path: Path) -> Iterator[Finding]:
    """Check the folder, the disk, and the database if there is one."""
    folder = _nearest_folder(path.absolute().parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "let this user write there, or choose another place with --store sqlite:PATH"
        yield Finding(PROBLEM, "store", f"{path}: this user cannot write into {folder}", remedy)
    elif not path.exists():
        yield Finding(OK, "store", f"{path}: does not exist yet; the hub makes it")
    else:
        yield from _check_database(path)
    yield from _check_disk(folder, path)


def _nearest_folder(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _check_database(path: Path) -> Iterator[Finding]:
    try:
        with closing(_opened(path)) as connection:
            yield from _findings(path, connection)
    except (sqlite3.Error, OSError) as error:
        why = schema.reason(error) if isinstance(error, sqlite3.Error) else error.strerror
        remedy = "tasktree-rt export PROJECT writes what can still be read; then restore a backup"
        yield Finding(PROBLEM, "store", f"{path}: {why}", remedy)


def _opened(path: Path) -> sqlite3.Connection:
    how = "mode=ro" if os.path.exists(f"{path}-wal") else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True, timeout=5.0)


def _findings(path: Path, connection: sqlite3.Connection) -> Iterator[Finding]:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    size = path.stat().st_size
    if application_id != schema.APPLICATION_ID:
        yield Finding(PROBLEM, "store", f"{path} is a database of another program", "name another file")
        return
    if version > schema.VERSION:
        known = f"schema {version}, known is {schema.VERSION}"
        text = f"{path} was written by a newer version of this program ({known})"
        yield Finding(PROBLEM, "store", text, "run that version, or restore a backup made before the upgrade")
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if size <= _CHECKED else "ok"
    if verdict != "ok":
        remedy = "restore a backup; tasktree-rt export PROJECT writes what can still be read"
        yield Finding(PROBLEM, "store", f"{path} is damaged: {' '.join(str(verdict).split())}", remedy)
    elif version < schema.VERSION:
        text = f"{path} has schema {version}; at its start a hub makes it schema {schema.VERSION}"
        yield Finding(HINT, "store", text, "back it up first: an older version cannot open it afterwards")
    else:
        holder = holder_of(str(path))
        used = f", open in a hub (process {holder})" if holder else ""
        yield Finding(OK, "store", f"{path}, {size / _MIB:.1f} MiB, schema {version}{used}")
    yield from _check_newest(connection)


def _check_newest(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Check that no log ends in the future: then the clock was set back."""
    (received,) = connection.execute("SELECT max(received) FROM life").fetchone()
    ahead = (received or 0) / 1_000_000 - time.time()
    if ahead > _AHEAD:
        text = f"the newest event is {ahead:.0f} s ahead of this machine's clock"
        yield Finding(
            HINT, "clock", text, "set the clock; until then events look older than those before them"
        )


def _check_disk(folder: Path, path: Path) -> Iterator[Finding]:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    text = f"{free / _GIB:.1f} GiB free at {folder}"
    if free < _GIB:
        yield Finding(
            HINT, "disk", text, "make room; keep.max_events, keep.max_bytes and keep.max_age bound the store"
        )
    else:
        yield Finding(OK, "disk", text)
    kind = _file_system(folder)
    if kind in _SHARED:
        text = f"{path} is on a file system of another machine ({kind})"
        yield Finding(
            PROBLEM, "disk", text, "use a disk of this machine: SQLite's log does not work over a network"
        )


def _file_system(folder: Path) -> str:
    """Return the kind of the file system that holds a folder; empty where that is unknown."""
    try:
        mounts = [
            line.split() for line in Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines()
        ]
    except OSError:
        return ""
    real = str(folder.resolve())
    above = [(len(one[1]), one[2]) for one in mounts if _holds(one[1].replace("\\040", " "), real)]
    return max(above, default=(0, ""))[1]


def _holds(mount: str, path: str) -> bool:
    return path == mount or path.startswith(mount.rstrip("/") + "/")
