"""The caller of an OTLP request: what it may publish, and its rates."""

from __future__ import annotations

from typing import Protocol

from tasktree_rt.core.access import Verb
from tasktree_rt.errors import PeerError
from tasktree_rt.web.request import grants, permitted
from tasktree_rt.web.request_rates import request_rates


class Caller(Protocol):
    """Whose spans they are.

    Attributes:
        subject, owner: as of `Grants`.
    """

    subject: str
    owner: str

    async def refusal(self, project: str) -> PeerError | None:
        """Return why the caller may not publish to a project; None if it may."""

    def admit(self, project: str, events: int) -> None:
        """Count events for the caller's rates.

        Raises:
            Refused: ``rate_limited``.
        """


class RequestCaller:
    """The caller of the current HTTP request. It asks once for each project."""

    def __init__(self) -> None:
        self.subject = grants().subject
        self.owner = grants().owner
        self._asked: dict[str, PeerError | None] = {}

    async def refusal(self, project: str) -> PeerError | None:
        """See `Caller`.

        Raises:
            Unavailable: the service that decides cannot be asked now.
        """
        if project not in self._asked:
            self._asked[project] = await self._ask(project)
        return self._asked[project]

    async def _ask(self, project: str) -> PeerError | None:
        try:
            await permitted(Verb.PUSH, project)
        except PeerError as error:
            if error.retry_after is not None:
                raise
            return error
        return None

    def admit(self, project: str, events: int) -> None:
        """See `Caller`."""
        request_rates().admit_events(project, events)
