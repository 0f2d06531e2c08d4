"""List the projects: ``GET /api/v1/projects`` page by page, and ``/projects/stream`` live."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Final

from quart import Blueprint, Response, request

from tasktree_rt.core.access import Grants
from tasktree_rt.core.protocol import Draining
from tasktree_rt.dialects.base import encode_json, raw_json
from tasktree_rt.dialects.tasktree.messages import as_json
from tasktree_rt.errors import PeerError, StoreUnavailable
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.access.revocations import CredentialRevoked
from tasktree_rt.hub.error_messages import failure
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.store_errors import readable
from tasktree_rt.web.event_stream import ALIVE, RETRY, streamed
from tasktree_rt.web.request import grants, page_limit
from tasktree_rt.web.response import reply

MESSAGE: Final = b"event: projects\ndata: %b\n\n"
FAILURE: Final = b"event: error\ndata: %b\n\n"
END: Final = b"retry: %d\nevent: draining\ndata: %b\n\n"
"""The last word of a hub that stops; a browser comes back after ``retry`` milliseconds."""


def project_routes(hub: Hub) -> Blueprint:
    """Make the routes of the list of projects. Both show only what the caller may watch."""
    routes = Blueprint("projects", __name__)

    @routes.get("/projects")
    async def projects() -> Response:
        """Answer with a page of the projects, by id."""
        limit, after = page_limit(), request.args.get("after", "")
        with readable():
            page = await hub.directory.page(after, limit, access.listed(grants()))
        return reply({"projects": [raw_json(line) for _, line in page.lines], "next": page.after})

    @routes.get("/projects/stream")
    async def stream() -> Response:
        """Stream all projects, then every project that changes."""
        return streamed(_body(hub, grants()), hub.settings.delivery.heartbeat_interval)

    return routes


async def _body(hub: Hub, allowed: Grants) -> AsyncIterator[bytes]:
    """The stream; it ends when the hub stops, the list cannot be read, or the caller's token has run out.

    It opens the viewer itself: the framework does not close a body whose reading never began.
    """
    patience = hub.settings.delivery.heartbeat_interval
    viewer = hub.directory.open(access.listed(allowed))
    try:
        yield RETRY
        while True:
            said = None
            with hub.administration.waiting(allowed):
                said = await viewer.next(patience)
            if allowed.void(hub.wall() / 1_000_000):
                return
            if said is None:
                break
            yield MESSAGE % said if said else ALIVE
        later = random.randint(0, int(hub.settings.drain.window * 1000))  # noqa: S311
        yield END % (later, encode_json(as_json(Draining(later))))
    except CredentialRevoked as error:
        yield FAILURE % encode_json(as_json(failure(error)))
    except (StoreUnavailable, PeerError):
        return
    finally:
        viewer.close()
