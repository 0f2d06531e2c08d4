"""Whose each log is: it counts as its owner's from the publish that begins it to its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tasktree_rt.brokers.base import Broker
from tasktree_rt.core.topics import user_of
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.quotas import PROJECT, USER_LOG, Quotas
from tasktree_rt.hub.publish.pending_publish import PendingPublish


class NewProjects:
    """See the module's docstring. `ended` is told of each log that ends."""

    def __init__(self, holdings: Quotas, ended: Callable[[str], None]) -> None:
        self._holdings = holdings
        self._ended = ended

    async def load(self, broker: Broker) -> None:
        """Count the logs that the store has.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        for (owner, of_user), count in (await broker.owned()).items():
            self._holdings.add(owner, USER_LOG if of_user else PROJECT, count)

    def check(self, owner: str, *projects: Project) -> None:
        """Refuse if `owner` would begin a log for which there is no room.

        Raises:
            Refused: ``project_full`` or ``subject_full``.
        """
        unborn = [_kind(one) for one in projects if one.epoch == "" and not one.pending]
        if unborn:
            self._holdings.check(owner, *unborn, field="project_id" if PROJECT in unborn else "user_id")

    def accepted(self, owner: str, ticket: PendingPublish, *projects: Project) -> None:
        """A publish of `owner` was accepted: the logs that it begins count from now on."""
        for one in projects:
            if one.epoch != "":
                continue
            if one.booked is None:
                one.booked = owner
                self._holdings.add(owner, _kind(one))
            ticket.settled.append(partial(self._settled, one))

    def _settled(self, project: Project, _: PendingPublish) -> None:
        """Nothing came of it: it counts no more."""
        if project.booked is not None and project.epoch == "" and not project.pending:
            self._holdings.drop(project.booked, _kind(project))
            project.booked = None

    def touched(self, project: Project, born: int) -> None:
        """A log was begun (1) or ended (-1) by what was committed."""
        if born > 0:
            if project.booked is not None:
                self._holdings.drop(project.booked, _kind(project))
                project.booked = None
            self._holdings.add(project.owner, _kind(project))
        elif born < 0:
            self._holdings.drop(project.owner, _kind(project))
            self._ended(project.project_id)


def _kind(project: Project) -> str:
    return PROJECT if user_of(project.project_id) is None else USER_LOG
