"""Search without an index: read the logs from their end, as far as the bounds let."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final, Protocol

import trio
from attrs import Factory, define

from tasktree_rt.brokers.base.log import Log
from tasktree_rt.brokers.base.projects import Projects
from tasktree_rt.brokers.base.search import Bounds, Found, Hit, Place, Where
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position
from tasktree_rt.core.search import Query, event_text, found_in, kind_of
from tasktree_rt.core.terminal import shown_text
from tasktree_rt.errors import StoreDamaged

_PAGE: Final = 500
"""Events that one step reads."""
_SLICE: Final = 32
"""Events between two turns of the other tasks."""


class Readable(Log, Projects, Protocol):
    """What a scan needs of a broker."""


async def scan(broker: Readable, query: Query, where: Where, bounds: Bounds, after: Place | None) -> Found:
    """Answer a search by reading; see `Search.search`."""
    work = _Scan(broker, query, bounds, trio.current_time() + bounds.seconds)
    searched_from = searched_to = 0
    async with aclosing(_logs(broker, where, after)) as logs:
        async for name, position in logs:
            searched_to = position.seq
            try:
                searched_from = await work.read(name, position)
            except StoreDamaged:
                if where.project_id is not None:
                    raise  # of all projects those are searched that can be read
            if work.over:
                break
    return Found(
        tuple(work.hits), work.count, not work.over, work.rest, searched_from, searched_to, 0, index=False
    )


async def _logs(
    broker: Readable, where: Where, after: Place | None
) -> AsyncGenerator[tuple[str, Position], None]:
    """Yield the logs to look through with their ends, the first one from where the search stopped."""
    if after is not None:
        yield after.project_id, Position(after.position.epoch, after.position.seq - 1)
    if where.project_id is not None:
        if after is None:
            life = await broker.load(where.project_id)
            yield where.project_id, Position(life.epoch, life.head)
        return
    name = after.project_id if after is not None else ""
    while page := await broker.projects(name, _PAGE):
        for one in page:
            if where.allowed(one.project_id):
                yield one.project_id, Position(one.epoch, one.seq)
        name = page[-1].project_id


@define
class _Scan:
    """What was found, and what is left of the bounds."""

    broker: Readable
    query: Query
    bounds: Bounds
    until: float
    hits: list[Hit] = Factory(list)
    count: int = 0
    looked: int = 0
    over: bool = False
    rest: Place | None = None

    async def read(self, name: str, position: Position) -> int:
        """Look through a log back from a position; return the seq after which events were looked at."""
        while position.seq > 0:
            found = await self.broker.read_back(name, position, limit=_PAGE)
            if isinstance(found, Gap) or not found.records:
                break
            for record in reversed(found.records):
                self._take(matched(self.query, name, position.epoch, record))
                position = Position(position.epoch, record.seq - 1)
                if await self._is_over():
                    if len(self.hits) < self.bounds.limit:
                        self.rest = Place(name, Position(position.epoch, record.seq))
                    return position.seq
        return position.seq

    async def _is_over(self) -> bool:
        self.looked += 1
        self.over = self.looked >= self.bounds.events
        if self.looked % _SLICE == 0:
            await trio.lowlevel.checkpoint()
            self.over = self.over or trio.current_time() > self.until
        return self.over

    def _take(self, hit: Hit | None) -> None:
        if hit is None:
            return
        self.count += 1
        if len(self.hits) < self.bounds.limit:
            self.hits.append(hit)
        elif self.rest is None:
            last = self.hits[-1]
            self.rest = Place(last.project_id, last.position)


def matched(query: Query, name: str, epoch: str, record: Record) -> Hit | None:
    """Return an event as a hit; None if it does not match."""
    if query.kind is not None and kind_of(record.type) != query.kind:
        return None
    if query.node_id is not None and record.node_id != query.node_id:
        return None
    data = _data(record.body)
    level = data.get("level") if record.type == "log" else None
    level = level if isinstance(level, str) else None
    if query.levels and (level is None or level.lower() not in query.levels):
        return None
    excerpt = found_in(shown_text(event_text(record.type, data)), query.terms)
    if excerpt is None:
        return None
    position = Position(epoch, record.seq)
    return Hit(name, position, record.type, record.node_id, level, record.received, excerpt)


def _data(body: bytes) -> dict[str, Any]:
    """Return an event's data; empty where a body is no event."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    data = found.get("data") if isinstance(found, dict) else None
    return data if isinstance(data, dict) else {}
