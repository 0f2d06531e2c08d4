"""Stores in which something of one project cannot be read any more."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import trio

from tasktree_rt.brokers.sqlite import SqliteBroker
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.settings import Settings

BAD = "bad"
GOOD = "good"
EVENTS = 12
CHECKPOINTS = (4, 8)
SEQ = (1 << 36) - 1
_whole: list[bytes] = []
"""The store before it is damaged, made once."""
Damage = Callable[[sqlite3.Connection], None]


def made(hub: Hub, project: str, number: int) -> Event:
    changes = {"title": f"n{number}", "newest": number}
    data = {"node_id": f"n{number % 5}", "changes": changes}
    return Event("node_update", ProjectId(project), data, hub.timestamp())


async def fill(hub: Hub) -> None:
    """Two projects of twelve events, with checkpoints after the fourth and the eighth."""
    for number in range(1, EVENTS + 1):
        for project in (BAD, GOOD):
            await hub.publish(made(hub, project, number))
        if number in CHECKPOINTS:
            for project in (BAD, GOOD):
                await hub.checkpoints.save(await hub.cache.load(project))


def event(of: str) -> str:
    """The events of the bad project, as a condition; `of` is one on their seq."""
    return f"key >> 36 = (SELECT life FROM life WHERE project = '{BAD}') AND key & {SEQ} {of}"


def checkpoint(seq: int) -> str:
    """The parts of one of its checkpoints, as a condition."""
    life = f"(SELECT life FROM life WHERE project = '{BAD}')"
    return f"key >> 20 IN (SELECT state FROM state WHERE life = {life} AND seq = {seq})"


def statement(sql: str) -> Damage:
    def damage(connection: sqlite3.Connection) -> None:
        assert connection.execute(sql).rowcount > 0, sql

    return damage


def body(seq: int, text: str) -> Damage:
    return statement(f"UPDATE event SET body = x'{text.encode().hex()}' WHERE {event(f'= {seq}')}")


KINDS: dict[str, Damage] = {
    "an event is cut short": statement(
        f"UPDATE event SET body = substr(body, 1, length(body) - 9) WHERE {event('= 10')}"
    ),
    "an event is no JSON": body(10, "\x00\x01\x02"),
    "an event is empty": body(10, ""),
    "an event is no object": body(10, "[1]"),
    "an event has no type": body(10, "{}"),
    "an event's data is none": body(
        10, '{"type":"node_update","project_id":"bad","data":7,"timestamp":"2026-01-01T00:00:00Z"}'
    ),
    "an event's type is no text": statement(
        f"UPDATE event SET type = CAST(x'ff' AS TEXT) WHERE {event('= 10')}"
    ),
    "an event is missing": statement(f"DELETE FROM event WHERE {event('= 10')}"),
    "several events are missing": statement(f"DELETE FROM event WHERE {event('IN (9, 10)')}"),
    "the newest event is missing": statement(f"DELETE FROM event WHERE {event(f'= {EVENTS}')}"),
    "there are events behind the head": statement(f"UPDATE life SET head = 11 WHERE project = '{BAD}'"),
    "a checkpoint is no JSON": statement(f"UPDATE part SET body = x'00ff' WHERE {checkpoint(8)}"),
    "a checkpoint's fields are none": statement(
        f"UPDATE part SET body = CAST('[]' AS BLOB) WHERE {checkpoint(8)} AND key & 1048575 = 0"
    ),
    "a checkpoint's nodes are none": statement(
        f"UPDATE part SET body = CAST('[[1, 2]]' AS BLOB) WHERE {checkpoint(8)} AND key & 1048575 = 1"
    ),
    "a checkpoint's first part is missing": statement(
        f"DELETE FROM part WHERE {checkpoint(8)} AND key & 1048575 = 0"
    ),
    "a checkpoint has no parts": statement(f"DELETE FROM part WHERE {checkpoint(8)}"),
    "all checkpoints and an event": statement(f"UPDATE part SET body = x'00' WHERE {checkpoint(8)}"),
}


def damage(path: Path, *kinds: Damage) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for one in kinds:
            one(connection)


async def make(path: Path, *kinds: Damage) -> None:
    """A store with a good and a damaged project."""
    if not _whole:
        async with open_hub(SqliteBroker(str(path)), Settings()) as hub:
            with trio.fail_after(60):
                await fill(hub)
        _whole.append(path.read_bytes())
        path.with_name(f"{path.name}.lock").unlink()
    path.write_bytes(_whole[0])
    damage(path, *kinds)
