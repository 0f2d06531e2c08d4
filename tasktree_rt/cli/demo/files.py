"""The status of each file, the queue of files, and the tasks that wait for files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import trio
from attrs import define, field

READY: Final = "ready"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
VANISHED: Final = "vanished"


@define(eq=False)
class Watch:
    """A task waits until these files are finished; `ends` has the end of each."""

    left: set[bytes]
    ends: dict[bytes, str] = field(factory=dict)
    over: trio.Event = field(factory=trio.Event)


class Files:
    """All files of a run by path, with their statuses, and the queue of files to work on."""

    def __init__(self) -> None:
        self._status: dict[bytes, str] = {}
        self._queue: dict[bytes, None] = {}
        self._scopes: dict[bytes, trio.CancelScope] = {}
        self._watches: list[Watch] = []

    def __contains__(self, path: bytes) -> bool:
        return path in self._status

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._status)

    def __getitem__(self, path: bytes) -> str:
        return self._status[path]

    def get(self, path: bytes) -> str | None:
        """Return the file's status; None if it is no file."""
        return self._status.get(path)

    def count(self, status: str) -> int:
        """Count the files with that status."""
        return sum(1 for one in self._status.values() if one == status)

    def under(self, path: bytes, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Return the wanted files at `path` or below it."""
        inside = path + b"/" if path else b""
        return [one for one in self._status if (one == path or one.startswith(inside)) and wanted(one)]

    def add(self, path: bytes, *, failed: bool) -> None:
        """Add a file; it joins the queue unless it failed already."""
        self._status[path] = FAILED if failed else READY
        if not failed:
            self._queue[path] = None

    @property
    def unfinished(self) -> bool:
        """Whether any file is unfinished."""
        return self.waiting or any(one in (READY, RUNNING) for one in self._status.values())

    @property
    def waiting(self) -> bool:
        """Whether the queue has files."""
        return bool(self._queue)

    def queued(self, path: bytes) -> bool:
        """Return whether the file is in the queue."""
        return path in self._queue

    def again(self, paths: Iterable[bytes]) -> None:
        """Put the failed files into the queue again."""
        self._queue.update(dict.fromkeys(paths))

    def take(self) -> tuple[bytes, bool, trio.CancelScope]:
        """Take the next file: its path, whether it failed before, and the scope of its work."""
        path = next(iter(self._queue))
        del self._queue[path]
        again = self._status[path] == FAILED
        self._status[path] = RUNNING
        scope = self._scopes[path] = trio.CancelScope()
        return path, again, scope

    def end(self, path: bytes, status: str) -> None:
        """Finish the file and wake the tasks that wait for it."""
        self._scopes.pop(path, None)
        self._queue.pop(path, None)
        self._status[path] = status
        for watch in self._watches:
            if path in watch.left:
                watch.left.remove(path)
                watch.ends[path] = status
                if not watch.left:
                    watch.over.set()
        self._watches = [watch for watch in self._watches if watch.left]

    def stop(self, path: bytes) -> None:
        """Cancel the work on the file."""
        self._scopes[path].cancel()

    def watch(self, paths: Iterable[bytes]) -> Watch:
        """Watch files; `Watch.over` is set when all of them are finished."""
        watch = Watch(set(paths))
        if watch.left:
            self._watches.append(watch)
        else:
            watch.over.set()
        return watch

    def give_up(self) -> None:
        """End the queue: no more files are worked on."""
        self._queue.clear()
        for watch in self._watches:
            watch.over.set()
        self._watches.clear()
