"""Pages of a log: past events of a project, or of a user, in the order of their positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen
from quart import Response, request

from tasktree_rt.core.events import Json, Record
from tasktree_rt.core.log import BEGINNING, Position
from tasktree_rt.dialects.base import with_position
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub
from tasktree_rt.web.request import MOST, page_limit
from tasktree_rt.web.response import LargeAnswers, listed

PAGE_BYTES: Final = 1024 * 1024
"""Bytes of events after which a page ends, whatever its limit."""


@frozen
class HistoryPage:
    """Records of a topic, the oldest first; `rest` are the response's other fields."""

    records: Sequence[Record]
    epoch: str
    rest: Json


async def history(hub: Hub, name: str) -> HistoryPage:
    """Read the page of a topic's events that the query asks for: after ``since``, or the newest ones before
    ``before``; always the oldest first.
    """
    args, limit = request.args, page_limit()
    project = await hub.history.log(name)
    epoch, back = project.epoch, "before" in args
    place = _place(project.position)
    if place == BEGINNING:
        return HistoryPage((), epoch, {"next": None})
    records = await hub.history.events(
        project,
        place,
        back=back,
        limit=limit,
        max_bytes=PAGE_BYTES,
        type=args.get("type"),
        node_id=args.get("node_id"),
    )
    if not epoch or not records:
        return HistoryPage((), epoch, {"next": None})
    # A page may hold fewer than asked for, since it is bounded in bytes too.
    at = records[0].seq - 1 if back else records[-1].seq
    more = at > project.floor if back else len(records) == limit or at < project.position.seq
    return HistoryPage(records, epoch, {"next": str(Position(epoch, at)) if more else None})


async def branch_history(hub: Hub, name: str, root: str) -> HistoryPage:
    """Read a page as `history` does, of the events of nodes that are in a branch of a project now.

    The store is asked for events of all kinds, so that the place where a page ends says nothing of others.
    """
    args, limit = request.args, page_limit()
    view, project = await hub.branches.open(name, root), await hub.history.log(name)
    epoch, back, node_id, wanted = project.epoch, "before" in args, args.get("node_id"), args.get("type")
    place = _place(project.position)
    own = node_id is not None and node_id in view.branch
    if place == BEGINNING or (node_id is not None and not own):
        return HistoryPage((), epoch, {"next": None})
    read = await hub.history.events(
        project,
        place,
        back=back,
        limit=limit if own else MOST,
        max_bytes=PAGE_BYTES,
        type=wanted if own else None,
        node_id=node_id,
    )
    if not epoch or not read:
        return HistoryPage((), epoch, {"next": None})
    found = [one for record in read if (one := view.past(record)) and wanted in (None, one.type)]
    at, more = _end(read, back=back, floor=project.floor, head=project.position.seq)
    if len(found) > limit:
        found = found[-limit:] if back else found[:limit]
        at, more = (found[0].seq - 1 if back else found[-1].seq), True
    return HistoryPage(found, epoch, {"next": str(Position(epoch, at)) if more else None})


def _end(records: Sequence[Record], *, back: bool, floor: int, head: int) -> tuple[int, bool]:
    """Return the seq from which the next page reads, and whether it may find any."""
    at = records[0].seq - 1 if back else records[-1].seq
    return at, at > floor if back else at < head


def page_reply(answers: LargeAnswers, page: HistoryPage, **rest: object) -> Response:
    """Answer with a page of events; `rest` are more fields of the answer."""
    lines = (with_position(one, page.epoch) for one in page.records)
    size = sum(len(one.body) for one in page.records)
    return answers.response(object(), size, listed("events", lines, {**page.rest, **rest}))


def _place(head: Position) -> Position:
    """Return the position to read from. It is in the present epoch, even if a new epoch begins meanwhile."""
    since, before = request.args.get("since"), request.args.get("before")
    if since is not None and before is not None:
        raise InvalidInput("since and before exclude each other", field="before")
    if before is not None:
        return head if before == "end" else Position.parse(before, "before")
    asked = BEGINNING if since is None else Position.parse(since)
    return Position(head.epoch, 0) if asked == BEGINNING else asked
