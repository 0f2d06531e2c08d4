"""The HTTP API under ``/api/v1``: publish, states, history, snapshots, connections.

docs/protocol.md and ``/api/v1/openapi.json`` say what each route does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs
from quart import Blueprint, Response, request

from tasktree_rt.core.access import Verb
from tasktree_rt.core.events import Json, parse_events, project_id
from tasktree_rt.core.topics import project_of, user_id, user_topic
from tasktree_rt.dialects.base import decode_json, digest, encode_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.repair import Recovered as Recovery
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot
from tasktree_rt.hub.publish.pending_publish import PendingPublish, PublishReceipt, result
from tasktree_rt.hub.resume.feed import Watched
from tasktree_rt.web.connections import connection_json
from tasktree_rt.web.history import branch_history, history, page_reply
from tasktree_rt.web.request import (
    grants,
    idempotency,
    number,
    permitted,
    permitted_part,
    read_body,
    read_object,
    require_admin,
)
from tasktree_rt.web.request_rates import request_rates
from tasktree_rt.web.response import PIECE, LargeAnswers, listed, reply
from tasktree_rt.web.state_response import nodes_of, state_pieces

PAST: Final = 4
"""Times its size as JSON: about what a past state takes in memory."""
REQUEST: Final = 8 * 1024
"""Bytes of a publish that cost as much as the request around it."""
CONNECTION_LINE: Final = 1024
"""Bytes of one connection in an answer, about."""


class Api:
    """The views; `routes` registers them. The caller's grants are in ``g.grants``."""

    def __init__(self, hub: Hub, answers: LargeAnswers) -> None:
        self._hub = hub
        self._answers = answers

    def routes(self) -> Blueprint:
        """Make the routes, under ``/api/v1``."""
        found = Blueprint("api", __name__)
        for method, path, view in (
            ("POST", "/projects/<project>/events", self.publish),
            ("GET", "/projects/<project>/state", self.state),
            ("GET", "/projects/<project>/events", self.events),
            ("DELETE", "/projects/<project>", self.delete),
            ("POST", "/projects/<project>/recover", self.recover),
            ("POST", "/users/<path:user>/recover", self.recover_user),
            ("POST", "/broadcast", self.broadcast),
            ("GET", "/connections", self.connections),
            ("GET", "/stats", self.stats),
        ):
            found.add_url_rule(path, f"{method} {path}".replace(".", ""), view, methods=[method])
        return found

    async def publish(self, project: str) -> Response:
        """Publish one event, an array of events, or NDJSON: all of them or none."""
        name = await permitted(Verb.PUSH, project)
        raw = await self._events(name)
        most, now = self._hub.settings.limits.max_events_per_publish, self._hub.timestamp()
        events, key = parse_events(raw, most=most, now=now, project=name), idempotency()
        fingerprint = None if key is None else digest([project, raw])
        request_rates().admit_events(name, len(events))
        found = await self._hub.publisher.submit(
            events, key=key, fingerprint=fingerprint, owner=grants().owner
        )
        if isinstance(found, PendingPublish):
            await found.wait()
            found = result(found)
        return reply(_published(found), 200)

    async def _events(self, name: str) -> list[Any]:
        body = await read_body()
        await self._hub.fair_turns.take(name, len(body) + REQUEST)
        kind = (request.mimetype or "").lower()
        if kind in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
            lines = [line for line in body.split(b"\n") if line.strip()]
            return [_line(line, index) for index, line in enumerate(lines)]
        value = _decoded(body, "events")
        return value if isinstance(value, list) else [value]

    async def broadcast(self) -> Response:
        """Send a message without a project to every watcher. The hub does not store it."""
        access.require_everything(grants(), "broadcast")
        watchers = self._hub.broadcast(await read_object())
        await self._hub.broadcasts.quiet()
        return reply({"watchers": watchers})

    async def state(self, project: str) -> Response:
        """Answer with the whole state: the present one, or the one after event ``at``."""
        at = request.args.get("at")
        name, root = await permitted_part(Verb.WATCH if at is None else Verb.HISTORY, project)
        found = await self._hub.history.existing(name)
        seq = None if at is None else number("at", at, 1 << 60, 0)
        if seq is None or seq == found.tree.head:
            return self._present(found if root is None else await self._hub.branches.open(name, root))
        # Takes its place before the store reads the state, so the size is an estimate.
        size = PAST * max(found.tree.bound, PIECE)
        held = self._answers.admit((name, found.position_at(seq)), size)
        try:
            return held.response(_state(await past_state(self._hub, found, seq, root)))
        except BaseException:
            held.release()
            raise

    def _present(self, project: Watched) -> Response:
        planned = project.snapshot(project.tree.head)
        size, source = planned.snapshot.bound, (project.project_id, project.position)
        return self._answers.response(source, size, _state(planned))

    async def events(self, project: str) -> Response:
        """Answer with a page of past events."""
        name, root = await permitted_part(Verb.HISTORY, project)
        if root is None:
            return page_reply(self._answers, await history(self._hub, name))
        return page_reply(self._answers, await branch_history(self._hub, name, root))

    async def delete(self, project: str) -> Response:
        """Delete a project: end its epoch."""
        name = await permitted(Verb.DELETE, project)
        found = await self._hub.delete_project(name)
        self._hub.administration.audit.did("project deleted", grants(), project=name)
        return reply(_published(found))

    async def recover(self, project: str) -> Response:
        """Recover a damaged project from the readable part of its log."""
        require_admin()
        return reply(_recovered(await self._hub.recover(project_id(project)), project_id=project))

    async def recover_user(self, user: str) -> Response:
        """Recover a damaged user's log."""
        require_admin()
        topic = user_topic(user_id(user))
        return reply(_recovered(await self._hub.recover(topic), user_id=user))

    async def connections(self) -> Response:
        """Answer with all connections: subscriptions, lag, sheds, bytes."""
        require_admin()
        everybody = list(self._hub.connections.values())
        lines = (encode_json(connection_json(self._hub, one)) for one in everybody)
        size = CONNECTION_LINE * len(everybody)
        return self._answers.response(object(), size, listed("connections", lines, {}))

    async def stats(self) -> Response:
        """Answer with counts and states of the whole hub."""
        require_admin()
        found = self._hub.statistics()
        return reply({name: getattr(found, name) for name in attrs.fields_dict(type(found))})


def _line(line: bytes, index: int) -> Any:  # noqa: ANN401 - any JSON
    return _decoded(line, f"events[{index}]")


def _decoded(text: bytes, within: str) -> Any:  # noqa: ANN401 - any JSON
    """Decode JSON. An error's field names the place in `within`, an array or one event."""
    try:
        return decode_json(text)
    except InvalidInput as error:
        place = error.field
        if within != "events":
            error.field = f"{within}.{place}" if place else within
        elif place:
            error.field = f"events{place}" if place.startswith("[") else f"events[0].{place}"
        raise


def _published(found: PublishReceipt) -> Json:
    positions = [
        {"project_id": found.project_id, "epoch": one.epoch, "seq": one.seq} for one in found.positions
    ]
    return {"positions": positions, "duplicate": found.duplicate}


def _recovered(found: Recovery, **named: str) -> Json:
    return {
        **named,
        "epoch": found.position.epoch,
        "seq": found.position.seq,
        "checkpoint": found.checkpoint,
        "lost": [{"first": one.first, "last": one.last, "why": one.why} for one in found.lost],
    }


async def past_state(hub: Hub, project: Project, seq: int, root: str | None) -> SharedSnapshot:
    """Return the state of a project, or of a branch of it, after event `seq`."""
    if root is None:
        return await hub.history.past_state(project, seq)
    return await hub.history.past_branch(project, seq, root)


def _state(planned: SharedSnapshot) -> Iterator[bytes]:
    name, snapshot = project_of(planned.project_id), planned.snapshot
    head = {"project_id": name, "epoch": snapshot.epoch, "seq": snapshot.seq}
    return state_pieces(head, name, snapshot.top, nodes_of(planned))
