"""The SQLite broker: the contract, what outlives the process, what a restored backup becomes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from structlog.testing import capture_logs

from tasktree_rt.brokers.base import Appended, Broker, Checkpoint, Duplicate, Key, Retention, Snapshot
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.brokers.sqlite.log import Request, Slice, read_slice
from tasktree_rt.core.log import Position
from tests.brokers.contract import Contract
from tests.brokers.contract_access import ACCESS_STEPS, AccessStep
from tests.brokers.history import OPERATIONS, Operation
from tests.brokers.making import DAY, NOW, append_one, checkpoint, entry, events, fill, seqs
from tests.brokers.opening import opened

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where the contract's databases are made: what it asks does not depend on a disk."""


class TestSqlite(Contract):
    @asynccontextmanager
    async def broker(self) -> AsyncIterator[Broker]:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            async with opened(f"{folder}/store.db", index=True) as broker:
                yield broker

    @given(operations=OPERATIONS)
    def test_any_history_is_as_the_naive_one(self, operations: list[Operation]) -> None:
        self.live_through(operations)

    @given(steps=ACCESS_STEPS)
    def test_any_history_of_access_is_as_the_naive_one(self, steps: list[AccessStep]) -> None:
        self.keep_access(steps)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def copy(source: Path, target: Path) -> None:
    """A backup as SQLite makes it, also of a database in use."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


async def test_it_says_what_it_is(path: Path) -> None:
    broker = SqliteBroker(str(path))
    assert (broker.name, broker.durable) == (f"sqlite:{path}", True)


async def test_everything_is_there_after_closing_and_opening(path: Path) -> None:
    async with opened(path) as broker:
        await broker.append(
            [entry("p", "1", "2", key="k", state="running", nodes=2), entry("gone", ends=True)]
        )
        made = await checkpoint(broker, 1, b"a", b"b")
        await broker.save_snapshot(Snapshot("s", "p", "name", "e1", 1, NOW), (b"x",))
        before = [await broker.load("p"), await broker.load("gone"), await broker.projects()]
    async with opened(path) as broker:
        assert [await broker.load("p"), await broker.load("gone"), await broker.projects()] == before
        assert await broker.checkpoint_at("p", Position("e1", 2)) == made
        assert await broker.snapshot("p", "s") == (Snapshot("s", "p", "name", "e1", 1, NOW), (b"x",))
        outcomes = await broker.append([entry("p", key="k"), entry("p", key="l", epoch="e9")])
        assert outcomes == [Duplicate("p", "e1", 1, 2), Appended("e1", 3, NOW)]
        assert await broker.producer_ids("subject", "producer") == ["k", "l"]


async def test_the_folder_is_made(tmp_path: Path) -> None:
    async with opened(tmp_path / "a" / "b" / "store.db") as broker:
        await fill(broker, 1)


async def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.touch()
    async with opened(path) as broker:
        await fill(broker, 1)


async def test_a_trimmed_log_stays_trimmed(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 50)
        await checkpoint(broker, 30)
        await broker.trim(Retention(20, 1e9), NOW)
    async with opened(path) as broker:
        assert (await broker.load("p")).floor == 30


async def test_reads_do_not_wait_for_a_commit(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 3)
        async with broker._connections._write_turn:  # as if a commit took long
            assert len(await events(broker)) == 3
            assert await broker.count_projects() == 1


async def test_a_read_takes_no_more_into_memory_than_was_asked_for(path: Path) -> None:
    async with opened(path) as broker:
        await broker.append([entry("p", *("x" * 100 for _ in range(50)))])
        with closing(sqlite3.connect(path)) as connection:
            piece = read_slice(
                connection,
                request=Request("p", 1_000, 450, (None, None)),
                place=Position("e1", 0),
                rows=1_000,
            )
        assert isinstance(piece, Slice)
        assert (len(piece.records), piece.done) == (4, True)


async def test_an_append_that_has_begun_is_not_cancelled(path: Path) -> None:
    async with opened(path) as broker:
        outcomes = []
        async with trio.open_nursery() as nursery:

            async def append() -> None:
                outcomes.append(await append_one(broker, entry("p")))

            async with broker._connections._write_turn:
                nursery.start_soon(append)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        assert outcomes == [Appended("e1", 1, NOW)]


async def test_appends_take_turns_with_the_slices_of_a_checkpoint(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 1)
        done: list[str] = []

        async def save() -> None:
            await broker.save_checkpoint("p", Checkpoint("e1", 1, (b"x" * 300_000,) * 20))
            done.append("checkpoint")

        async def append() -> None:
            for n in range(5):
                await append_one(broker, entry("p"))
                done.append(f"append {n}")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(save)
            nursery.start_soon(append)
        assert done[-1] == "checkpoint"


async def test_what_an_ended_life_leaves_is_taken_away(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 4_500)
        await broker.save_checkpoint("p", Checkpoint("e1", 4_000, (b"x",) * 40))
        await broker.append([entry("p", key="k", ends=True)])
        await broker.trim(Retention(10, 1e9), NOW)
        assert rows(path, "event", "part", "state", "grave") == [0, 0, 0, 1]
        assert await broker.recorded(Key("subject", "producer", "k"), b"digest") is not None
        await broker.trim(Retention(10, 1e9), NOW + 3 * DAY)
        assert rows(path, "grave", "publish", "producer", "death") == [1, 0, 0, 1]
        await broker.trim(Retention(10, 3_600.0), NOW + 3 * DAY)
        assert rows(path, "grave", "publish", "producer", "death") == [0, 0, 0, 0]


async def test_trimming_with_nothing_to_do_writes_nothing(path: Path) -> None:
    async with opened(path) as broker:
        for first in range(0, 3_000, 1_000):
            await broker.append(
                [entry(f"p{n}", key="k", producer=f"{n}") for n in range(first, first + 1_000)]
            )
        turns = broker._connections._write_turn.statistics
        written = path.with_name("store.db-wal").stat().st_mtime_ns
        await broker.trim(Retention(10, 1e9), NOW)
        assert path.with_name("store.db-wal").stat().st_mtime_ns == written
        assert turns().borrowed_tokens == 0


def rows(path: Path, *tables: str) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]


# --- restored backups: one position never names two events --------------------------------------------


async def grow(path: Path, backup: Path) -> None:
    """A history of which `backup` is the first part."""
    async with opened(path) as broker:
        await broker.append([entry("p", "1", key="1"), entry("q", epoch="f1"), entry("gone", ends=True)])
        await checkpoint(broker, 1, b"state")
        await broker.append([entry("p", "2")])
        copy(path, backup)
        await broker.append([entry("p", "3"), entry("p", "4")])


async def expect_new_epochs(broker: Broker) -> None:
    life = await broker.load("p")
    assert life.epoch not in ("e1", "", "f1")
    assert life.epoch != (await broker.load("q")).epoch
    assert (life.head, life.floor, [record.body for record in life.tail]) == (2, 0, [b"2"])
    assert life.checkpoint == Checkpoint(life.epoch, 1, (b"state",))
    assert await seqs(broker, Position("e1", 1)) == "epoch"
    assert await seqs(broker, Position(life.epoch, 0)) == [1, 2]
    assert await append_one(broker, entry("p", "other 3")) == Appended(life.epoch, 3, NOW)
    assert await append_one(broker, entry("p", "1", key="1")) == Duplicate("p", life.epoch, 1, 1)
    death = (await broker.load("gone")).death
    assert death is not None
    assert death.epoch == "e1"


async def test_a_backup_put_in_the_place_of_the_database_goes_on_under_new_epochs(
    path: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    await grow(path, backup)
    shutil.copy(backup, path)
    with capture_logs() as lines:
        async with opened(path) as broker:
            await expect_new_epochs(broker)
            first = (await broker.load("p")).epoch
    assert [line["event"] for line in lines] == ["older copy opened: every project has a new epoch"]
    with capture_logs() as lines:
        async with opened(path) as broker:
            assert (await broker.load("p")).epoch == first
    assert lines == []
    shutil.copy(backup, path)
    async with opened(path) as broker:
        await expect_new_epochs(broker)
        assert (await broker.load("p")).epoch != first


async def test_a_database_opened_elsewhere_without_its_guard_goes_on_under_new_epochs(
    path: Path, tmp_path: Path
) -> None:
    await grow(path, tmp_path / "backup.db")
    async with opened(tmp_path / "backup.db") as broker:
        await expect_new_epochs(broker)


async def test_a_copy_of_the_database_and_its_guard_goes_on_under_new_epochs(
    path: Path, tmp_path: Path
) -> None:
    async with opened(path) as broker:
        await fill(broker, 2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("store.db", "store.db.lock"):
        shutil.copy2(path.with_name(name), elsewhere / name)
    async with opened(path) as broker:
        assert (await broker.load("p")).epoch == "e1"
    async with opened(elsewhere / "store.db") as broker:
        assert (await broker.load("p")).epoch != "e1"


async def test_both_files_put_back_over_a_database_that_was_closed_go_on_under_new_epochs(
    path: Path, tmp_path: Path
) -> None:
    guard = path.with_name("store.db.lock")
    async with opened(path) as broker:
        await fill(broker, 2)
    for file in (path, guard):
        shutil.copy2(file, tmp_path / f"{file.name}.backup")
    async with opened(path) as broker:
        await fill(broker, 2)
    for file in (path, guard):
        shutil.copy2(tmp_path / f"{file.name}.backup", file)
    async with opened(path) as broker:
        life = await broker.load("p")
        assert (life.epoch != "e1", life.head) == (True, 2)


async def test_a_guard_that_cannot_be_read_counts_as_none(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 2)
    path.with_name("store.db.lock").write_text("\0" * 100)
    async with opened(path) as broker:
        assert (await broker.load("p")).epoch != "e1"


async def test_a_new_database_beside_an_old_guard_is_just_new(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 2)
    path.unlink()
    async with opened(path) as broker:
        await fill(broker, 1, epoch="e2")
    async with opened(path) as broker:
        assert (await broker.load("p")).epoch == "e2"
