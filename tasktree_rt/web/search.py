"""Search events and logs: of one project, and of all whose history the caller may read."""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response, request

from tasktree_rt.core.access import Verb
from tasktree_rt.core.events import Json, is_node_id, micros_to_time, project_id
from tasktree_rt.core.log import Position
from tasktree_rt.core.search import KINDS, Query, kind_of, parse_query
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.hub import Found, Hit, Hub, Place, Where
from tasktree_rt.web.request import grants, number, permitted
from tasktree_rt.web.response import reply

PAGE: Final = 20
MOST: Final = 100
MOST_LEVELS: Final = 10


def search_routes(hub: Hub) -> Blueprint:
    """Make the routes. Both find only events that the caller may read."""
    routes = Blueprint("search", __name__)

    @routes.get("/projects/<project>/search")
    async def of_project(project: str) -> Response:
        """Answer with events of a project that have the words of the query, the newest first."""
        name = await permitted(Verb.HISTORY, project)
        given = request.args.get("after")
        after = None if given is None else Place(name, Position.parse(given, "after"))
        head = (await hub.history.existing(name)).position.seq
        found = await _found(hub, Where(name), after)
        rest = None if found.next is None else str(found.next.position)
        looked = {"searched_from": found.searched_from, "indexed_up_to": found.searched_to, "head": head}
        return reply({**_answer(found, rest), **looked})

    @routes.get("/search")
    async def of_all() -> Response:
        """Answer with events of all projects whose history the caller may read."""
        scope = access.listed(grants(), Verb.HISTORY)
        if not scope.patterns:
            raise Refused("you may not read the history of any project")
        found = await _found(hub, Where(None, scope.covers), _place(request.args.get("after")))
        rest = None if found.next is None else f"{found.next.project_id}/{found.next.position}"
        return reply({**_answer(found, rest), "behind": found.behind})

    return routes


async def _found(hub: Hub, where: Where, after: Place | None) -> Found:
    args = request.args
    limit = number("limit", args.get("limit", str(PAGE)), MOST, 1)
    return await hub.searches.search(_query(), where, limit=limit, after=after, owner=grants().owner)


def _query() -> Query:
    """Read what is looked for.

    Raises:
        InvalidInput: names the parameter.
    """
    args = request.args
    kind, node = args.get("kind"), args.get("node")
    if kind is not None and kind not in KINDS:
        raise InvalidInput(f"expected one of {', '.join(KINDS)}", field="kind")
    if node is not None and not is_node_id(node):
        raise InvalidInput("expected a node's id", field="node")
    levels = tuple(one.strip().lower() for one in args.get("level", "").split(",") if one.strip())
    if len(levels) > MOST_LEVELS:
        raise InvalidInput(f"expected at most {MOST_LEVELS} levels", field="level")
    return Query(parse_query(args.get("q", "")), kind, node, levels)


def _place(given: str | None) -> Place | None:
    if given is None:
        return None
    name, _, position = given.partition("/")
    return Place(project_id(name, "after"), Position.parse(position, "after"))


def _answer(found: Found, rest: str | None) -> Json:
    hits = [_hit(one) for one in found.hits]
    return {"hits": hits, "count": found.count, "exact": found.exact, "next": rest, "index": found.index}


def _hit(hit: Hit) -> Json:
    return {
        "project_id": hit.project_id,
        "epoch": hit.position.epoch,
        "seq": hit.position.seq,
        "type": hit.type,
        "kind": kind_of(hit.type),
        "node_id": hit.node_id,
        "level": hit.level,
        "received": micros_to_time(hit.received),
        "excerpt": hit.excerpt.pieces,
    }
