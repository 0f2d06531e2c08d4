"""API keys and revocations in SQLite: what outlives the process, and databases from before there were any."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasktree_rt.brokers.sqlite import schema
from tasktree_rt.errors import StoreUnavailable
from tests.brokers.contract_access import a_key, a_revocation
from tests.brokers.making import NOW, fill
from tests.brokers.opening import faulty_connect, opened

BEFORE = 4
"""The schema without keys and revocations."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def older(path: Path) -> None:
    """A database of the version before, closed in order, with a log in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "VERSION", BEFORE)
        later = (*schema.UPGRADES[BEFORE], *schema.UPGRADES[6])
        patch.setattr(schema, "SCHEMA", [one for one in schema.SCHEMA if one not in later])
        async with opened(path) as broker:
            await fill(broker, 3)
    with closing(sqlite3.connect(path)) as connection:  # of a later version
        connection.execute("ALTER TABLE life DROP COLUMN bytes")
    assert "api_key" not in described(path)
    assert "revocation" not in described(path)


def described(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


async def test_keys_and_revocations_are_there_after_closing_and_opening(path: Path) -> None:
    async with opened(path) as broker:
        await broker.access.add_key(a_key())
        await broker.access.revoke([a_revocation()], ["k1"], at=NOW)
        before = await broker.access.keys()
    async with opened(path) as broker:
        assert await broker.access.keys() == before
        assert await broker.access.revocations() == [a_revocation()]


async def test_an_older_database_gets_the_tables_of_a_new_one_and_keeps_its_logs(
    path: Path, tmp_path: Path
) -> None:
    await older(path)
    async with opened(path) as broker:
        assert (await broker.load("p")).head == 3
        assert await broker.access.add_key(a_key())
    async with opened(tmp_path / "new.db"):
        pass
    assert described(path) == described(tmp_path / "new.db")


@pytest.mark.parametrize("at", ["INSERT OR REPLACE INTO revocation", "UPDATE api_key SET revoked", "COMMIT"])
async def test_a_revocation_that_fails_is_not_half_stored(path: Path, at: str) -> None:
    faults: dict[str, int] = {}
    async with opened(path, connect=faulty_connect(faults)) as broker:
        await broker.access.add_key(a_key())
        faults[at] = sqlite3.SQLITE_FULL
        with pytest.raises(StoreUnavailable):
            await broker.access.revoke([a_revocation()], ["k1"], at=NOW)
        faults.clear()
        assert (await broker.access.keys(), await broker.access.revocations()) == ([a_key()], [])
        await broker.access.revoke([a_revocation()], ["k1"], at=NOW)
        assert await broker.access.revocations() == [a_revocation()]


async def test_forgetting_with_nothing_to_forget_writes_nothing(path: Path) -> None:
    async with opened(path) as broker:
        await broker.access.add_key(a_key())
        written = path.with_name("store.db-wal").stat().st_mtime_ns
        await broker.access.forget_access(NOW, NOW)
        assert path.with_name("store.db-wal").stat().st_mtime_ns == written
