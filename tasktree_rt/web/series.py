"""Series, the runs of one job: the HTTP API. Both routes show only what the caller may watch."""

from __future__ import annotations

from typing import Final

from quart import Blueprint, Response, request

from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.hub import Hub
from tasktree_rt.web.request import grants, number, page_limit
from tasktree_rt.web.response import LargeAnswers, listed, reply

RUNS: Final = 30
"""Runs of an answer if the query names no ``limit``."""
MOST: Final = 100
"""The highest ``limit``."""


def series_routes(hub: Hub, answers: LargeAnswers) -> Blueprint:
    """Make the routes, under ``/api/v1``."""
    routes = Blueprint("series", __name__)

    @routes.get("/series")
    async def names() -> Response:
        """Answer with a page of the series, by name."""
        limit, after = page_limit(), request.args.get("after", "")
        found, following = await hub.series.names(access.listed(grants()), after, limit)
        return reply({"series": found, "next": following})

    # The name of a series may have any number of slashes in a row.
    @routes.get("/series/<path:series_id>", merge_slashes=False)
    async def runs(series_id: str) -> Response:
        """Answer with the newest runs of a series: summary, times, nodes at the top, failures."""
        limit = number("limit", request.args.get("limit", str(RUNS)), MOST, 1)
        found, count = await hub.series.runs(series_id, access.listed(grants()), limit)
        size = sum(map(len, found))
        return answers.response(object(), size, listed("runs", found, {"series": series_id, "count": count}))

    return routes
