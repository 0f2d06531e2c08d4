"""Connections as JSON: ``GET /api/v1/connections`` for all, and pages of them for administrators."""

from __future__ import annotations

import heapq
from typing import Final

from quart import request

from tasktree_rt.core.events import Json
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.delivery.disconnecting import ConnectionFilter
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.hub import Hub
from tasktree_rt.web.request import page_limit

FILTERS: Final = ("user", "project", "dialect", "address", "token_id")
AT_ONCE: Final = 200
"""Connections that are looked at before others may run."""


def connection_json(hub: Hub, one: Subscriber) -> Json:
    """Describe a connection: whose it is, its subscriptions, what it got, and how far behind it is."""
    lagging = {name: str(position) for name, position in one.feeds.positions().items()}
    return {
        "connection_id": one.id,
        "dialect": one.dialect.name,
        "address": one.address,
        "subject": one.grants.subject,
        "token_id": one.grants.token_id,
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


async def chosen_page(hub: Hub) -> Json:
    """Answer with a page of the connections that the query chooses, by id."""
    limit, after = page_limit(), request.args.get("after", "")
    chosen = ConnectionFilter(**{name: request.args.get(name) for name in FILTERS})
    found: list[str] = []
    for number, one in enumerate(list(hub.connections.values()), 1):
        if one.id > after and chosen.chooses(one, hub.connections.topics_of(one)):
            found.append(one.id)
        if number % AT_ONCE == 0:
            await yield_if_due()
    names = heapq.nsmallest(limit, found)
    shown = [connection_json(hub, hub.connections[name]) for name in names if name in hub.connections]
    more = len(found) > limit
    return {"connections": shown, "matching": len(found), "next": names[-1] if more else None}
