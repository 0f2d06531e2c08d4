"""The thread that writes, and the log that is made beforehand."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio

from tasktree_rt.brokers.base import Append, Draft
from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.brokers.sqlite.worker import Worker
from tasktree_rt.core.log import BEGINNING, Recovered
from tests.brokers.opening import opened

MIB = 1 << 20


def one(body: bytes = b"{}") -> Append:
    return Append("p", (Draft("log", None, body),), 1, "e")


async def test_everything_is_called_in_one_thread_in_the_order_of_asking() -> None:
    worker, limiter = Worker("store"), trio.CapacityLimiter(1)
    calls: list[tuple[int, int]] = []
    async with trio.open_nursery() as nursery:
        for number in range(20):

            async def ask(number: int = number) -> None:
                await worker(lambda: calls.append((number, threading.get_ident())), limiter=limiter)

            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
    worker.close()
    assert [number for number, _ in calls] == list(range(20))
    assert len({thread for _, thread in calls}) == 1


async def test_an_exception_reaches_who_asked_and_the_thread_goes_on() -> None:
    worker, limiter = Worker("store"), trio.CapacityLimiter(1)
    with pytest.raises(ZeroDivisionError):
        await worker(lambda: 1 // 0, limiter=limiter)
    assert await worker(lambda: 5, limiter=limiter) == 5
    worker.close()


async def test_what_is_begun_is_waited_for_though_it_is_cancelled() -> None:
    worker, limiter = Worker("store"), trio.CapacityLimiter(1)
    go, done = threading.Event(), threading.Event()

    def slow() -> None:
        go.wait()
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: worker(slow, limiter=limiter))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        go.set()
    assert done.is_set()
    worker.close()


async def test_a_closed_broker_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with opened(tmp_path / "store.db") as broker:
        await broker.append([one()])
        ours = [one for one in set(threading.enumerate()) - before if one.name == "tasktree-rt store"]
        assert len(ours) == 1
    assert not ours[0].is_alive()


async def test_a_log_made_beforehand_is_written_over_and_goes_with_the_broker(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    log = tmp_path / "store.db-wal"
    async with opened(path, log_bytes=MIB) as broker:
        assert log.stat().st_size == MIB
        for number in range(10):
            await broker.append([one(b"%d" % number)])
        assert log.stat().st_size == MIB
    assert not log.exists()
    async with opened(path, log_bytes=MIB) as broker:
        found = await broker.read("p", BEGINNING, limit=100)
        assert isinstance(found, Recovered)
        assert [record.body for record in found.records] == [b"%d" % number for number in range(10)]


async def test_a_log_that_a_crash_left_is_read_and_not_made_anew(tmp_path: Path) -> None:
    path, copy = tmp_path / "store.db", tmp_path / "copy"
    copy.mkdir()
    async with opened(path, log_bytes=MIB) as broker:
        await broker.append([one(b"kept")])
        for file in tmp_path.glob("store.db*"):
            if not file.name.endswith("-shm"):
                (copy / file.name).write_bytes(file.read_bytes())
    async with opened(copy / "store.db", log_bytes=MIB) as broker:
        life = await broker.load("p")
        assert life.head == 1


async def test_a_log_made_beforehand_may_be_read_by_the_same_as_the_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path):
        pass
    path.chmod(0o600)
    async with opened(path, log_bytes=MIB):
        assert (tmp_path / "store.db-wal").stat().st_mode & 0o777 == 0o600


async def test_without_room_for_the_log_it_grows_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasktree_rt.brokers.sqlite.files._write_zeros", full)
    broker = SqliteBroker(str(tmp_path / "store.db"), log_bytes=MIB)
    await broker.open()
    await broker.append([one()])
    assert 0 < (tmp_path / "store.db-wal").stat().st_size < MIB
    await broker.aclose()
