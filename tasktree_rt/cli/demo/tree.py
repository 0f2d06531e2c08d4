"""The progress of each folder: the share of finished files below it.

A folder is pushed only when its whole percent or its end changes. So a
folder with 50,000 files is pushed about a hundred times, not 50,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define, frozen

RUNNING: Final = "running"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"


@define
class Folder:
    """The counts of one folder: the files below it, at any depth.

    Attributes:
        finished: files that ended in any way.
        failed: files that failed, and folders that could not be read.
        cancelled: files that were cancelled.
        broken: the folder could not be read.
    """

    parent: bytes | None
    total: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    broken: bool = False

    @property
    def progress(self) -> int:
        """Return the progress in whole percent; 100 exactly when all files are finished."""
        return 100 * self.finished // self.total if self.total else 100

    @property
    def status(self) -> str:
        """Return ``running`` until all files are finished; then ``completed``, or ``failed`` if any failed,
        or ``cancelled`` if any was cancelled."""
        if self.finished < self.total:
            return RUNNING
        if self.failed or self.broken:
            return FAILED
        return CANCELLED if self.cancelled else COMPLETED


@frozen
class News:
    """The status and progress of a folder. `again`: the last pushed status was an end, and the folder runs
    again."""

    path: bytes
    progress: int
    status: str
    again: bool = False


class Folders:
    """All folders by path; ``b""`` is the root."""

    def __init__(self) -> None:
        self._folders: dict[bytes, Folder] = {}
        self._shown: dict[bytes, tuple[int, str]] = {}
        self._touched: dict[bytes, None] = {}

    def __getitem__(self, path: bytes) -> Folder:
        return self._folders[path]

    def __len__(self) -> int:
        return len(self._folders)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._folders)

    def __contains__(self, path: bytes) -> bool:
        return path in self._folders

    def add_folder(self, path: bytes, *, broken: bool = False) -> None:
        """Add a folder, after its parent. It counts as pushed at 0 %, ``running``."""
        parent = path.rpartition(b"/")[0] if path else None
        self._folders[path] = Folder(parent, broken=broken)
        self._shown[path] = (0, RUNNING)
        self._touched[path] = None
        if broken:
            self._count(parent, failed=1)

    def add_file(self, folder: bytes) -> None:
        """Add an unfinished file to `folder`."""
        self._count(folder, total=1)

    def finish(self, folder: bytes, *, failed: bool) -> None:
        """Finish a file of the folder."""
        self._count(folder, finished=1, failed=int(failed))

    def cancel(self, folder: bytes) -> None:
        """Cancel an unfinished file of the folder."""
        self._count(folder, finished=1, cancelled=1)

    def reopen(self, folder: bytes) -> None:
        """Make a failed file of the folder unfinished again."""
        self._count(folder, finished=-1, failed=-1)

    def vanish(self, folder: bytes) -> None:
        """Remove an unfinished file of the folder."""
        self._count(folder, total=-1)

    def changed(self) -> list[News]:
        """Return the folders that changed since they were last pushed; children before parents. Do not call
        it before all is added: a folder that ended goes on only if a file of it is reopened.
        """
        news = []
        for path in sorted(self._touched, key=lambda path: (-path.count(b"/"), path == b"", path)):
            now = (self._folders[path].progress, self._folders[path].status)
            before = self._shown.get(path)
            if before != now:
                self._shown[path] = now
                news.append(News(path, *now, again=before is not None and before[1] != RUNNING))
        self._touched.clear()
        return news

    def _count(
        self, path: bytes | None, *, total: int = 0, finished: int = 0, failed: int = 0, cancelled: int = 0
    ) -> None:
        while path is not None:
            folder = self._folders[path]
            folder.total += total
            folder.finished += finished
            folder.failed += failed
            folder.cancelled += cancelled
            self._touched[path] = None
            path = folder.parent
