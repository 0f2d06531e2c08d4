"""End connections and waiting requests at once: those of a revoked token, or chosen by an administrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from attrs import frozen

from tasktree_rt.core.access import Grants
from tasktree_rt.core.close_codes import DISCONNECTED, MAX_REASON, Closing
from tasktree_rt.core.topics import WILDCARD
from tasktree_rt.errors import Refused
from tasktree_rt.hub.access.open_requests import OpenRequests
from tasktree_rt.hub.access.policy import may_watch
from tasktree_rt.hub.access.revocations import TOKEN_REVOKED, CredentialRevoked
from tasktree_rt.hub.delivery.connections import Connections
from tasktree_rt.hub.delivery.subscriber import Subscriber

AT_ONCE: Final = 50
"""Connections that are looked at in one turn of the loop."""


@frozen
class ConnectionFilter:
    """Chooses connections; None chooses any.

    Attributes:
        user: the subject.
        connection: the connection's id.
        project: a project that it watches, by name or by ``*``.
        dialect, address: as `GET /connections` shows them.
        token_id: the id of its token or API key.
    """

    user: str | None = None
    connection: str | None = None
    project: str | None = None
    dialect: str | None = None
    address: str | None = None
    token_id: str | None = None

    def chooses(self, one: Subscriber, topics: frozenset[str]) -> bool:
        """Return whether a connection with these subscriptions is chosen."""
        return (
            self._chooses_caller(one.grants, one.address)
            and self.connection in (None, one.id)
            and self.dialect in (None, one.dialect.name)
            and (self.project is None or _watches(one, topics, self.project))
        )

    def chooses_request(self, grants: Grants, address: str) -> bool:
        """Return whether an HTTP request that waits is chosen; it has no id, dialect or subscription."""
        only_callers = self.connection is None and self.dialect is None and self.project is None
        return only_callers and self._chooses_caller(grants, address)

    def _chooses_caller(self, grants: Grants, address: str) -> bool:
        return (
            self.user in (None, grants.subject)
            and self.address in (None, address)
            and self.token_id in (None, grants.token_id)
        )


def _watches(one: Subscriber, topics: frozenset[str], project: str) -> bool:
    if project in topics:
        return True
    excluded = one.excluded or ()
    return WILDCARD in topics and project not in excluded and may_watch(one.grants, project)


class Disconnecting:
    """See the module's docstring. It works in slices: ten thousand connections do not block others."""

    def __init__(self, connections: Connections, requests: OpenRequests) -> None:
        self._connections = connections
        self._requests = requests

    async def end_revoked(self, reason: Callable[[Grants], str | None]) -> int:
        """End everything of the callers for which `reason` returns one; returns how many ended."""

        def judge(one: Subscriber) -> str | None:
            return reason(one.grants)

        ended = await self._end(judge, TOKEN_REVOKED)
        for waiting in self._requests:
            why = reason(waiting.grants)
            if why is not None:
                waiting.end(CredentialRevoked(why))
                ended += 1
        return ended

    async def disconnect(self, chosen: ConnectionFilter) -> int:
        """End the connections that an administrator chose; returns how many ended."""

        def judge(one: Subscriber) -> str | None:
            return DISCONNECTED.reason if chosen.chooses(one, self._connections.topics_of(one)) else None

        ended = await self._end(judge, DISCONNECTED)
        for waiting in self._requests:
            if chosen.chooses_request(waiting.grants, waiting.address):
                waiting.end(Refused(DISCONNECTED.reason))
                ended += 1
        return ended

    async def _end(self, judge: Callable[[Subscriber], str | None], closing: Closing) -> int:
        ended = 0
        for number, one in enumerate(list(self._connections.values()), 1):
            why = None if one.closing else judge(one)
            if why is not None:
                one.cut(closing, why[:MAX_REASON])
                ended += 1
            if number % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return ended
