"""Nobody but their owner can read what the SQLite broker makes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.errors import StoreUnusable
from tests.brokers.making import fill
from tests.brokers.opening import opened
from tests.test_private import UMASKS, mode, umask

NAMES = {"store.db", "store.db-wal", "store.db-shm", "store.db.lock"}


def modes(folder: Path) -> dict[str, int]:
    return {one.name: mode(one) for one in folder.iterdir()}


@pytest.mark.parametrize("log_bytes", [0, 1 << 20])
@pytest.mark.parametrize("mask", UMASKS)
async def test_all_files_are_the_owners_alone_whatever_the_umask(
    tmp_path: Path, mask: int, log_bytes: int
) -> None:
    path = tmp_path / "made" / "deeper" / "store.db"
    with umask(mask):
        async with opened(path, log_bytes=log_bytes) as broker:
            await fill(broker, 3)
            assert modes(path.parent) == dict.fromkeys(NAMES, 0o600)
        assert set(modes(path.parent).values()) == {0o600}
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


async def test_files_of_an_older_version_are_tightened_when_they_are_opened(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path):
        pass
    for one in tmp_path.iterdir():
        one.chmod(0o644)
    async with opened(path) as broker:
        await fill(broker, 1)
        assert modes(tmp_path) == dict.fromkeys(NAMES, 0o600)


async def test_a_file_of_another_program_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    path.chmod(0o644)
    with pytest.raises(StoreUnusable, match="another program"):
        await SqliteBroker(str(path)).open()
    assert modes(tmp_path) == {"store.db": 0o644}
