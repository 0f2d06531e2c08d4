import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasktree_rt.cli.demo.walk import Entry, Kind, walk


def seen(root: Path) -> dict[bytes, Entry]:
    entries = list(walk(os.fsencode(root)))
    assert len({entry.path for entry in entries}) == len(entries)
    return {entry.path: entry for entry in entries}


def test_parents_come_first_and_siblings_as_people_look_for_them(tmp_path: Path) -> None:
    for name in ("b/z.py", "b/a/deep.txt", "a.txt", "B.txt", "c/only", ".d/x", ".hidden", "C.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    entries = list(walk(os.fsencode(tmp_path)))
    files = [b"a.txt", b"B.txt", b"C.txt", b".hidden"]
    within = [b"b", b"b/z.py", b"b/a", b"b/a/deep.txt", b"c", b"c/only", b".d", b".d/x"]
    assert [entry.path for entry in entries] == [b"", *files, *within]
    top = [entry for entry in entries if entry.path and b"/" not in entry.path]
    ordered = sorted(top, key=lambda entry: entry.order)
    assert [entry.path for entry in ordered] == [b"b", b"c", b".d", *files]
    assert [entry.order for entry in ordered] == list(range(7))


def test_an_empty_folder_is_itself_alone(tmp_path: Path) -> None:
    assert list(walk(os.fsencode(tmp_path))) == [Entry(b"", Kind.FOLDER)]


def test_links_to_folders_are_named_but_not_entered(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "real" / "up").symlink_to("..")
    entries = seen(tmp_path)
    assert set(entries) == {b"", b"real", b"real/file", b"loop", b"real/up"}
    assert entries[b"loop"].kind is entries[b"real/up"].kind is Kind.LINK
    assert "not followed" in (entries[b"loop"].note or "")


def test_links_to_files_are_files_and_links_to_nowhere_are_failed_ones(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "good").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "self").symlink_to("self")
    entries = seen(tmp_path)
    assert entries[b"good"] == Entry(b"good", Kind.FILE, order=2)
    assert entries[b"dangling"] == Entry(b"dangling", Kind.FILE, fault="a link to nothing")
    assert entries[b"self"].kind is Kind.FILE
    assert "symbolic links" in (entries[b"self"].fault or "")


def test_what_is_neither_folder_nor_file_is_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        os_path = os.path.relpath(tmp_path / "socket")
        listener.bind(min(str(tmp_path / "socket"), os_path, key=len))
        entries = seen(tmp_path)
    assert {path: entry.note for path, entry in entries.items() if path} == {
        b"pipe": "a named pipe: not opened",
        b"null": "a character device: not opened",
        b"socket": "a socket: not opened",
    }
    assert all(entry.kind is Kind.SPECIAL for path, entry in entries.items() if path)


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    os.mkdir(root + b"/d\xff")
    for name in (b"/d\xff/\xe9", b"/new\nline"):
        with open(root + name, "wb"):
            pass
    assert set(seen(tmp_path)) == {b"", b"d\xff", b"d\xff/\xe9", b"new\nline"}


def test_a_folder_that_cannot_be_read_is_told_and_the_walk_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("locked", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    scandir = os.scandir

    def guarded(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        if path.endswith(b"/locked"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    entries = seen(tmp_path)
    assert entries[b"locked"] == Entry(b"locked", Kind.FOLDER, fault="permission denied")
    assert b"open/file" in entries


def test_what_vanishes_between_listing_and_looking_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "gone"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    entries = walk(os.fsencode(tmp_path))
    first = [next(entries), next(entries), next(entries)]
    (tmp_path / "gone" / "file").unlink()
    (tmp_path / "gone").rmdir()
    assert [entry.path for entry in (*first, *entries)] == [b"", b"a", b"a/file"]


def test_a_folder_that_never_was_is_told(tmp_path: Path) -> None:
    assert list(walk(os.fsencode(tmp_path / "none"))) == [Entry(b"", Kind.FOLDER, fault="no such folder")]


def test_a_path_too_long_for_the_system_is_told(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    entries = list(walk(os.fsencode(tmp_path)))
    assert "too long" in (entries[-1].fault or "")
