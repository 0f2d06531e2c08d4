"""The database's files are taken away under the broker."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.brokers.base import Appended, Checkpoint, Retention
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.core.log import Position
from tasktree_rt.errors import StoreUnavailable
from tests.brokers.making import NOW, append_one, checkpoint, entry, events, fill
from tests.brokers.opening import Faulty, opened

LOG = 1 << 20


def removed(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("new"))
    path.with_name("new").rename(path)


def made_anew(path: Path) -> None:
    path.unlink()
    path.touch()


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def folder_removed(path: Path) -> None:
    shutil.rmtree(path.parent)


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def folder_replaced(path: Path) -> None:
    folder_moved(path)
    shutil.copytree(path.parent.with_name("elsewhere"), path.parent)


def log_removed(path: Path) -> None:
    path.with_name("store.db-wal").unlink()


def index_removed(path: Path) -> None:
    path.with_name("store.db-shm").unlink()


WAYS = [
    removed,
    moved,
    replaced,
    made_anew,
    folder_removed,
    folder_moved,
    folder_replaced,
    log_removed,
    index_removed,
]
Way = Callable[[Path], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "store.db"


async def lost(call: Callable[[], Any]) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await call()
    assert caught.value.lasting
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("way", WAYS)
async def test_the_first_append_that_would_be_lost_is_refused(path: Path, way: Way) -> None:
    async with opened(path, log_bytes=LOG) as broker:
        await fill(broker, 3)
        way(path)
        told = await lost(lambda: broker.append([entry("p")]))
        assert "put it back, if it can be, and restart the hub" in told


@pytest.mark.parametrize("way", [*WAYS, emptied])
async def test_it_is_noticed_without_an_append(path: Path, way: Way) -> None:
    async with opened(path, log_bytes=LOG) as broker:
        await fill(broker, 3)
        await broker.verify()
        way(path)
        await lost(broker.verify)


@pytest.mark.parametrize("way", [*WAYS, emptied])
async def test_once_noticed_nothing_is_kept_and_all_can_be_read(path: Path, way: Way) -> None:
    async with opened(path) as broker:
        await fill(broker, 3)
        await checkpoint(broker, 3)
        way(path)
        told = await lost(broker.verify)
        for call in (
            lambda: broker.append([entry("p")]),
            broker.probe,
            broker.verify,
            lambda: broker.save_checkpoint("p", Checkpoint("e1", 3, (b"x",))),
            lambda: broker.trim(Retention(1, 1.0), NOW * 2),
        ):
            assert await lost(call) == told
        if way is not emptied:
            assert len(await events(broker)) == 3


async def test_what_was_moved_and_put_back_has_what_was_acknowledged_and_nothing_else(path: Path) -> None:
    kept = path.with_name("store.db-wal")
    async with opened(path) as broker:
        await fill(broker, 3)
        moved(path)
        for _ in range(3):
            await lost(lambda: broker.append([entry("p", key="k")]))
        path.with_name("elsewhere.db").rename(path)
        # Back where it was, but nobody knows what happened meanwhile: only opening it anew finds out.
        await lost(lambda: broker.append([entry("p", key="k")]))
        await lost(broker.probe)
        assert kept.exists()
    async with opened(path) as broker:
        assert [record.seq for record in await events(broker)] == [1, 2, 3]
        assert await append_one(broker, entry("p", key="k")) == Appended("e1", 4, NOW)


async def test_a_file_that_is_moved_while_a_commit_is_written_is_noticed_before_the_answer(
    path: Path,
) -> None:
    armed = False

    class Moving(Faulty):
        def cursor(self, *arguments: Any) -> sqlite3.Cursor:  # type: ignore[override]
            return sqlite3.Connection.cursor(self, MovingCursor)

    class MovingCursor(sqlite3.Cursor):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # type: ignore[override]
            if armed and sql == "COMMIT":
                moved(path)
            return super().execute(sql, *parameters)

    def connect(name: str) -> sqlite3.Connection:
        made = sqlite3.connect(name, isolation_level=None, check_same_thread=False, factory=Moving)
        made.fails = {}
        return made

    async with opened(path, connect=connect) as broker:
        await fill(broker, 1)
        armed = True
        await lost(lambda: broker.append([entry("p")]))
        armed = False


async def test_other_files_come_and_go_in_its_folder(path: Path) -> None:
    async with opened(path) as broker:
        for number in range(5):
            other = path.with_name(f"backup {number}")
            other.write_text("x")
            await fill(broker, 1)
            other.rename(path.with_name("newest"))
            await fill(broker, 1)
            await broker.verify()
        path.parent.chmod(0o750)
        await fill(broker, 1)
        assert (await broker.load("p")).head == 11


async def test_a_folder_whose_time_stands_is_all_that_is_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    stat = os.stat

    def count(name: Any, *arguments: Any, **options: Any) -> os.stat_result:
        looks.append(str(name))
        return stat(name, *arguments, **options)

    async with opened(path) as broker:
        os.utime(path.parent, (1, 1))
        await fill(broker, 1)
        monkeypatch.setattr(os, "stat", count)
        for _ in range(10):
            await fill(broker, 1)
        monkeypatch.undo()
        assert looks == [str(path.parent)] * 10
        moved(path)
        await lost(lambda: broker.append([entry("p")]))


async def test_a_fault_of_the_disk_is_explained_by_the_file_that_is_gone(path: Path) -> None:
    fails: dict[str, int] = {}

    def connect(name: str) -> sqlite3.Connection:
        made = sqlite3.connect(name, isolation_level=None, check_same_thread=False, factory=Faulty)
        made.fails = fails
        return made

    async with opened(path, connect=connect) as broker:
        await fill(broker, 1)
        removed(path)
        fails["BEGIN IMMEDIATE"] = sqlite3.SQLITE_IOERR
        assert f"{path} is no longer there" in await lost(lambda: broker.append([entry("p")]))


async def test_an_io_error_on_a_disk_without_room_is_called_a_full_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails: dict[str, int] = {}

    def connect(name: str) -> sqlite3.Connection:
        made = sqlite3.connect(name, isolation_level=None, check_same_thread=False, factory=Faulty)
        made.fails = fails
        return made

    room = os.statvfs(path.parent.parent)
    async with opened(path, connect=connect) as broker:
        fails["COMMIT"] = sqlite3.SQLITE_IOERR_SHMSIZE
        with pytest.raises(StoreUnavailable, match="reading or writing the database failed"):
            await broker.probe()
        little = os.statvfs_result((*tuple(room)[:4], 3, *tuple(room)[5:]))
        monkeypatch.setattr(os, "statvfs", lambda _: little)
        with pytest.raises(StoreUnavailable, match="the disk is full") as caught:
            await broker.probe()
        assert not caught.value.lasting
        fails.clear()
        await broker.probe()


async def test_a_new_broker_may_begin_in_the_place_of_what_was_removed(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 3)
        for one in path.parent.iterdir():
            one.unlink()
        async with opened(path) as other:
            assert await append_one(other, entry("p")) == Appended("e1", 1, NOW)
            await lost(lambda: broker.append([entry("p")]))
            assert await other.checkpoint_at("p", Position("e1", 1)) is None


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB])
@pytest.mark.parametrize("at", ["BEGIN", "INSERT", "COMMIT", "SELECT"])
async def test_damaged_pages_are_not_written_to_any_more(path: Path, at: str, code: int) -> None:
    fails: dict[str, int] = {}

    def connect(name: str) -> sqlite3.Connection:
        made = sqlite3.connect(name, isolation_level=None, check_same_thread=False, factory=Faulty)
        made.fails = fails
        return made

    broker = SqliteBroker(str(path), connect=connect)
    await broker.open()
    await fill(broker, 3)
    fails[at] = code
    call = (lambda: broker.producer_ids("s", "p")) if at == "SELECT" else broker.probe
    assert (await lost(call)).startswith("the database is damaged")
    fails.clear()
    for again in (broker.verify, broker.probe, lambda: broker.append([entry("p")])):
        assert (await lost(again)).startswith("the database is damaged")
    assert len(await events(broker)) == 3
    await broker.aclose()
