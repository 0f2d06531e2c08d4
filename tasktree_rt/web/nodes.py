"""Fields of a project's nodes, and what the nodes have used: the HTTP API."""

from __future__ import annotations

from quart import Blueprint, Response, request

from tasktree_rt.core.access import Verb
from tasktree_rt.core.events import Json
from tasktree_rt.core.ids import is_node_id
from tasktree_rt.core.usage import as_json
from tasktree_rt.dialects.base import encode_whole
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.resume.feed import Watched
from tasktree_rt.web.http import PAST, past_state
from tasktree_rt.web.request import number, permitted_part
from tasktree_rt.web.response import PIECE, LargeAnswers, reply


class NodeRoutes:
    """The views; `routes` registers them. The caller's grants are in ``g.grants``."""

    def __init__(self, hub: Hub, answers: LargeAnswers) -> None:
        self._hub = hub
        self._answers = answers

    def routes(self) -> Blueprint:
        """Make the routes, under ``/api/v1``."""
        found = Blueprint("nodes", __name__)
        found.get("/projects/<project>/usage")(self.usage)
        found.get("/projects/<project>/field")(self.field)
        return found

    async def usage(self, project: str) -> Response:
        """Answer with the tokens and the cost of all nodes of a project, or of one branch."""
        name, root = await permitted_part(Verb.WATCH, project)
        found: Watched = await self._hub.history.existing(name)
        if root is not None:
            found = await self._hub.branches.open(name, root)
        node_id = None if "node_id" not in request.args else _node_id()
        used = found.tree.used() if node_id is None else found.tree.used_in(node_id)
        named = {} if node_id is None else {"node_id": node_id}
        place = {"project_id": name, "epoch": found.epoch, "seq": found.tree.head}
        return reply({**place, **named, "usage": as_json(used)})

    async def field(self, project: str) -> Response:
        """Answer with one field of a node, whole: its value now, or after event ``at``."""
        at = request.args.get("at")
        name, root = await permitted_part(Verb.WATCH if at is None else Verb.HISTORY, project)
        found = await self._hub.history.existing(name)
        node_id, wanted = _node_id(), request.args.get("name", "")
        fields = await self._fields(found, node_id, at, root)
        if wanted not in fields:
            raise Refused(f"node {node_id!r} has no field {wanted[:64]!r}", code="not_found", field="name")
        body = encode_whole(fields[wanted])
        return self._answers.response(object(), len(body), (body,))

    async def _fields(self, project: Project, node_id: str, at: str | None, root: str | None) -> Json:
        if at is None:
            seen = project if root is None else await self._hub.branches.open(project.project_id, root)
            return seen.tree.fields(node_id)
        seq = number("at", at, 1 << 60, 0)
        # Takes its place before the store reads the state, so the size is an estimate.
        size = PAST * max(project.tree.bound, PIECE)
        held = self._answers.admit((project.project_id, project.position_at(seq)), size)
        try:
            return (await past_state(self._hub, project, seq, root)).snapshot.node(node_id).fields
        finally:
            held.release()


def _node_id() -> str:
    given = request.args.get("node_id")
    if not is_node_id(given):
        raise InvalidInput("expected 1-512 characters without control characters", field="node_id")
    return given
