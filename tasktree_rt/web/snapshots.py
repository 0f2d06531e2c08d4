"""The HTTP API of named snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from quart import Blueprint, Response

from tasktree_rt.core.access import Verb
from tasktree_rt.core.events import Json, micros_to_time
from tasktree_rt.dialects.base import decode_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub, SnapshotInfo
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.named_snapshots import StoredSnapshot
from tasktree_rt.web.request import MAX_KEY, grants, permitted, read_body
from tasktree_rt.web.response import LargeAnswers, reply
from tasktree_rt.web.state_response import nodes_in, state_pieces


class SnapshotRoutes:
    """The views; `routes` registers them. The caller's grants are in ``g.grants``."""

    def __init__(self, hub: Hub, answers: LargeAnswers) -> None:
        self._hub = hub
        self._answers = answers

    def routes(self) -> Blueprint:
        """Make the routes, under ``/api/v1``."""
        found = Blueprint("snapshots", __name__)
        for method, path, view in (
            ("POST", "/projects/<project>/snapshots", self.keep),
            ("GET", "/projects/<project>/snapshots", self.kept),
            ("GET", "/projects/<project>/snapshots/<snapshot_id>", self.one_kept),
            ("DELETE", "/projects/<project>/snapshots/<snapshot_id>", self.forget),
        ):
            found.add_url_rule(path, f"{method} {path}", view, methods=[method])
        return found

    async def keep(self, project: str) -> Response:
        """Store a project's state under a name: the present state, or the one after event ``at``."""
        hub, name = self._hub, await permitted(Verb.PUSH, project)
        body = await read_body()
        given = decode_json(body) if body else {}
        title = given.get("name", "") if isinstance(given, dict) else None
        if not isinstance(title, str) or len(title) > MAX_KEY:
            raise InvalidInput(
                f'expected {{"name"?: a string of at most {MAX_KEY} characters}}', field="name"
            )
        at = given.get("at")
        if at is not None and (type(at) is not int or at < 0):
            raise InvalidInput("expected an integer of at least 0", code="invalid_position", field="at")
        kept = await hub.snapshots.keep(name, title, grants().owner, partial(hub.state, name, at))
        return reply(_kept(kept), 201)

    async def kept(self, project: str) -> Response:
        """Answer with the list of a project's snapshots."""
        name = await permitted(Verb.HISTORY, project)
        return reply({"snapshots": [_kept(one) for one in await self._hub.snapshots.of(name)]})

    async def one_kept(self, project: str, snapshot_id: str) -> Response:
        """Answer with one snapshot and its state."""
        name = await permitted(Verb.HISTORY, project)
        stored = await self._hub.snapshots.find(name, snapshot_id)
        return self._answers.response(
            (name, snapshot_id), stored.size, _pieces(stored, self._hub.large_values)
        )

    async def forget(self, project: str, snapshot_id: str) -> Response:
        """Delete one snapshot of a project."""
        name = await permitted(Verb.DELETE, project)
        await self._hub.snapshots.delete(name, snapshot_id)
        return reply({"project_id": name, "snapshot_id": snapshot_id, "deleted": True})


def _pieces(stored: StoredSnapshot, large: LargeValues) -> Iterator[bytes]:
    """Encode a snapshot as an answer, piece by piece."""
    info, (top, *nodes) = stored.info, stored.parts
    return state_pieces(_kept(info), info.project_id, decode_json(top, ours=True), nodes_in(nodes, large))


def _kept(one: SnapshotInfo) -> Json:
    return {
        "snapshot_id": one.snapshot_id,
        "project_id": one.project_id,
        "name": one.name,
        "epoch": one.epoch,
        "seq": one.seq,
        "created_at": micros_to_time(one.created),
    }
