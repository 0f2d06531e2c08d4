"""The search index of a SQLite store: what becomes of it when its file, the process or the database goes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tasktree_rt.brokers.base import Bounds, Found, Retention, Where
from tasktree_rt.brokers.base.scan import scan
from tasktree_rt.brokers.sqlite import SqliteBroker, search, search_file, search_index, search_query
from tasktree_rt.core.search import Query, parse_query
from tasktree_rt.errors import InvalidInput
from tests.brokers.contract_search import BOUNDS, find, said, seqs_found
from tests.brokers.making import NOW, append_one, checkpoint, fill
from tests.brokers.opening import Crash, Inline, opened
from tests.brokers.test_sqlite import MEMORY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty index is made anew at once, and steps are small."""
    monkeypatch.setattr(search, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(search_index, "_ROWS", 250)


def index_of(path: Path) -> str:
    return f"{path}.search"


def rows(path: Path) -> int:
    """How many events the index has."""
    with closing(sqlite3.connect(index_of(path))) as connection:
        found: int = connection.execute("SELECT count(*) FROM entry").fetchone()[0]
        return found


async def test_the_index_is_asked_and_is_a_file_of_its_owner_alone(path: Path) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said("word")])
        assert (await find(broker, "word")).index
        assert os.stat(index_of(path)).st_mode & 0o777 == 0o600


async def test_a_search_that_no_task_waits_for_stops(path: Path) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said(*["word"] * 3_000)])
        while await broker.index():
            pass
    found: list[Found] = []

    def ask(cancel: Callable[[], None] | None) -> None:
        if cancel is not None:
            trio.from_thread.run_sync(cancel)
        with closing(search_file.SearchFile(str(path)).reader()) as connection:
            query, bounds = Query(parse_query("word")), Bounds(10, 10**6, 600.0)
            found.append(search_query.search(connection, query, Where("p"), bounds, None, "user:"))

    await trio.to_thread.run_sync(ask, None)
    with trio.CancelScope() as scope:
        await trio.to_thread.run_sync(ask, scope.cancel)
    assert [one.exact for one in found] == [True, False]


async def test_without_an_index_there_is_no_file_and_the_logs_are_read(path: Path) -> None:
    async with opened(path) as broker:
        await broker.append([said("word")])
        found = await find(broker, "word")
        assert (found.index, len(found.hits)) == (False, 1)
    assert os.listdir(path.parent) == ["store.db", "store.db.lock"]


async def test_one_step_takes_in_few_events_of_many_bytes_and_at_least_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "_BYTES", 10_000)
    short, long, longest = "word", "word " * 700, "word " * 5_000
    async with opened(path, index=True) as broker:
        await broker.append([said(*[short] * 30, *[long] * 12, longest, longest, short)])
        steps = [0]
        while await broker.index():
            steps.append(rows(path))
        taken = [after - before for before, after in pairwise(steps)]
        assert taken == [33, 3, 3, 3, 1, 1, 1], "of 3,500 bytes three, of 25,000 one"
        assert (await find(broker, "word")).count == 45


async def test_the_index_goes_on_where_it_was_when_the_process_ended(path: Path) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said(*["word"] * 600)])
        assert await broker.index()
    before = rows(path)
    assert 0 < before < 600
    async with opened(path, index=True) as broker:
        while await broker.index():
            assert rows(path) >= before
        found = await find(broker, "word")
        assert (found.count, found.searched_to, found.behind) == (600, 600, 0)
    assert rows(path) == 600


async def test_a_search_says_how_far_the_index_is_behind(path: Path) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said(*["word"] * 600)])
        await broker.index()
        found = await broker.search(Query(parse_query("word")), Where("p"), BOUNDS)
        assert found.searched_to == rows(path)
        assert found.behind == 600 - found.searched_to
        assert not found.exact


async def test_a_process_that_dies_between_two_steps_loses_nothing(path: Path) -> None:
    inline = Inline()
    broker = SqliteBroker(str(path), index=True, run=inline)
    await broker.open()
    await broker.append([said(*["word"] * 600)])
    inline.crash_after = 2
    with pytest.raises(Crash):
        await seqs_found(broker, "word")
    inline.crash_after = None
    copied = path.parent / "copy"
    copied.mkdir()
    for name in os.listdir(path.parent):
        if name.startswith("store.db"):
            shutil.copy(path.parent / name, copied / name)
    await broker.aclose()
    async with opened(copied / "store.db", index=True) as again:
        assert (await find(again, "word")).count == 600
    assert rows(copied / "store.db") == 600


@pytest.mark.parametrize("harm", ["delete", "empty", "garbage", "other", "version", "power"])
async def test_an_index_that_is_lost_or_damaged_is_made_anew(path: Path, harm: str) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said(*["word"] * 10)])
        await find(broker, "word")
    damage(index_of(path), harm)
    async with opened(path, index=True) as broker:
        found = await find(broker, "word")
        assert (found.index, found.count) == (True, 10)


def damage(file: str, harm: str) -> None:
    if harm == "delete":
        os.unlink(file)
    elif harm == "empty":
        Path(file).write_bytes(b"")
    elif harm == "power":  # the machine was started again, and the hub had not closed it
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("UPDATE source SET run = 'earlier'")
            connection.execute("DELETE FROM entry WHERE rowid & 1")
    elif harm == "garbage":
        Path(file).write_bytes(b"\xff" * 8192)
    else:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            text = "DROP TABLE progress" if harm == "other" else "PRAGMA user_version = 77"
            connection.execute(text)


@pytest.mark.parametrize("harm", ["delete", "pages"])
async def test_an_index_that_is_harmed_under_a_running_hub_harms_no_search_and_no_append(
    path: Path, harm: str
) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said(*["word"] * 400)])
        assert (await find(broker, "word")).count == 400
        if harm == "delete":
            for suffix in ("", "-wal", "-shm"):
                os.unlink(index_of(path) + suffix)
        else:
            with closing(sqlite3.connect(index_of(path), isolation_level=None)) as connection:
                connection.execute("DELETE FROM entry_data")
        await broker.append([said(*["word"] * 400)])
        await find(broker, "word")  # finds the fault
        await find(broker, "word")
        found = await find(broker, "word")
        assert (found.count, found.index) == (800, True)
        await broker.append([said("word")])
        await broker.verify()


async def test_while_the_index_cannot_be_used_the_logs_are_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FIRST_PAUSE", 1000.0)
    async with opened(path, index=True) as broker:
        os.mkdir(index_of(path))
        await broker.append([said("word")])
        assert not await broker.index()
        found = await find(broker, "word")
        assert (found.index, found.count, found.exact) == (False, 1, True)


async def test_the_index_of_another_history_is_made_anew(path: Path) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said("early")])
    backup = path.read_bytes()
    async with opened(path, index=True) as broker:
        await broker.append([said("late", "late")])
        assert await seqs_found(broker, "late") == [3, 2]
    path.write_bytes(backup)
    async with opened(path, index=True) as broker:
        await broker.append([said("other", "other", "other")])
        assert await seqs_found(broker, "late") == []
        assert await seqs_found(broker, "other") == [4, 3, 2]


async def test_what_is_trimmed_or_ended_leaves_the_index(path: Path) -> None:
    async with opened(path, index=True) as broker:
        await broker.append([said(*["word"] * 600), said(*["word"] * 600, project="q")])
        await find(broker, "word")
        assert rows(path) == 1200
        await checkpoint(broker, 500)
        await broker.trim(Retention(100, 1e9), NOW)
        await broker.append([said("word", project="q", ends=True)])
        found = await find(broker, "word", project=None)
        assert (found.count, {hit.project_id for hit in found.hits}) == (100, {"p"})
        assert rows(path) == 100


async def test_a_project_with_damaged_pages_does_not_stop_the_index_of_the_others(path: Path) -> None:
    async with opened(path, index=True) as broker:
        await fill(broker, 1, "p")
        await append_one(broker, said("word", project="q"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE event SET body = x'ff' WHERE key < ?", (2 << 36,))
    async with opened(path, index=True) as broker:
        assert await seqs_found(broker, "word", project="q") == [1]


async def test_a_search_that_takes_too_long_ends_with_what_it_has(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_query, "_STEPS", 1)
    async with opened(path, index=True) as broker:
        await broker.append([said(*["word"] * 600)])
        found = await find(broker, "word", bounds=Bounds(limit=10, events=10, seconds=0.0))
        assert not found.exact


words = st.sampled_from(
    ["alpha", "Beta", "beta2", "Ünï", "uni", "é", "東京", "x_y", "a.b", "it's", "-", "", "😀"]
)
texts = st.lists(words, max_size=6).map(" ".join)


@given(messages=st.lists(texts, min_size=1, max_size=5), asked=texts, prefix=st.booleans())
def test_the_index_finds_what_reading_finds(messages: list[str], asked: str, prefix: bool) -> None:
    try:
        terms = parse_query(asked + ("*" if prefix else ""))
    except InvalidInput:
        return

    async def main() -> None:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            async with opened(f"{folder}/store.db", index=True) as broker:
                await broker.append([said(*messages)])
                while await broker.index():
                    pass
                indexed = await broker.search(Query(terms), Where("p"), BOUNDS)
                read = await scan(broker, Query(terms), Where("p"), BOUNDS, None)
        assert indexed.index
        assert [hit.position.seq for hit in indexed.hits] == [hit.position.seq for hit in read.hits]

    trio.run(main)


def test_a_scan_says_how_far_it_looked(path: Path) -> None:
    async def main() -> None:
        async with opened(path) as broker:
            await broker.append([said(*["word"] * 50)])
            bounds = Bounds(limit=100, events=20, seconds=60.0)
            found = await scan(broker, Query(parse_query("word")), Where("p"), bounds, None)
            assert (found.searched_from, found.searched_to, found.count, found.exact) == (30, 50, 20, False)
            assert found.next is not None
            rest = await scan(broker, Query(parse_query("word")), Where("p"), bounds, found.next)
            assert (rest.searched_to, rest.searched_from) == (30, 10)

    trio.run(main, clock=MockClock(autojump_threshold=0))
