"""Walk a folder: every folder, file and other entry in it, parents first, always in the same order.

The walk names linked folders but never enters them, so no loop of links traps it. It names entries that are
neither folder nor file (socket, pipe, device) but never opens them. It reports folders that vanish or cannot
be read and goes on. Paths are bytes throughout; memory is one listing per level of depth.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

from attrs import evolve, frozen


class Kind(Enum):
    """The kind of an entry; the value is the node's ``kind``."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    """A link to a folder: not entered."""
    SPECIAL = "special"
    """Neither folder nor file: not opened."""


@frozen
class Entry:
    """One entry of the folder.

    Attributes:
        path: relative to the walked folder; ``b""`` is that folder.
        kind: a link to a file is a file.
        fault: why it cannot be read, if known.
        note: a remark for people.
        order: its place in its folder.
    """

    path: bytes
    kind: Kind
    fault: str | None = None
    note: str | None = None
    order: int = 0

    @property
    def parent(self) -> bytes:
        """Return the path of the entry's folder."""
        return self.path.rpartition(b"/")[0]


_SPECIAL: Final = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def nothing(path: bytes) -> bool:
    """Leave no entry out."""
    return False


def walk(root: bytes, leaves_out: Callable[[bytes], bool] = nothing) -> Iterator[Entry]:
    """Yield every entry of `root`, itself first, depth first, without those that `leaves_out` names.

    The files of a folder come before the entries of its folders. Siblings are in the order that people
    expect: folders first, hidden ones last, by name, whatever its case.

    Raises no error: faults are in the entries.
    """
    waiting = [Entry(b"", Kind.FOLDER)]
    while waiting:
        folder = waiting.pop()
        try:
            entries = _listing(root, folder.path, leaves_out)
        except FileNotFoundError:
            if not folder.path:
                yield evolve(folder, fault="no such folder")
            continue
        except OSError as error:
            yield evolve(folder, fault=reason(error))
            continue
        yield folder
        yield from (entry for entry in entries if entry.kind is not Kind.FOLDER)
        waiting.extend(entry for entry in reversed(entries) if entry.kind is Kind.FOLDER)


def reason(error: OSError) -> str:
    """Describe an operating system's error, without the path, which is the node's."""
    return (error.strerror or type(error).__name__).lower()


def _listing(root: bytes, folder: bytes, leaves_out: Callable[[bytes], bool]) -> list[Entry]:
    prefix = folder + b"/" if folder else b""
    with os.scandir(os.path.join(root, folder) if folder else root) as listing:
        found = sorted(listing, key=lambda item: item.name)
    entries = [_entry(prefix + item.name, item) for item in found if not leaves_out(prefix + item.name)]
    ordered = sorted((entry for entry in entries if entry is not None), key=_as_people_look)
    return [evolve(entry, order=place) for place, entry in enumerate(ordered)]


def _as_people_look(entry: Entry) -> tuple[bool, bool, bytes, bytes]:
    name = entry.path.rpartition(b"/")[2]
    return entry.kind is not Kind.FOLDER, name.startswith(b"."), name.lower(), name


def _entry(path: bytes, item: os.DirEntry[bytes]) -> Entry | None:
    """Return the entry; None if it vanished since it was listed."""
    try:
        linked = item.is_symlink()
        mode = item.stat().st_mode
    except FileNotFoundError:
        return Entry(path, Kind.FILE, fault="a link to nothing") if _linked_still(item) else None
    except OSError as error:
        return Entry(path, Kind.FILE, fault=reason(error))
    return _of_mode(path, mode, linked)


def _linked_still(item: os.DirEntry[bytes]) -> bool:
    """Return whether the name is a link now."""
    return os.path.islink(item.path)


def _of_mode(path: bytes, mode: int, linked: bool) -> Entry:
    if stat.S_ISDIR(mode):
        return (
            Entry(path, Kind.LINK, note="a link to a folder: not followed")
            if linked
            else Entry(path, Kind.FOLDER)
        )
    if stat.S_ISREG(mode):
        return Entry(path, Kind.FILE)
    what = next((name for test, name in _SPECIAL if test(mode)), "neither folder nor file")
    return Entry(path, Kind.SPECIAL, note=f"{what}: not opened")
