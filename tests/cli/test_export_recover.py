"""export and recover as real processes, on a store with a damaged project."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.brokers.base import Retention
from tasktree_rt.brokers.sqlite import SqliteBroker
from tests.cli.processes import events_of, finished, get, hub
from tests.damage import BAD, EVENTS, GOOD, body, damage, event, make, statement
from tests.test_private import mode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def told(found: list[dict[str, Any]]) -> list[Any]:
    """The seq of each event, and what is lost as a pair."""
    return [
        (one["data"]["first"], one["data"]["last"]) if one["type"] == "events_lost" else one["seq"]
        for one in found
    ]


async def test_all_events_of_a_project_are_exported_beside_a_running_hub(tmp_path: Path, path: Path) -> None:
    await make(path)
    store = f"sqlite:{path}"
    async with hub(tmp_path, store=store) as (_, address):
        await finished(tmp_path, "push", GOOD, "--hub", address, stdin=b'{"type": "note"}')
        before = files(tmp_path)
        code, out, error = await finished(tmp_path, "export", GOOD, "--store", store)
        assert (code, error) == (0, f"tasktree-rt: {EVENTS + 1} events, 0 lost\n")
        assert lines(out) == await events_of(address, GOOD)
        assert files(tmp_path) == before


def files(folder: Path) -> list[str]:
    """The files of a folder but those of the search's index, which the hub makes behind the commits."""
    return sorted(one for one in os.listdir(folder) if ".search" not in one)


async def test_what_cannot_be_read_is_said_in_its_place(tmp_path: Path, path: Path) -> None:
    await make(path, body(2, "{"), statement(f"DELETE FROM event WHERE {event('IN (5, 6, 12)')}"))
    before = path.read_bytes()
    code, out, error = await finished(tmp_path, "export", BAD, "--store", f"sqlite:{path}")
    assert (code, error) == (3, "tasktree-rt: 8 events, 4 lost\n")
    assert told(lines(out)) == [1, (2, 2), 3, 4, (5, 6), 7, 8, 9, 10, 11, (12, 12)]
    assert path.read_bytes() == before


async def test_a_trimmed_log_begins_with_its_state(tmp_path: Path, path: Path) -> None:
    await make(path)
    broker = SqliteBroker(str(path))
    await broker.open()
    await broker.trim(Retention(5, 1e9), 0)
    await broker.aclose()
    code, out, _ = await finished(tmp_path, "export", BAD, "--store", f"sqlite:{path}")
    first, *events = lines(out)
    assert (code, first["type"], first["seq"]) == (0, "project_state", 4)
    assert {one["node_id"]: one["newest"] for one in first["data"]["nodes"]} == {
        f"n{n}": n for n in range(1, 5)
    }
    assert told(events) == list(range(5, EVENTS + 1))
    damage(path, statement("UPDATE part SET body = x'00'"))
    code, out, _ = await finished(tmp_path, "export", BAD, "--store", f"sqlite:{path}")
    assert (code, told(lines(out))[:2]) == (3, [(1, 4), 5])


async def test_pages_that_are_damaged_cost_only_what_is_on_them(tmp_path: Path, path: Path) -> None:
    await make(path)
    with closing(sqlite3.connect(path)) as connection:
        life = connection.execute("SELECT life FROM life WHERE project = ?", (BAD,)).fetchone()[0]
        said = {"type": "note", "project_id": BAD, "data": {"x": "x" * 800}, "timestamp": ""}
        rows = [(life << 36 | seq, "note", None, 1, json.dumps(said).encode()) for seq in range(13, 400)]
        connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("UPDATE life SET head = 399 WHERE life = ?", (life,))
        connection.commit()
    with path.open("r+b") as file:
        file.seek(4096 * (path.stat().st_size // 4096 // 2))
        file.write(b"\xa5" * 4096)
    code, out, _ = await finished(tmp_path, "export", BAD, "--store", f"sqlite:{path}")
    found = told(lines(out))
    lost = [one for one in found if isinstance(one, tuple)]
    assert code == 3
    assert 1 <= sum(last - first + 1 for first, last in lost) <= 20
    assert sum(last - first + 1 for first, last in lost) + len(found) - len(lost) == 399


async def test_an_export_into_a_file_is_its_owners_alone_and_can_be_pushed(
    tmp_path: Path, path: Path
) -> None:
    await make(path, body(10, "?"))
    out = tmp_path / "out.jsonl"
    out.touch(0o644)
    done = await finished(tmp_path, "export", BAD, "--store", f"sqlite:{path}", "--pushable", "-o", str(out))
    assert (done[0], done[1], mode(out)) == (3, "", 0o600)
    async with hub(tmp_path) as (_, address):
        code, _, error = await finished(tmp_path, "push", "again", str(out), "--hub", address)
        assert code == 0, error
        state = (await get(f"{address}/api/v1/projects/again/state"))["data"]["nodes"]
        assert {one["node_id"]: one["newest"] for one in state}["n2"] == 12


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("sqlite:none.db", "none.db is no file"),
        ("sqlite:text", "file is not a database"),
        ("sqlite:foreign.db", "is a database of another program"),
        ("memory:", "expected --store sqlite:PATH: this command reads the file of a store"),
    ],
)
async def test_what_cannot_be_exported_is_one_line(tmp_path: Path, store: str, reason: str) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to have been one " * 100)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as foreign:
        foreign.execute("CREATE TABLE cakes (name TEXT)")
    code, out, error = await finished(tmp_path, "export", "p", "--store", store)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert reason in error
    assert not (tmp_path / "none.db").exists()


async def test_a_project_that_is_not_there_is_not_exported(tmp_path: Path, path: Path) -> None:
    await make(path)
    code, _, error = await finished(tmp_path, "export", "none", "--store", f"sqlite:{path}")
    assert (code, error) == (2, "tasktree-rt: there is no project 'none' in the store\n")


async def test_a_damaged_project_goes_on_when_it_is_recovered(tmp_path: Path, path: Path) -> None:
    await make(path, body(10, "?"))
    async with hub(tmp_path, store=f"sqlite:{path}") as (_, address):
        code, _, error = await finished(tmp_path, "push", BAD, "--hub", address, stdin=b'{"type": "note"}')
        assert code == 2
        assert "project_damaged" in error
        code, out, _ = await finished(tmp_path, "recover", BAD, "--hub", address)
        lost, position = out.splitlines()
        assert code == 0
        assert lost.startswith("lost: 10-10 (event 10 cannot be read")
        state = await get(f"{address}/api/v1/projects/{BAD}/state")
        assert position == f"{state['epoch']}:{EVENTS}"
        again = await finished(tmp_path, "recover", BAD, "--hub", address)
        assert again[:2] == (0, f"{position}\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "expected PROJECT or --user USER"),
        (("p", "--user", "ada"), "expected PROJECT or --user USER"),
        (("none",), "not_found"),
        (("--user", "nobody"), "not_found"),
    ],
)
async def test_what_cannot_be_recovered_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    async with hub(tmp_path) as (_, address):
        code, out, error = await finished(tmp_path, "recover", *arguments, "--hub", address)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert reason in error
