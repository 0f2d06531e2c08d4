"""Count each log for its owner, from the publish that begins it to the log's end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tasktree_rt.brokers.base import Broker
from tasktree_rt.core.topics import user_of
from tasktree_rt.hub.limits.accounts import Kind
from tasktree_rt.hub.limits.caller import Caller
from tasktree_rt.hub.limits.rates import RateLimits
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.projects.quotas import PROJECT, USER_LOG, Quotas


class NewProjects:
    """Count projects and users' logs in the quotas. `ended` is called with the name of each log that ends."""

    def __init__(self, quotas: Quotas, rates: RateLimits, ended: Callable[[str], None]) -> None:
        self._quotas = quotas
        self._rates = rates
        self._ended = ended

    async def load(self, broker: Broker) -> None:
        """Count the logs that the store has.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        for (owner, of_user), count in (await broker.owned()).items():
            self._quotas.add(owner, USER_LOG if of_user else PROJECT, count)

    def wait(self, owner: str) -> float:
        """Return the seconds until `owner` may begin a project; 0 if it may now."""
        return self._rates.wait(Kind.PROJECTS, Caller("", owner))

    def check(self, owner: str, *projects: Project) -> None:
        """Refuse a publish that begins a log for which `owner` has no room, or which it begins too soon after
        others; count it for the rate. `projects` have no log yet.

        Raises:
            Refused: ``project_full``, ``subject_full`` or ``rate_limited``.
        """
        kinds = [_kind(one) for one in projects if not one.pending]
        if kinds:
            self._quotas.check(owner, *kinds, field="project_id" if PROJECT in kinds else "user_id")
        if PROJECT in kinds:
            self._rates.admit(Kind.PROJECTS, Caller("", owner), kinds.count(PROJECT))

    def begin(self, owner: str, project: Project) -> Callable[[object], None]:
        """Count the log that an accepted publish begins; return what to call when that publish is done."""
        if project.booked is None:
            project.booked = owner
            self._quotas.add(owner, _kind(project))
        return partial(self._done, project)

    def _done(self, project: Project, _: object) -> None:
        """Stop counting a log that no publish has begun."""
        if project.booked is not None and project.epoch == "" and not project.pending:
            self._quotas.drop(project.booked, _kind(project))
            project.booked = None

    def touched(self, project: Project, born: int) -> None:
        """Count a log that a commit began (`born` is 1), or stop counting one that it ended (-1)."""
        if born > 0:
            if project.booked is not None:
                self._quotas.drop(project.booked, _kind(project))
                project.booked = None
            self._quotas.add(project.owner, _kind(project))
        elif born < 0:
            self._quotas.drop(project.owner, _kind(project))
            self._ended(project.project_id)


def _kind(project: Project) -> str:
    return PROJECT if user_of(project.project_id) is None else USER_LOG
