"""Stores as the program of each schema version wrote them (``stores/schema_N.sql``), opened by this one."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio

from tasktree_rt.brokers.sqlite import schema
from tasktree_rt.core.log import Position, Recovered
from tasktree_rt.errors import StoreUnusable
from tests.brokers.opening import opened

STORES = {
    int(re.findall(r"\d+", file.stem)[0]): file
    for file in (Path(__file__).parent / "stores").glob("schema_*.sql")
}
TYPES = ["node_update", "node_update", "node_update", "note", "prompt"]
PROMPTS = 2
"""The first schema with prompts."""


def restored(version: int, folder: Path) -> Path:
    path = folder / "hub.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(STORES[version].read_text("utf-8"))
    return path


def tables(path: Path) -> set[tuple[str, str]]:
    """Each table's columns, in no order: an upgrade adds new ones at the end."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {(name, row[1]) for name in names for row in connection.execute(f"PRAGMA table_info({name})")}


def test_there_is_a_store_of_each_schema() -> None:
    assert set(STORES) == set(range(1, schema.VERSION + 1))
    for version, file in STORES.items():
        assert f"PRAGMA user_version = {version};" in file.read_text("utf-8")


@pytest.mark.parametrize("version", sorted(STORES))
async def test_a_store_of_an_older_schema_keeps_everything(version: int, tmp_path: Path) -> None:
    path = restored(version, tmp_path)
    async with opened(path) as broker:
        life = await broker.load("kept")
        found = await broker.read("kept", Position(life.epoch, 0), limit=100)
        assert isinstance(found, Recovered)
        assert [one.type for one in found.records] == TYPES[: life.head]
        assert life.head == (5 if version >= PROMPTS else 4)
        assert [one.name for one in await broker.snapshots("kept")] == ["first"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if version >= PROMPTS:
            assert connection.execute("SELECT name, kind FROM matter").fetchall() == [("q1", "prompt")]


@pytest.mark.parametrize("version", sorted(STORES))
async def test_an_upgraded_store_has_the_tables_of_a_new_one(version: int, tmp_path: Path) -> None:
    async with opened(tmp_path / "new.db"):
        pass
    path = restored(version, tmp_path)
    async with opened(path):
        pass
    assert tables(path) == tables(tmp_path / "new.db")


async def test_a_store_of_a_newer_schema_is_refused_with_what_to_do_and_left_as_it_is(tmp_path: Path) -> None:
    path = restored(schema.VERSION, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match="run that version, or restore a backup") as refused:
        async with opened(path):
            await trio.lowlevel.checkpoint()
    assert f"schema {schema.VERSION + 1}, known is {schema.VERSION}" in str(refused.value)
    assert path.read_bytes() == before
