r"""A file that keeps unacknowledged publishes over the death of their process.

Append-only lines, each with a checksum::

    tasktree-rt spool 1 "<producer id>"\n
    P<crc32, 8 hex> {"type":"publish",…}\n      to be sent
    D<crc32, 8 hex> "<publish id>"\n            settled: acknowledged, or refused for good

A torn last line is cut off when the file is opened; a damaged line before an intact one (a power cut
may leave that) is skipped and counted. When nothing waits the file shrinks to its first line, and when
more than half of it is settled it is to be rewritten (`due`, `rewrite`, `swap`).

A line is written before `append` returns: it survives the death of the process at any instant. After
`sync`, which is called for each publish if `fsync` is set, it is on the disk and survives a power cut;
without, what the system had not yet written is lost then. A lost ``D`` line costs one repeat, which the
hub answers as a duplicate.

Nothing here is thread-safe; `rewrite` may run in a worker thread while nothing else but `load` is called.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final
from zlib import crc32

from attrs import define, frozen

from tasktree_rt import private
from tasktree_rt.client.producer.file_lock import lock
from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.errors import ClientError, InvalidInput

_MAGIC: Final = b"tasktree-rt spool 1 "
_LINE: Final = re.compile(rb"([PD])([0-9a-f]{8}) ([^\n]*)\n")
_SLACK: Final = 64 * 1024
_PREFIX: Final = len(b"P01234567 ")


@define(eq=False)
class Place:
    """The place of a publish in the file: `offset` and `size` of its text, in bytes."""

    id: str
    offset: int
    size: int


@frozen
class Rewritten:
    """A fresh file with what waits, in place on the disk but not yet in use."""

    fd: int
    offsets: tuple[int, ...]
    end: int


class Spool:
    """See the module. `waiting` has what is not settled, oldest first; `damaged` counts lost lines."""

    def __init__(self, path: Path, producer_id: str, max_bytes: int, *, fsync: bool = False) -> None:
        """Open or create the file.

        Raises:
            ClientError: in use by another process, another producer's, not a spool, or unreadable.
        """
        self.path = path
        self.max_bytes = max_bytes
        self.waiting: dict[str, Place] = {}
        self.damaged = 0
        self.fsync = fsync
        self._due_above = 0
        self._header = b"%b%b\n" % (_MAGIC, encode_json(producer_id))
        try:
            self._fd = _open_locked(path)
        except OSError as error:
            raise ClientError(f"spool {path}: {error.strerror or error}") from error
        try:
            self._end = self._read()
            os.ftruncate(self._fd, self._end)
            private.tighten(self._fd)
        except BaseException:
            os.close(self._fd)
            raise
        self._live = sum(map(_cost, self.waiting.values()))

    @property
    def size(self) -> int:
        """Bytes of what waits; at most `max_bytes`. The file itself stays below twice that and 64 KiB."""
        return self._live

    def room(self, size: int) -> bool:
        """Whether a publish of `size` bytes may be appended; a single one always may."""
        return not self.waiting or self._live + size + _PREFIX + 1 <= self.max_bytes

    def append(self, publish_id: str, text: bytes) -> Place:
        """Keep a publish; with `fsync` call `sync` next, in a thread if you like.

        Raises:
            ClientError: it could not be written; nothing of it was kept.
        """
        place = Place(publish_id, self._end + _PREFIX, len(text))
        try:
            self._write(_line(b"P", text))
        except OSError as error:
            self._cut_back(place.offset - _PREFIX)
            raise ClientError(f"spool {self.path}: {error.strerror or error}") from error
        self.waiting[publish_id] = place
        self._live += _cost(place)
        return place

    def sync(self) -> None:
        """Wait until everything appended is on the disk.

        Raises:
            ClientError: it is not.
        """
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise ClientError(f"spool {self.path}: {error.strerror or error}") from error

    def load(self, place: Place) -> bytes:
        """The text of a publish that waits.

        Raises:
            ClientError: it cannot be read.
        """
        try:
            return os.pread(self._fd, place.size, place.offset)
        except OSError as error:
            raise ClientError(f"spool {self.path}: {error.strerror or error}") from error

    def settle(self, place: Place) -> None:
        """A publish need not be sent again."""
        del self.waiting[place.id]
        self._live -= _cost(place)
        before = self._end
        try:
            if self.waiting:
                self._write(_line(b"D", encode_json(place.id)))
            else:
                self._cut_back(len(self._header))
        except OSError:
            # Not worth an error: the publish is safe at the hub, a repeat is answered as a duplicate.
            self._cut_back(before)

    def due(self) -> bool:
        """Whether more than half of the file is settled, so that it should be rewritten."""
        return self._end > self._due_above and self._end - self._live > max(_SLACK, self._live)

    def postpone(self) -> None:
        """Rewriting failed: not `due` again before the file has doubled."""
        self._due_above = 2 * self._end

    def rewrite(self) -> Rewritten:
        """Put a fresh file with what waits in this one's place, on the disk when this returns; then `swap`.

        Raises:
            OSError: it could not; the present file stays.
        """
        path = self.path.with_name(self.path.name + ".new")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, private.FILE)
        try:
            private.tighten(fd)
            lock(fd)
            fresh = self._copy_to(fd)
            os.fsync(fd)
            path.rename(self.path)
        except BaseException:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        with suppress(OSError):  # the new file is in place; at worst a power cut brings the old one back
            _sync_folder(self.path.parent)
        return fresh

    def swap(self, fresh: Rewritten) -> None:
        """Go on with `fresh`. Between `rewrite` and this nothing but `load` may be called."""
        os.close(self._fd)
        self._fd, self._end, self._due_above = fresh.fd, fresh.end, 0
        for place, offset in zip(self.waiting.values(), fresh.offsets, strict=True):
            place.offset = offset

    def close(self) -> None:
        """Let the file go; what waits stays in it."""
        os.close(self._fd)

    def _copy_to(self, fd: int) -> Rewritten:
        _write_all(fd, self._header, 0)
        end, offsets = len(self._header), []
        for place in self.waiting.values():
            line = _line(b"P", self.load(place))
            _write_all(fd, line, end)
            offsets.append(end + _PREFIX)
            end += len(line)
        return Rewritten(fd, tuple(offsets), end)

    def _write(self, line: bytes) -> None:
        _write_all(self._fd, line, self._end)
        self._end += len(line)

    def _cut_back(self, end: int) -> None:
        """Forget everything from `end`. If even that fails, the next line is written over it all the same."""
        with suppress(OSError):
            os.ftruncate(self._fd, end)
        self._end = end

    def _read(self) -> int:
        """Take in the file; returns where the next line goes."""
        with os.fdopen(os.dup(self._fd), "rb") as file:
            first = file.readline(len(self._header) + _SLACK)
            if first != self._header:
                return self._begin(first)
            end = at = len(first)
            damaged = 0
            for line in file:
                at += len(line)
                if self._take(line, at):
                    self.damaged += damaged
                    end, damaged = at, 0
                else:
                    damaged += 1
        return end

    def _begin(self, first: bytes) -> int:
        """Start a file that is new, or that died while its first line was written."""
        torn = not first.endswith(b"\n") and (first.startswith(_MAGIC) or _MAGIC.startswith(first))
        if not torn:
            ours = first.startswith(_MAGIC)
            raise ClientError(f"spool {self.path}: {'of another producer' if ours else 'not a spool'}")
        _write_all(self._fd, self._header, 0)
        return len(self._header)

    def _take(self, line: bytes, after: int) -> bool:
        """Take in one line that ends at `after`; whether it is intact."""
        match = _LINE.fullmatch(line)
        if match is None or int(match[2], 16) != crc32(match[3]):
            return False
        try:
            value = decode_json(match[3])
        except InvalidInput:
            return False
        publish_id = value.get("id") if isinstance(value, dict) else value
        if not isinstance(publish_id, str):
            return False
        if match[1] == b"D":
            self.waiting.pop(publish_id, None)
        else:
            size = len(match[3])
            self.waiting[publish_id] = Place(publish_id, after - 1 - size, size)
        return True


def _cost(place: Place) -> int:
    return place.size + _PREFIX + 1


def _line(kind: bytes, payload: bytes) -> bytes:
    return b"%b%08x %b\n" % (kind, crc32(payload), payload)


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open_locked(path: Path) -> int:
    """Open `path` for this process alone."""
    private.make_folder(str(path.parent))
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
        try:
            lock(fd)
            # Between open and lock its owner may have put a rewritten file in this one's place.
            if os.fstat(fd).st_ino == path.stat().st_ino:
                return fd
        except BlockingIOError:
            os.close(fd)
            raise ClientError(f"spool {path}: in use by another process") from None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
