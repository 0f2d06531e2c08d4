"""Server-sent events: ``GET /api/v1/projects/{id}/stream``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from quart import Blueprint, Response, request

from tasktree_rt.core.commands import Policy, Subscribe
from tasktree_rt.core.log import Position
from tasktree_rt.dialects.tasktree import ServerSentEvents
from tasktree_rt.dialects.tasktree.requests import read_policy
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.pulling import PullSubscriber
from tasktree_rt.web.http import grants, watched

ALIVE: Final = b": alive\n\n"
RETRY: Final = b"retry: 2000\n\n"
_DIALECT: Final = ServerSentEvents()


def stream_routes(hub: Hub) -> Blueprint:
    """The one route."""
    routes = Blueprint("stream", __name__)

    @routes.get("/projects/<project>/stream")
    async def stream(project: str) -> Response:
        """A project's events as they come, after its state or after a position."""
        name = watched(project)
        given = request.headers.get("Last-Event-ID") or request.args.get("since")
        since = None if given is None else Position.parse(given)
        policy = read_policy(request.args.get("policy")) or Policy.CONFLATE
        address = request.headers.get("Remote-Addr", "")
        subscriber = hub.pull_subscriber(_DIALECT, policy=policy, grants=grants(), address=address)
        try:
            await hub.watch(subscriber, Subscribe(name, since=since, state=since is None))
        except BaseException:
            hub.detach(subscriber)
            raise
        response = Response(_body(hub, subscriber), content_type="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        response.timeout = None
        return response

    return routes


async def _body(hub: Hub, subscriber: PullSubscriber) -> AsyncIterator[bytes]:
    try:
        yield RETRY
        async for piece in subscriber.encoded(ALIVE):
            yield piece
    finally:
        hub.detach(subscriber)
