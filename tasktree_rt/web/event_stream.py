"""Server-sent events: ``GET /api/v1/projects/{id}/stream`` and ``/users/{id}/stream``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, cast

from quart import Blueprint, Response, request

from tasktree_rt.core.access import Verb
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.core.topics import user_id, user_topic
from tasktree_rt.dialects.tasktree import ServerSentEvents
from tasktree_rt.dialects.tasktree.requests import read_policy
from tasktree_rt.hub.delivery.pull_subscriber import PullSubscriber
from tasktree_rt.hub.hub import Hub
from tasktree_rt.web.request import grants, permitted_part

ALIVE: Final = b": alive\n\n"
RETRY: Final = b"retry: 2000\n\n"
_DIALECT: Final = ServerSentEvents()


def stream_routes(hub: Hub) -> Blueprint:
    """Make the routes of both event streams."""
    routes = Blueprint("stream", __name__)

    @routes.get("/projects/<project>/stream")
    async def stream(project: str) -> Response:
        """Stream a project's events after its state or after a position."""
        name, _ = await permitted_part(Verb.WATCH, project)
        return await follow(name)

    @routes.get("/users/<path:user>/stream")
    async def user_stream(user: str) -> Response:
        """Stream a user's log after its state or after a position."""
        return await follow(user_topic(user_id(user)))

    async def follow(name: str) -> Response:
        given = request.headers.get("Last-Event-ID") or request.args.get("since")
        since = None if given is None else Position.parse(given)
        policy = read_policy(request.args.get("policy")) or Policy.CONFLATE
        address = request.headers.get("Remote-Addr", "")
        hub.administration.refuse_revoked(grants())  # revoked since the request was authenticated
        subscriber = hub.connections.pull_subscriber(
            _DIALECT, policy=policy, grants=grants(), address=address
        )
        try:
            await hub.subscriptions.watch(subscriber, Subscribe(name, since=since, state=since is None))
        except BaseException:
            hub.connections.detach(subscriber)
            raise
        return streamed(_body(hub, subscriber), hub.settings.delivery.heartbeat_interval)

    return routes


def streamed(body: AsyncIterator[bytes], interval: float) -> Response:
    """Make an endless response of server-sent events. `interval`: seconds between two keep-alive comments."""
    response = Response(body, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Heartbeat-Interval"] = f"{interval:g}"
    response.timeout = None
    return response


async def _body(hub: Hub, subscriber: PullSubscriber) -> AsyncIterator[bytes]:
    """Yield the stream. After the caller's token has expired it ends instead of sending the next message."""
    leases = [one.until for one in subscriber.grants.leases.values()]
    expires = min((one for one in (subscriber.grants.expires, *leases) if one is not None), default=None)
    try:
        yield RETRY
        pieces = cast(
            "AsyncGenerator[bytes, None]", subscriber.encoded(ALIVE, hub.settings.delivery.heartbeat_interval)
        )
        async with aclosing(pieces):
            async for piece in pieces:
                now = hub.wall() / 1_000_000
                if subscriber.grants.void(now) or (expires is not None and now >= expires):
                    return
                yield piece
    finally:
        hub.connections.detach(subscriber)
