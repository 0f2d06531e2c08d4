"""The SQLite broker when the disk is full, the file locked, the process killed."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio

from tasktree_rt.brokers.base import Append, Appended, Checkpoint, Duplicate, Retention
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.errors import StoreUnavailable
from tests.brokers.making import NOW, append_one, checkpoint, entry, events, fill
from tests.brokers.opening import Crash, Inline, faulty_connect, opened

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The kernel refuses to let any file grow beyond `size` bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def large(**asked: str) -> Append:
    return entry("p", "x" * 500_000, **asked)  # type: ignore[arg-type]


async def refused(call: Callable[[], Awaitable[object]]) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        await call()
    return str(caught.value)


async def test_a_full_disk_refuses_appends_until_there_is_room(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 3)
        with no_file_above(path.with_name("store.db-wal").stat().st_size):
            for _ in range(3):
                await refused(lambda: broker.append([entry("q"), large(key="k")]))
            await refused(broker.probe)
            assert len(await events(broker)) == 3
            assert await broker.count_projects() == 1
        await broker.probe()
        assert await append_one(broker, large(key="k")) == Appended("e1", 4, NOW)
    async with opened(path) as broker:
        assert [record.seq for record in await events(broker)] == [1, 2, 3, 4]


async def test_a_full_disk_is_called_so(path: Path) -> None:
    pages = 0

    def connect(name: str) -> sqlite3.Connection:
        connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        if pages:
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    async with opened(path):
        pass
    pages = path.stat().st_size // 4096 + 2
    async with opened(path, connect=connect) as broker:
        assert (await refused(lambda: broker.append([large()]))).startswith("the disk is full")
        assert (await refused(broker.probe)).startswith("the disk is full")
        assert await append_one(broker, entry("p")) == Appended("e1", 1, NOW)


async def test_another_program_that_writes_refuses_appends_until_it_is_done(path: Path) -> None:
    async with opened(path, busy_timeout=0.01) as broker:
        await fill(broker, 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            reason = await refused(lambda: broker.append([entry("p", key="k")]))
            assert reason.startswith("the database is locked by another program")
            await refused(broker.probe)
            assert len(await events(broker)) == 1
            other.execute("ROLLBACK")
        assert await append_one(broker, entry("p", key="k")) == Appended("e1", 2, NOW)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_FULL, "the disk is full"),
        (sqlite3.SQLITE_IOERR_FSYNC, "reading or writing the database failed"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "the database cannot be written"),
        (sqlite3.SQLITE_CANTOPEN, "the database or a file beside it cannot be opened"),
    ],
)
@pytest.mark.parametrize("at", ["BEGIN", "INSERT", "COMMIT"])
async def test_every_fault_is_told_and_passes(path: Path, at: str, code: int, reason: str) -> None:
    fails: dict[str, int] = {}
    async with opened(path, connect=faulty_connect(fails)) as broker:
        await broker.append([entry("p", key="1")])
        fails[at] = code
        told = await refused(lambda: broker.append([entry("new"), entry("p", key="2", producer="new")]))
        assert told.startswith(reason)
        await refused(broker.probe)
        fails.clear()
        outcomes = await broker.append(
            [entry("p", key="1"), entry("p", key="2", producer="new"), entry("new")]
        )
        assert outcomes == [Duplicate("p", "e1", 1, 1), Appended("e1", 2, NOW), Appended("e1", 1, NOW)]


async def test_a_connection_that_cannot_even_roll_back_is_replaced(path: Path) -> None:
    fails: dict[str, int] = {}
    async with opened(path, connect=faulty_connect(fails)) as broker:
        await fill(broker, 1)
        fails.update({"COMMIT": sqlite3.SQLITE_IOERR, "ROLLBACK": sqlite3.SQLITE_IOERR})
        await refused(lambda: broker.append([entry("p")]))
        fails.clear()
        assert await append_one(broker, entry("p")) == Appended("e1", 2, NOW)


async def test_a_fault_while_reading_is_told_and_passes(path: Path) -> None:
    fails: dict[str, int] = {}
    async with opened(path, connect=faulty_connect(fails)) as broker:
        await fill(broker, 1)
        fails["SELECT"] = sqlite3.SQLITE_IOERR
        assert "reading or writing the database failed" in await refused(lambda: broker.load("p"))
        fails.clear()
        assert (await broker.load("p")).head == 1


async def test_a_crash_before_the_commit_keeps_nothing_and_one_after_it_everything(path: Path) -> None:
    run = Inline()
    broker = SqliteBroker(str(path), run=run)
    await broker.open()
    await fill(broker, 1)
    run.crash_after = 1
    with pytest.raises(Crash):
        await broker.append([entry("p", key="k")])
    run.crash_after = None
    guard, hold = broker._connections._files._guard, broker._connections._files._hold
    broker._connections._files._guard = broker._connections._files._hold = None
    assert guard is not None
    assert hold is not None
    hold.release()
    os.close(guard._descriptor)  # the process is gone: nothing is closed in order, the kernel unlocks
    async with opened(path, run=Inline()) as after:
        assert await append_one(after, entry("p", key="k")) == Duplicate("p", "e1", 2, 1)
        assert await append_one(after, entry("p", key="l")) == Appended("e1", 3, NOW)
    await broker.aclose()


# --- checkpoints that were begun ----------------------------------------------------------------------

PARTS = tuple(b"%d" % n * 100_000 for n in range(1, 9))


@pytest.mark.parametrize("calls", [1, 2, 4])
async def test_a_checkpoint_that_was_not_finished_is_never_seen_and_goes_at_open(
    path: Path, calls: int
) -> None:
    run = Inline()
    async with opened(path, run=run) as broker:
        await fill(broker, 5)
        first = await checkpoint(broker, 3)
        run.crash_after = calls
        with pytest.raises(Crash):
            await broker.save_checkpoint("p", Checkpoint("e1", 5, PARTS))
        run.crash_after = None
        life = await broker.load("p")
        assert (life.checkpoint, len(life.tail)) == (first, 2)
    async with opened(path) as broker:
        assert (await broker.load("p")).checkpoint == first
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM part").fetchone() == (1,)
            assert connection.execute("SELECT count(*) FROM state").fetchone() == (1,)


async def test_a_checkpoint_being_written_is_left_alone_by_trim(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(broker.save_checkpoint, "p", Checkpoint("e1", 5, PARTS))
            for _ in range(3):
                await broker.trim(Retention(100, 1e9), NOW)
        assert (await broker.load("p")).checkpoint == Checkpoint("e1", 5, PARTS)


async def test_a_checkpoint_that_failed_is_swept_by_trim_and_can_be_saved_again(path: Path) -> None:
    fails: dict[str, int] = {}
    async with opened(path, connect=faulty_connect(fails)) as broker:
        await fill(broker, 5)
        fails["UPDATE state"] = sqlite3.SQLITE_FULL
        await refused(lambda: broker.save_checkpoint("p", Checkpoint("e1", 5, PARTS)))
        fails.clear()
        await broker.trim(Retention(100, 1e9), NOW)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM part").fetchone() == (0,)
        await broker.save_checkpoint("p", Checkpoint("e1", 5, PARTS))
        assert (await broker.load("p")).checkpoint == Checkpoint("e1", 5, PARTS)


# --- kill -9 ------------------------------------------------------------------------------------------

APPEND_FOR_EVER = """
import itertools, sys, trio
from tasktree_rt.brokers.base import Append, Appended, Draft, Key
from tasktree_rt.brokers.sqlite import SqliteBroker
async def main():
    broker = SqliteBroker(sys.argv[1])
    await broker.open()
    for n in itertools.count():
        names = [f"{sys.argv[2]}.{n}.{i}" for i in range(7)]
        drafts = [(Draft("log", None, name.encode()),) for name in names]
        batch = [Append("p", one, n, "e1", key=Key("s", "k", name)) for name, one in zip(names, drafts)]
        for name, outcome in zip(names, await broker.append(batch)):
            assert isinstance(outcome, Appended)
            print(name, outcome.epoch, outcome.first, flush=True)
trio.run(main)
"""


def killed(path: Path, run: int, after: int) -> list[tuple[str, str, int]]:
    """What a process that appends had acknowledged when it was killed after so many lines."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPEND_FOR_EVER, str(path), str(run)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        process.kill()
        lines += process.stdout.readlines()
    return [(name, epoch, int(seq)) for name, epoch, seq in map(str.split, filter(whole, lines))]


def whole(line: str) -> bool:
    return line.endswith("\n")


async def test_every_acknowledged_event_survives_kill_9_and_no_position_is_given_twice(path: Path) -> None:
    acknowledged = [one for run in range(4) for one in killed(path, run, 30 + 41 * run)]
    async with opened(path) as broker:
        life = await broker.load("p")
        assert life.epoch == "e1"
        kept = await events(broker)
        assert [record.seq for record in kept] == list(range(1, life.head + 1))
        bodies = {record.seq: record.body.decode() for record in kept}
        assert [bodies[seq] for _, _, seq in acknowledged] == [name for name, _, _ in acknowledged]
        assert {epoch for _, epoch, _ in acknowledged} == {"e1"}
        assert sorted(await broker.producer_ids("s", "k")) == sorted(bodies.values())


async def test_a_backup_from_before_a_kill_9_goes_on_under_new_epochs(path: Path, tmp_path: Path) -> None:
    killed(path, 0, 20)
    with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(tmp_path / "backup")) as new:
        old.backup(new)
    killed(path, 1, 20)
    with closing(sqlite3.connect(tmp_path / "backup")) as old, closing(sqlite3.connect(path)) as new:
        old.backup(new)
    async with opened(path) as broker:
        life = await broker.load("p")
        assert life.epoch != "e1"
        assert life.head >= 20
