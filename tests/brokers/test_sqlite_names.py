"""One database known by two names: the second hub is refused, by what the file is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
import trio

from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.errors import StoreUnusable
from tests.brokers.making import fill
from tests.brokers.opening import opened
from tests.brokers.test_sqlite_files import HOLD, REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the locks that this needs are Linux's")


@contextmanager
def hard_link(path: Path, other: Path) -> Iterator[None]:
    other.hardlink_to(path)
    yield


@contextmanager
def symbolic_link(path: Path, other: Path) -> Iterator[None]:
    other.symlink_to(path)
    yield


@contextmanager
def mounted(path: Path, other: Path) -> Iterator[None]:
    """As a file is mounted into two containers."""
    other.touch()
    done = subprocess.run(["mount", "--bind", path, other], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this user may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", other], check=True)


WAYS = [hard_link, symbolic_link, mounted]
Way = Callable[[Path, Path], AbstractContextManager[None]]


@asynccontextmanager
async def held_elsewhere(path: Path) -> AsyncIterator[trio.Process]:
    """Another process has the database open."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", HOLD, str(path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    async with process.stdout:
        assert (await process.stdout.receive_some()).startswith(b"open")
        try:
            yield process
        finally:
            process.kill()
            await process.wait()


async def refused(path: Path) -> str:
    with pytest.raises(StoreUnusable) as caught:
        await SqliteBroker(str(path)).open()
    return str(caught.value)


@pytest.fixture
def names(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "other").mkdir()
    return tmp_path / "store.db", tmp_path / "other" / "name.db"


@pytest.mark.parametrize("way", WAYS)
async def test_a_second_name_is_no_second_store(names: tuple[Path, Path], way: Way) -> None:
    path, other = names
    async with opened(path) as broker:
        await fill(broker, 1)
    async with held_elsewhere(path) as process:
        with way(path, other):
            told = await refused(other)
            assert "is open in another hub" in told
            assert "\n" not in told
            assert not (other.parent / "name.db.lock").exists()
            process.kill()
            await process.wait()
            async with opened(other) as broker:
                assert (await broker.load("p")).head == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_second_name_is_none_within_one_process_either(names: tuple[Path, Path], way: Way) -> None:
    path, other = names
    async with opened(path) as broker:
        with way(path, other):
            assert "is open in another hub" in await refused(other)
        await fill(broker, 1)


async def test_a_refusal_does_not_cost_the_holder_its_locks(names: tuple[Path, Path]) -> None:
    path, other = names
    async with opened(path, log_bytes=1 << 20) as broker:
        await fill(broker, 1)
        with hard_link(path, other):
            await refused(other)
        # Another program that comes and goes would take the log away if it thought itself alone.
        look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.close()"
        await trio.run_process([sys.executable, "-c", look, str(path), "SELECT * FROM life"])
        assert path.with_name("store.db-wal").exists()
        await broker.verify()


async def test_what_is_released_can_be_held_again(names: tuple[Path, Path]) -> None:
    path, other = names
    with closing(path.open("wb")):
        pass
    with hard_link(path, other):
        for name in (path, other, path):
            async with opened(name):
                pass
