"""Prompts and commands in SQLite: databases from before there were any, and faults in the middle."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tasktree_rt.brokers.base import Appended
from tasktree_rt.brokers.sqlite import appender, schema
from tasktree_rt.errors import StoreError, StoreUnavailable, StoreUnusable
from tests.brokers.contract_interactions import an_interaction, listed, opening, settling
from tests.brokers.making import NOW, append_one, entry, events, fill
from tests.brokers.opening import faulty_connect, opened

WITHOUT_OWNER = (
    "INSERT INTO life (life, project, epoch, head, floor, covered, received, state, nodes) "
    "SELECT ?1, ?2, ?3, 0, 0, 0, ?4, NULL, 0 WHERE ?5 IS NOT NULL"
)
WITHOUT_ABOUT = (
    "UPDATE life SET head = ?1, received = ?2, state = ?3, nodes = ?4 WHERE life = ?7 AND ?5 IS NOT NULL "
    "AND ?6 IS NOT NULL"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def older(path: Path) -> None:
    """A database of the version before, closed in order, with a log in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "VERSION", 1)
        newer = (" matter", " about ", " owner ", "matter_owner", " api_key ", " revocation ", " bytes ")
        old = [one for one in schema.SCHEMA if not any(name in one for name in newer)]
        patch.setattr(schema, "SCHEMA", old)
        patch.setattr(appender, "_UPDATE_LIFE", WITHOUT_ABOUT)
        patch.setattr(appender, "_INSERT_LIFE", WITHOUT_OWNER)
        async with opened(path) as broker:
            await fill(broker, 3)
    assert version(path) == 1
    assert "matter" not in tables(path)
    assert "about" not in tables(path)["life"]


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found


def tables(path: Path) -> dict[str, str]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


async def test_an_older_database_is_brought_up_to_date_and_goes_on_where_it_was(path: Path) -> None:
    await older(path)
    async with opened(path) as broker:
        life = await broker.load("p")
        assert (life.epoch, life.owner) == ("e1", "")
        assert len(await events(broker)) == 3
        assert await broker.interactions() == []
        assert [one.about for one in await broker.projects()] == [b""]
        await broker.append([opening(an_interaction("m"))])
    async with opened(path) as broker:
        assert await listed(broker, open=True) == ["m"]
        assert (await broker.load("p")).head == 4
        assert await broker.owned() == {("", False): 1}
    assert version(path) == schema.VERSION


async def test_an_upgraded_database_has_the_tables_of_a_new_one(path: Path, tmp_path: Path) -> None:
    await older(path)
    async with opened(path):
        pass
    async with opened(tmp_path / "new.db"):
        pass
    assert tables(path) == tables(tmp_path / "new.db")


@pytest.mark.parametrize(
    "at",
    [
        "CREATE TABLE matter",
        "CREATE INDEX matter_settled",
        "ALTER TABLE life ADD COLUMN about",
        "ALTER TABLE life ADD COLUMN owner",
        "ALTER TABLE state",
        "PRAGMA user_version =",
        "COMMIT",
    ],
)
async def test_an_upgrade_that_fails_leaves_the_older_database_as_it_was(path: Path, at: str) -> None:
    await older(path)
    before = tables(path)
    with pytest.raises(StoreError):
        async with opened(path, connect=faulty_connect({at: sqlite3.SQLITE_FULL})):
            pass
    assert (version(path), tables(path)) == (1, before)
    async with opened(path) as broker:
        assert await append_one(broker, opening(an_interaction("m"))) == Appended("e1", 4, NOW)


async def test_the_version_before_does_not_open_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path):
        pass
    monkeypatch.setattr(schema, "VERSION", 1)
    with pytest.raises(StoreUnusable, match="newer version"):
        async with opened(path):
            pass


FAULTS = [
    "BEGIN",
    "INSERT INTO matter",
    "UPDATE matter",
    "INSERT INTO event",
    "UPDATE life",
    "INSERT INTO grave",
    "UPDATE store",
    "COMMIT",
]


@pytest.mark.parametrize("at", FAULTS)
async def test_a_batch_that_opens_and_settles_is_kept_whole_or_not_at_all(path: Path, at: str) -> None:
    fails: dict[str, int] = {}
    async with opened(path, connect=faulty_connect(fails)) as broker:
        await broker.append(
            [opening(an_interaction("old", "p", "@anna")), entry("@anna"), opening(an_interaction("q", "q"))]
        )
        before = await everything(path)
        fails[at] = sqlite3.SQLITE_FULL
        batch = [
            opening(an_interaction("new", "p", "@bert")),
            entry("@bert"),
            settling("old"),
            entry("@anna"),
            settling("q", project="q", ends=True),
        ]
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await broker.append(batch)
            assert await everything(path) == before
        fails.clear()
        outcomes = await broker.append(batch)
        assert [one.first for one in outcomes if isinstance(one, Appended)] == [2, 1, 3, 2, 2]
        assert await listed(broker, open=True) == ["new"]
        assert await listed(broker, open=False) == ["old", "q"]
        assert (await broker.load("q")).epoch == ""


async def test_a_name_that_is_taken_refuses_the_whole_batch(path: Path) -> None:
    async with opened(path) as broker:
        await broker.append([opening(an_interaction("m"))])
        before = await everything(path)
        with pytest.raises(StoreUnavailable):
            await broker.append([entry("p"), opening(an_interaction("m", "q"))])
        assert await everything(path) == before


async def test_a_fault_while_listing_is_told_and_passes(path: Path) -> None:
    fails: dict[str, int] = {}
    async with opened(path, connect=faulty_connect(fails)) as broker:
        await broker.append([opening(an_interaction("m"))])
        fails["SELECT id, kind"] = sqlite3.SQLITE_IOERR
        with pytest.raises(StoreUnavailable):
            await broker.interactions()
        with pytest.raises(StoreUnavailable):
            await broker.interaction("m")
        fails.clear()
        assert await listed(broker) == ["m"]


async def everything(path: Path) -> list[object]:
    """All rows that an append may touch, as another program sees them."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("matter", "event", "life", "grave", "death", "publish", "store")
        ]


async def test_the_prompts_of_a_database_before_names_keep_their_ids(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "VERSION", 6)
        patch.setattr(schema, "SCHEMA", [one for one in schema.SCHEMA if one not in schema.UPGRADES[6]])
        async with opened(path) as broker:
            await fill(broker, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO matter (id, kind, topic, received, deadline, digest, body) "
            "VALUES ('deploy', 'prompt', 'p', 1, 2, x'', x'7b7d')"
        )
        connection.commit()
    async with opened(path) as broker:
        (found,) = await broker.interactions(name="deploy")
        assert (found.id, found.name, found.topics) == ("deploy", "deploy", ("p",))
        assert await broker.interaction("deploy") == found
