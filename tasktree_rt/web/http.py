"""The HTTP API under ``/api/v1``: publish, states, history, snapshots, connections.

docs/protocol.md and ``/api/v1/openapi.json`` say what each route does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import attrs
from attrs import frozen
from quart import Blueprint, Response, g, request

from tasktree_rt.brokers.base import Key
from tasktree_rt.brokers.base import Snapshot as Kept
from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json, ProjectId, Record, micros_to_time, parse_event, project_id
from tasktree_rt.core.log import BEGINNING, Gap, Position, Recovered
from tasktree_rt.core.topics import user_id, user_topic
from tasktree_rt.dialects.base import decode_json, decode_object, digest, encode_json, with_position
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.checkpoints import check_events, check_state
from tasktree_rt.hub.hub import Hub, Published
from tasktree_rt.hub.project import Project
from tasktree_rt.hub.recovery import Recovered as Recovery
from tasktree_rt.hub.shared_snapshot import PlannedSnapshot
from tasktree_rt.hub.store_errors import readable
from tasktree_rt.hub.subscriber import Subscriber
from tasktree_rt.web.large import JSON, PIECE, LargeAnswers, listed
from tasktree_rt.web.states import nodes_in, nodes_of, state_pieces

PAGE: Final = 100
MOST: Final = 1_000
PAGE_BYTES: Final = 1024 * 1024
"""Of a page's events; it ends early when it has so many."""
PAST: Final = 4
"""Times its size as JSON: about what a past state takes in memory."""
REQUEST: Final = 8 * 1024
"""Bytes of a publish that cost as much as the request around it."""
CONNECTION_LINE: Final = 1024
"""Bytes of one connection in an answer, about."""
MAX_KEY: Final = 128


class Api:
    """The views; `routes` registers them. The caller's grants are in ``g.grants``."""

    def __init__(self, hub: Hub, answers: LargeAnswers) -> None:
        self._hub = hub
        self._answers = answers

    def routes(self) -> Blueprint:
        """All of them, under ``/api/v1``."""
        found = Blueprint("api", __name__)
        for method, path, view in (
            ("POST", "/projects/<project>/events", self.publish),
            ("GET", "/projects/<project>/state", self.state),
            ("GET", "/projects/<project>/events", self.events),
            ("DELETE", "/projects/<project>", self.delete),
            ("POST", "/projects/<project>/recover", self.recover),
            ("POST", "/users/<path:user>/recover", self.recover_user),
            ("POST", "/projects/<project>/snapshots", self.keep),
            ("GET", "/projects/<project>/snapshots", self.kept),
            ("GET", "/projects/<project>/snapshots/<snapshot_id>", self.one_kept),
            ("DELETE", "/projects/<project>/snapshots/<snapshot_id>", self.forget),
            ("POST", "/broadcast", self.broadcast),
            ("GET", "/connections", self.connections),
            ("GET", "/stats", self.stats),
        ):
            found.add_url_rule(path, f"{method} {path}".replace(".", ""), view, methods=[method])
        return found

    async def publish(self, project: str) -> Response:
        """One event, an array of them, or NDJSON; all or nothing."""
        name = project_id(project)
        if not grants().push.covers(name):
            raise Refused(f"you may not push to {name!r}")
        raw = await self._events(name)
        now = self._hub.timestamp()
        events = [
            parse_event(one, now=now, field=f"events[{index}]", project=name) for index, one in enumerate(raw)
        ]
        fingerprint = digest([project, raw])
        published = await self._hub.publish(
            events, key=idempotency(), fingerprint=fingerprint, owner=grants().owner
        )
        return reply(_published(published), 200)

    async def _events(self, name: str) -> list[Any]:
        body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
        await self._hub.turns.take(name, len(body) + REQUEST)
        kind = (request.mimetype or "").lower()
        if kind in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
            lines = [line for line in body.split(b"\n") if line.strip()]
            return [_line(line, index) for index, line in enumerate(lines)]
        value = _decoded(body, "events")
        return value if isinstance(value, list) else [value]

    async def broadcast(self) -> Response:
        """A message without a project, to every watcher; it is not stored."""
        if not grants().push.everything:
            raise Refused("you may not tell everybody")
        body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
        watchers = self._hub.broadcast(decode_object(body))
        await self._hub.broadcasts.quiet()
        return reply({"watchers": watchers})

    async def state(self, project: str) -> Response:
        """The whole state, now or as it was."""
        name = watched(project)
        at = request.args.get("at")
        found = await self._hub.existing(name)
        seq = None if at is None else number("at", at, 1 << 60, 0)
        if seq is None or seq == found.tree.head:
            return self._present(found)
        # Admitted before it is read, by what may be known of it then.
        size = PAST * max(found.tree.bound, PIECE)
        held = self._answers.admit((name, found.position_at(seq)), size)
        try:
            return held.response(_state(await self._hub.past_state(found, seq)))
        except BaseException:
            held.release()
            raise

    def _present(self, project: Project) -> Response:
        planned = project.snapshot(project.tree.head)
        size, source = planned.snapshot.bound, (project.project_id, project.position)
        return self._answers.response(source, size, _state(planned))

    async def events(self, project: str) -> Response:
        """Past events."""
        return page_reply(self._answers, await history(self._hub, watched(project)))

    async def delete(self, project: str) -> Response:
        """End the log's life."""
        name = project_id(project)
        if not (grants().push.covers(name) or grants().admin):
            raise Refused(f"you may not delete {name!r}")
        return reply(_published(await self._hub.delete_project(name)))

    async def recover(self, project: str) -> Response:
        """Let a damaged project go on with what of it can be read."""
        administers()
        return reply(_recovered(await self._hub.recover(project_id(project)), project_id=project))

    async def recover_user(self, user: str) -> Response:
        """The same of a user's own log."""
        administers()
        topic = user_topic(user_id(user))
        return reply(_recovered(await self._hub.recover(topic), user_id=user))

    async def keep(self, project: str) -> Response:
        """Keep the present state under a name."""
        return await _keep(self._hub, project_id(project))

    async def kept(self, project: str) -> Response:
        """The snapshots of a project."""
        return reply(
            {"snapshots": [_kept(one) for one in await self._hub.broker.snapshots(watched(project))]}
        )

    async def one_kept(self, project: str, snapshot_id: str) -> Response:
        """One snapshot with its state."""
        name = watched(project)

        async def read() -> _StoredState | None:
            with readable():
                found = await self._hub.broker.snapshot(name, snapshot_id)
                if found is not None:
                    await check_state(name, found[1])
            return None if found is None else _StoredState(*found)

        source = (name, snapshot_id)
        stored = await self._hub.past.get(source, read)
        if stored is None:
            raise Refused(f"there is no snapshot {snapshot_id!r}", code="not_found", field="snapshot_id")
        return self._answers.response(source, stored.size, stored.pieces())

    async def forget(self, project: str, snapshot_id: str) -> Response:
        """Delete one snapshot."""
        name = project_id(project)
        if not (grants().push.covers(name) or grants().admin):
            raise Refused(f"you may not delete snapshots of {name!r}")
        await self._hub.snapshots.delete(name, snapshot_id)
        return reply({"project_id": name, "snapshot_id": snapshot_id, "deleted": True})

    async def connections(self) -> Response:
        """Who is connected, how far behind, what was shed."""
        administers()
        everybody = list(self._hub.connections.values())
        lines = (encode_json(_connection(self._hub, one)) for one in everybody)
        size = CONNECTION_LINE * len(everybody)
        return self._answers.response(object(), size, listed("connections", lines, {}))

    async def stats(self) -> Response:
        """The hub at a glance."""
        administers()
        found = self._hub.statistics()
        return reply({name: getattr(found, name) for name in attrs.fields_dict(type(found))})


def grants() -> Grants:
    """The caller's."""
    found: Grants = g.grants
    return found


def watched(project: str) -> ProjectId:
    """A project id the caller may watch.

    Raises:
        PeerError: ``invalid_project_id`` or ``forbidden``.
    """
    name = project_id(project)
    if not grants().watch.covers(name):
        raise Refused(f"you may not watch {name!r}")
    return name


def administers() -> None:
    """Only for administrators.

    Raises:
        Refused: ``forbidden``.
    """
    if not grants().admin:
        raise Refused("this is for administrators (claim tasktree.admin)")


def reply(value: Json, status: int = 200) -> Response:
    """JSON."""
    return Response(encode_json(value), status, content_type=JSON)


def _line(line: bytes, index: int) -> Any:  # noqa: ANN401 - any JSON
    return _decoded(line, f"events[{index}]")


def _decoded(text: bytes, within: str) -> Any:  # noqa: ANN401 - any JSON
    """JSON; a number in it that is refused is told with its place in `within`, an array or one event."""
    try:
        return decode_json(text)
    except InvalidInput as error:
        place = error.field
        if within != "events":
            error.field = f"{within}.{place}" if place else within
        elif place:
            error.field = f"events{place}" if place.startswith("[") else f"events[0].{place}"
        raise


def idempotency() -> Key | None:
    """The request's ``Idempotency-Key``, with its ``Producer-Id``.

    Raises:
        InvalidInput: naming the header.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    producer = request.headers.get("Producer-Id", "http")
    for field, value in (("Idempotency-Key", given), ("Producer-Id", producer)):
        if not 0 < len(value) <= MAX_KEY:
            raise InvalidInput(f"expected 1-{MAX_KEY} characters", field=field)
    return Key(grants().subject, producer, encode_json(given).decode())


def _published(found: Published) -> Json:
    positions = [
        {"project_id": found.project_id, "epoch": one.epoch, "seq": one.seq} for one in found.positions
    ]
    return {"positions": positions, "duplicate": found.duplicate}


def limit_asked() -> int:
    """The query's ``limit``."""
    return number("limit", request.args.get("limit", str(PAGE)), MOST, 1)


def number(field: str, text: str, most: int, least: int) -> int:
    """A whole number of the query.

    Raises:
        InvalidInput: naming the field.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 18 or not least <= int(text) <= most:
        raise InvalidInput(f"expected a number from {least} to {most}, got {text[:40]!a}", field=field)
    return int(text)


@frozen
class HistoryPage:
    """Records of a topic, the oldest first, and what goes into the answer behind them."""

    records: Sequence[Record]
    epoch: str
    rest: Json


async def history(hub: Hub, name: str) -> HistoryPage:
    """A page of a topic's events as the query asks for them: those after ``since``, or the newest ones before
    ``before``; the oldest first in either case."""
    args, limit = request.args, limit_asked()
    project = await hub.shelf.load(name)
    epoch, back = project.epoch, "before" in args
    place = _place(project.position)
    if place == BEGINNING:
        return HistoryPage((), epoch, {"next": None})
    read = hub.broker.read_back if back else hub.broker.read
    wanted = {"type": args.get("type"), "node_id": args.get("node_id")}
    with readable():
        found = await read(name, place, limit=limit, max_bytes=PAGE_BYTES, **wanted)
        if isinstance(found, Recovered):
            await check_events(name, found.records)
    if isinstance(found, Gap):
        oldest = Position(project.epoch, project.floor)
        raise Refused(f"the oldest position is {oldest}", code="gone", field="before" if back else "since")
    records = found.records
    if not epoch or not records:
        return HistoryPage((), epoch, {"next": None})
    # A page may hold fewer than asked for, since it is bounded in bytes too.
    at = records[0].seq - 1 if back else records[-1].seq
    more = at > project.floor if back else len(records) == limit or at < project.position.seq
    return HistoryPage(records, epoch, {"next": str(Position(epoch, at)) if more else None})


def page_reply(answers: LargeAnswers, page: HistoryPage, **rest: object) -> Response:
    """A page of events, and what else there is to say, as an answer."""
    lines = (with_position(one, page.epoch) for one in page.records)
    size = sum(len(one.body) for one in page.records)
    return answers.response(object(), size, listed("events", lines, {**page.rest, **rest}))


def _place(head: Position) -> Position:
    """From where to read. The beginning and the end are those of this life, also if another begins while the
    store reads."""
    since, before = request.args.get("since"), request.args.get("before")
    if since is not None and before is not None:
        raise InvalidInput("since and before exclude each other", field="before")
    if before is not None:
        return head if before == "end" else Position.parse(before, "before")
    asked = BEGINNING if since is None else Position.parse(since)
    return Position(head.epoch, 0) if asked == BEGINNING else asked


async def _keep(hub: Hub, name: ProjectId) -> Response:
    if not grants().push.covers(name):
        raise Refused(f"you may not push to {name!r}")
    body = await request.get_data(as_text=False)
    given = decode_json(body) if body else {}
    title = given.get("name", "") if isinstance(given, dict) else None
    if not isinstance(title, str) or len(title) > MAX_KEY:
        raise InvalidInput(f'expected {{"name"?: a string of at most {MAX_KEY} characters}}', field="name")
    at = given.get("at")
    if at is not None and (type(at) is not int or at < 0):
        raise InvalidInput("expected an integer of at least 0", code="invalid_position", field="at")
    kept = await hub.snapshots.keep(name, title, grants().owner, partial(hub.state, name, at))
    return reply(_kept(kept), 201)


def _recovered(found: Recovery, **named: str) -> Json:
    return {
        **named,
        "epoch": found.position.epoch,
        "seq": found.position.seq,
        "checkpoint": found.checkpoint,
        "lost": [{"first": one.first, "last": one.last, "why": one.why} for one in found.lost],
    }


def _state(planned: PlannedSnapshot) -> Iterator[bytes]:
    name, snapshot = planned.project_id, planned.snapshot
    head = {"project_id": name, "epoch": snapshot.epoch, "seq": snapshot.seq}
    return state_pieces(head, name, snapshot.top, nodes_of(planned))


class _StoredState:
    """A snapshot as the store has it."""

    def __init__(self, kept: Kept, parts: tuple[bytes, ...]) -> None:
        self._kept = kept
        self._parts = parts
        self.size = sum(map(len, parts))

    def pieces(self) -> Iterator[bytes]:
        """It, as an answer."""
        top, *nodes = self._parts
        return state_pieces(
            _kept(self._kept), self._kept.project_id, decode_json(top, ours=True), nodes_in(nodes)
        )


def _kept(one: Kept) -> Json:
    return {
        "snapshot_id": one.snapshot_id,
        "project_id": one.project_id,
        "name": one.name,
        "epoch": one.epoch,
        "seq": one.seq,
        "created_at": micros_to_time(one.created),
    }


def _connection(hub: Hub, one: Subscriber) -> Json:
    lagging = {name: str(position) for name in one.special or () if (position := one.lag(name))}
    return {
        "connection_id": one.id,
        "dialect": one.dialect.name,
        "address": one.address,
        "subject": one.grants.subject,
        "subscriptions": sorted(hub.connections.topics_of(one)),
        "policy": one.policy.value,
        "seconds": round(one.now() - one.begun, 3),
        "sent_messages": one.sent_messages,
        "sent_bytes": one.sent_bytes,
        "waiting_messages": one.outbox.waiting,
        "waiting_bytes": one.outbox.waiting_bytes,
        "sheds": one.sheds,
        "lagging": lagging,
        "acked": one.acked or {},
    }
