"""What the SQLite broker refuses to open, and how it says so."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio

from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.brokers.sqlite import open_checks as sqlite_identity
from tasktree_rt.brokers.sqlite import schema as sqlite_schema
from tasktree_rt.errors import StoreDamaged, StoreUnavailable, StoreUnusable
from tests.brokers.making import checkpoint, entry, fill
from tests.brokers.opening import opened

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def refusal(path: Path | str) -> str:
    """Why it cannot be opened; that must be one line."""
    broker = SqliteBroker(str(path), busy_timeout=0.01)
    with pytest.raises(StoreUnusable) as caught:
        await broker.open()
    await broker.aclose()
    message = str(caught.value)
    assert "\n" not in message
    return message


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_text("shopping list")
    assert await refusal(path) == f"{path} is not a SQLite database"
    assert path.read_text() == "shopping list"
    assert os.listdir(path.parent) == ["store.db"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_a_database_of_another_program_is_left_as_it_is(path: Path, mode: str) -> None:
    execute(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    before = path.read_bytes()
    assert await refusal(path) == f"{path} is a database of another program"
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["store.db"]


async def test_a_database_of_another_program_that_is_in_use(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        assert await refusal(path) == f"{path} is a database of another program"


async def test_a_newer_schema(path: Path) -> None:
    async with opened(path):
        pass
    execute(path, "PRAGMA user_version = 99")
    assert "was written by a newer version of this program (schema 99, known is 7)" in await refusal(path)


async def test_a_truncated_database(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 2_000)
    os.truncate(path, path.stat().st_size // 2)
    assert "is damaged" in await refusal(path)


async def test_a_damaged_page(path: Path) -> None:
    async with opened(path) as broker:
        await fill(broker, 2_000)
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xa5" * 4096 * 10)
    assert "damaged" in await refusal(path)


async def test_damage_that_is_found_later_is_one_projects_and_nothing_is_written_any_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as broker:
        await fill(broker, 5_000)
    with path.open("r+b") as file:
        file.seek(4096 * 60)
        file.write(b"\xa5" * 4096 * 10)
    monkeypatch.setattr(sqlite_identity, "_SMALL", 0)
    async with opened(path) as broker:
        with pytest.raises(StoreDamaged, match="the database is damaged"):
            await broker.load("p")
        for call in (broker.verify, broker.probe, lambda: broker.append([entry("q")])):
            with pytest.raises(StoreUnavailable, match="the database is damaged") as caught:
                await call()
            assert caught.value.lasting


async def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    assert await refusal(tmp_path) == f"{tmp_path} is not a file"


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot make the folder" in await refusal(tmp_path / "file" / "store.db")
    assert "cannot make the folder" in await refusal(tmp_path / "file" / "deeper" / "store.db")


@contextmanager
def nobody() -> Iterator[None]:
    """Without the superuser's leave to write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody can go into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


async def test_a_folder_that_may_not_be_written(shared: Path) -> None:
    shared.chmod(0o555)
    with nobody():
        assert await refusal(shared / "store.db") == f"cannot write {shared}/store.db.lock: Permission denied"


async def test_a_file_that_may_not_be_written(shared: Path) -> None:
    path = shared / "store.db"
    async with opened(path):
        pass
    path.chmod(0o444)
    path.with_name("store.db.lock").chmod(0o666)
    shared.chmod(0o777)
    with nobody():
        assert await refusal(path) == f"{path}: Permission denied"


async def test_a_refused_file_can_be_opened_once_it_is_mended(path: Path) -> None:
    path.write_text("shopping list")
    await refusal(path)
    path.unlink()
    async with opened(path) as broker:
        await fill(broker, 1)


async def test_a_second_hub_in_the_same_process_is_refused(path: Path) -> None:
    async with opened(path) as broker:
        assert await refusal(path) == f"{path} is open in another hub (process {os.getpid()})"
        link = path.with_name("link")
        link.symlink_to(path)
        assert f"(process {os.getpid()})" in await refusal(link)
        await fill(broker, 1)
    async with opened(path) as broker:
        assert (await broker.load("p")).head == 1


HOLD = """
import sys, trio
from tasktree_rt.brokers.sqlite import SqliteBroker
async def main():
    broker = SqliteBroker(sys.argv[1])
    await broker.open()
    print("open", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


async def test_a_second_hub_in_another_process_is_refused_until_the_first_is_dead(path: Path) -> None:
    holder = await trio.lowlevel.open_process(
        [sys.executable, "-c", HOLD, str(path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    async with holder.stdout:
        assert (await holder.stdout.receive_some()).startswith(b"open")
        assert await refusal(path) == f"{path} is open in another hub (process {holder.pid})"
        holder.kill()
        await holder.wait()
    async with opened(path) as broker:
        await fill(broker, 1)


async def test_a_database_that_another_program_writes_to_is_not_now(path: Path) -> None:
    async with opened(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        broker = SqliteBroker(str(path), busy_timeout=0.01)
        path.with_name("store.db.lock").write_text("")  # so that opening has to write
        with pytest.raises(StoreUnavailable, match="locked by another program"):
            await broker.open()
        other.execute("ROLLBACK")
    async with opened(path) as broker:
        await fill(broker, 1)


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    broker = SqliteBroker(str(path))
    with pytest.raises(StoreUnavailable, match="not open"):
        await broker.load("p")
    await broker.open()
    await broker.aclose()
    with pytest.raises(StoreUnavailable, match="not open"):
        await broker.append([entry("p")])


async def test_opening_a_long_log_reads_next_to_nothing_of_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as broker:
        for _ in range(20):
            await fill(broker, 5_000)
        await checkpoint(broker, 100_000)
    monkeypatch.setattr(sqlite_identity, "_SMALL", 0)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def connect(name: str) -> sqlite3.Connection:
        connection = sqlite_schema.connect(name)
        connection.set_progress_handler(count, 100)
        return connection

    async with opened(path, connect=connect) as broker:
        assert (await broker.load("p")).head == 100_000
        assert steps * 100 < 5_000  # of SQLite's machine; a row read is at least one
