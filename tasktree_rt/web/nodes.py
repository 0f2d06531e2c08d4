"""What a project's nodes have used: the HTTP API."""

from __future__ import annotations

from quart import Blueprint, Response, request

from tasktree_rt.core.access import Verb
from tasktree_rt.core.event_schema import is_node_id
from tasktree_rt.core.usage import as_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.hub import Hub
from tasktree_rt.web.request import permitted
from tasktree_rt.web.response import reply


def node_routes(hub: Hub) -> Blueprint:
    """Make the routes, under ``/api/v1``."""
    routes = Blueprint("nodes", __name__)

    @routes.get("/projects/<project>/usage")
    async def usage(project: str) -> Response:
        """Answer with the tokens and the cost of all nodes of a project, or of one branch."""
        found = await hub.history.existing(permitted(Verb.WATCH, project))
        node_id = None if "node_id" not in request.args else _node_id()
        used = found.tree.used() if node_id is None else found.tree.used_in(node_id)
        named = {} if node_id is None else {"node_id": node_id}
        place = {"project_id": found.project_id, "epoch": found.epoch, "seq": found.tree.head}
        return reply({**place, **named, "usage": as_json(used)})

    return routes


def _node_id() -> str:
    given = request.args.get("node_id")
    if not is_node_id(given):
        expected = "1-512 characters without control characters"
        raise InvalidInput(f"expected {expected}", field="node_id")
    return given
