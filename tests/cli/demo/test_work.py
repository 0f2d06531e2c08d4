import hashlib
import os
import sys
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.cli.demo import work
from tasktree_rt.cli.demo.compiling import compile_fault
from tasktree_rt.cli.demo.work import Done, Unreadable, Vanished, examine


def test_a_file_is_hashed_whole(tmp_path: Path) -> None:
    content = os.urandom(3 * work.CHUNK + 17)
    (tmp_path / "big").write_bytes(content)
    assert examine(os.fsencode(tmp_path / "big")) == Done(len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (b"x = 1\n", None),
        (b"", None),
        (b"# coding: latin-1\nx = '\xe9'\n", None),
        (b"\xef\xbb\xbfx = 1\n", None),
        (b"x = '\\d'  # an invalid escape only warns\n", None),
        (b"x = (\n", "SyntaxError: line 1: '(' was never closed"),
        (b"x = 1\n  y = 2\n", "IndentationError: line 2: unexpected indent"),
        (b"if 1:\n\tx\n        y\n", "TabError: line 3"),
        (b"return 1\n", "SyntaxError: line 1: 'return' outside function"),
        (b"x = '\xe9'\n", "SyntaxError: "),
        (b"# coding: klingon\n", "SyntaxError: unknown encoding: klingon"),
        (b"# coding: hex\nx\n", "SyntaxError: "),
        (b"x = 1\0\n", "null bytes"),
        (b"-" * 100_000 + b"1", "MemoryError: nested too deeply"),
        (b"x" + b".a" * 100_000, "RecursionError: nested too deeply"),
        (b"1" * 5_000, "SyntaxError: "),
        (b"print 'hello'\n", "SyntaxError: line 1"),
    ],
)
async def test_python_that_does_not_compile_says_why(source: bytes, fault: str | None) -> None:
    found = await trio.to_thread.run_sync(compile_fault, source)
    if fault is None:
        assert found is None
    else:
        assert fault in (found or "")


@given(st.binary(max_size=200))
def test_whatever_a_source_holds_compiling_it_gives_a_verdict(source: bytes) -> None:
    fault = compile_fault(source)
    assert fault is None or (fault and not fault.startswith("\n"))


@given(st.binary(max_size=200))
def test_whatever_a_source_holds_what_is_said_of_it_can_be_shown(source: bytes) -> None:
    done = work._done(0, "", compile_fault(source))
    assert done.fault is None or (done.fault.isprintable() and len(done.fault) <= 500)
    assert all(line.isprintable() for line in (done.trace or "").split("\n"))


def test_a_python_file_that_does_not_compile_is_hashed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(b"x = (")
    outcome = examine(os.fsencode(tmp_path / "bad.py"))
    assert isinstance(outcome, Done)
    assert outcome.sha256 == hashlib.sha256(b"x = (").hexdigest()
    assert outcome.fault == "SyntaxError: line 1: '(' was never closed"


def test_other_files_are_not_compiled(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"x = (")
    outcome = examine(os.fsencode(tmp_path / "bad.txt"))
    assert isinstance(outcome, Done)
    assert outcome.fault is None


@pytest.mark.parametrize("source", ["((((", "x = 1", "x = '\\ud800'", "a = " + "(" * 2_000 + ")" * 2_000])
def test_a_large_source_is_compiled_elsewhere_with_the_same_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    path = os.fsencode(tmp_path / "big.py")
    (tmp_path / "big.py").write_text(source)
    here = examine(path)
    monkeypatch.setattr(work, "LARGEST_HERE", 1)
    assert examine(path) == here


def test_a_compiler_that_dies_elsewhere_is_a_fault_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LARGEST_HERE", 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (tmp_path / "big.py").write_text("x = 1")
    outcome = examine(os.fsencode(tmp_path / "big.py"))
    assert isinstance(outcome, Done)
    assert outcome.fault == "the compiler gave up: too large or nested too deeply"


def test_a_file_that_is_gone_has_vanished_and_a_dangling_link_has_not(tmp_path: Path) -> None:
    assert examine(os.fsencode(tmp_path / "none")) == Vanished()
    (tmp_path / "link").symlink_to("none")
    assert examine(os.fsencode(tmp_path / "link")) == Unreadable("a link to nothing")


def test_a_file_that_became_a_pipe_or_a_folder_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert examine(os.fsencode(tmp_path / "pipe")) == Unreadable("no longer a file: not read")
    assert examine(os.fsencode(tmp_path)) == Unreadable("no longer a file: not read")


def test_what_the_system_refuses_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert examine(os.fsencode(tmp_path / "x")) == Unreadable("permission denied")


def test_a_file_that_grows_while_it_is_read_is_not_chased(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * 10)

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"b" * 10)

    outcome = examine(os.fsencode(path), grow)
    assert outcome == Done(10, hashlib.sha256(b"a" * 10).hexdigest())


def test_a_file_that_shrinks_while_it_is_read_ends_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * 10)
    outcome = examine(os.fsencode(path), lambda: os.truncate(path, 4))
    assert outcome == Done(4, hashlib.sha256(b"a" * 4).hexdigest())


def test_the_work_on_a_large_file_can_be_broken_off(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(3 * work.CHUNK))
    calls = []

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine(os.fsencode(tmp_path / "big"), checkpoint)
    assert len(calls) == 2
