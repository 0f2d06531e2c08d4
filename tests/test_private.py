"""Files and folders of one's own, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasktree_rt import private

UMASKS = [0o000, 0o022, 0o077, 0o277]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("mask", UMASKS)
def test_every_folder_that_is_made_is_the_owners_alone(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        private.make_folder(str(tmp_path / "a" / "b" / "c"))
    assert [mode(tmp_path / one) for one in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private.make_folder(str(tmp_path))
    private.make_folder("")
    assert mode(tmp_path) == 0o755


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for name in ("a", "a/b"):
        with pytest.raises(OSError, match="exists"):
            private.make_folder(str(tmp_path / name))


@pytest.mark.parametrize("before", [0o000, 0o400, 0o644, 0o666, 0o777])
def test_a_file_becomes_its_owners_alone(tmp_path: Path, before: int) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(before)
    private.tighten(str(file))
    assert mode(file) == 0o600
