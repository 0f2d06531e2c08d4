"""Subscribe to projects and take subscriptions back, and what the catch-ups ask for (`catchup.Source`)."""

from __future__ import annotations

from collections.abc import Collection

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import project_id
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.protocol import Reply, Subscribe, Unsubscribed
from tasktree_rt.core.topics import WILDCARD, TopicIndex, user_of
from tasktree_rt.errors import ProjectDamaged, Refused
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.fanout import Fanout
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.projects.cache import LAST_ID, ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.recovery.catchup import Catchup, joining, resuming
from tasktree_rt.hub.recovery.feed import ResumePoint
from tasktree_rt.hub.recovery.wildcard import WildcardSubscription


class Subscriptions:
    """See the module's docstring. Who subscribes to which topic is in `index`."""

    def __init__(
        self, context: HubContext, cache: ProjectCache, fanout: Fanout, index: TopicIndex[Subscriber]
    ) -> None:
        self._settings = context.settings
        self._cache = cache
        self._fanout = fanout
        self._index = index
        self.message_limit = context.settings.limits.max_message_size
        self.report_fault = context.report_fault

    # --- subscriptions ------------------------------------------------------------------------------

    async def watch(self, subscriber: Subscriber, wish: Subscribe) -> None:
        """Subscribe to one project; replaces a subscription to it. In force when this returns.

        Raises:
            PeerError: ``forbidden``, ``too_many_subscriptions``, ``invalid_project_id``, or the store fails.
        """
        self._admit(subscriber, wish.project_id)
        await self._cache.load(wish.project_id)
        self.watch_nowait(subscriber, wish)

    def watch_nowait(self, subscriber: Subscriber, wish: Subscribe) -> bool:
        """The same, if the project is in memory; else returns False and does nothing.

        Raises:
            PeerError: as `watch`.
        """
        name = wish.project_id
        self._admit(subscriber, name)
        project = self._cache.get(name)
        if project is None:
            return False
        standing = self.replace(subscriber, project)
        if subscriber.closing:
            return True
        if wish.policy is not None:
            subscriber.policies = {**(subscriber.policies or {}), name: wish.policy}
        self._index.add(subscriber, name)
        if subscriber.excluded is not None:
            subscriber.excluded.discard(name)
        if subscriber.feeds.opening is not None:
            subscriber.feeds.opening.skip(name)
        policy = subscriber.policy_for(name)
        if isinstance(wish.since, Position):
            limit = self._settings.delivery.max_replay
            catchup = resuming(self, subscriber, project, wish.since, policy, limit, wish.id)
        else:
            catchup = joining(
                self, subscriber, project, policy, state=wish.state, standing=standing, request=wish.id
            )
        subscriber.catch_up(name, catchup)
        return True

    def replace(self, subscriber: Subscriber, project: Project) -> ResumePoint | None:
        """End a subscription that another one replaces; where it stood, if there was one."""
        name = str(project.project_id)
        if not self._index.wants(subscriber, name):
            return None
        self._fanout.settle(subscriber, name)
        opened = subscriber.feeds.is_opened(name)
        standing = subscriber.standing(name, project.position) if opened else None
        subscriber.forget(name)
        return standing

    def watch_all(self, subscriber: Subscriber, wish: Subscribe, *, announce: bool = True) -> None:
        """Subscribe to every project the caller may watch, those to come included.

        With `announce` every project is opened with a word of its own; without, it simply begins. A
        subscription to ``*`` that stands already is replaced project by project.
        """
        if wish.policy is not None:
            subscriber.policy = wish.policy
        topics = self._index.topics(subscriber)
        before = self._reached(subscriber) if WILDCARD in topics else ""
        anew = set(subscriber.excluded or ())
        if anew:
            self._index.discard(subscriber, WILDCARD)  # which forgets what was taken out of it
            subscriber.excluded = None
        if subscriber.feeds.opening is not None:
            anew |= subscriber.feeds.opening.anew
        self._index.add(subscriber, WILDCARD)
        if announce:
            since = None if wish.since is None or isinstance(wish.since, Position) else wish.since
            self._end_opening(subscriber)
            opening = WildcardSubscription(
                self,
                subscriber,
                topics - {WILDCARD},
                since=since,
                state=wish.state,
                request=wish.id,
                max_replay=self._settings.delivery.max_replay,
                anew=anew,
                before=before,
            )
            subscriber.open_all(opening)

    @staticmethod
    def _reached(subscriber: Subscriber) -> str:
        return LAST_ID if subscriber.feeds.opening is None else subscriber.feeds.opening.reached

    @staticmethod
    def _end_opening(subscriber: Subscriber) -> None:
        """The opening under way is over before its end; whoever asked for it is told so."""
        opening = subscriber.feeds.opening
        if opening is not None:
            subscriber.open_all(None)
            subscriber.reply(Reply(opening.request))

    def unwatch(self, subscriber: Subscriber, name: str) -> None:
        """Take a subscription back; with ``*`` in force, a name is taken out of it.

        Raises:
            Refused: ``too_many_subscriptions``: too many names were taken out.
        """
        topics = self._index.topics(subscriber)
        if name == WILDCARD:
            self._unwatch_all(subscriber, topics)
            return
        if WILDCARD in topics:
            self._exclude(subscriber, name)
        subscriber.forget(name)
        if subscriber.feeds.opening is not None:
            subscriber.feeds.opening.skip(name)
        self._fanout.guard(subscriber, name)
        self._index.discard(subscriber, name)
        self._cache.left(name)

    def _exclude(self, subscriber: Subscriber, name: str) -> None:
        excluded = subscriber.excluded or set()
        most = self._settings.limits.max_subscriptions
        if len(excluded) >= most and name not in excluded:
            message = f"at most {most} names can be taken out of *"
            raise Refused(message, code="too_many_subscriptions", field="project_id", retry_after=1.0)
        subscriber.excluded = excluded | {name}

    def _unwatch_all(self, subscriber: Subscriber, topics: frozenset[str]) -> None:
        self._end_opening(subscriber)
        subscriber.excluded = None
        for other in subscriber.feeds.special_names:
            if other not in topics:
                subscriber.forget(other)
        self._fanout.guard_all(subscriber, besides=topics)
        self._index.discard(subscriber, WILDCARD)

    def renew(self, project: Project, before: Position) -> None:
        """Give the state of a project that goes on under another epoch to those who watch it with ``*``."""
        name = str(project.project_id)
        for subscriber in self._index.watchers(name):
            opened = subscriber.feeds.is_opened(name)
            # A plain language has no word for it: it shows what comes from now on.
            spoken = subscriber.dialect.encode(Unsubscribed(name)) is not None
            if opened and spoken and not subscriber.closing and subscriber.grants.sees(name):
                policy = subscriber.policy_for(name)
                subscriber.catch_up(name, Catchup(self, subscriber, project, before, policy))

    def regrant(self, subscriber: Subscriber, grants: Grants) -> None:
        """The caller's rights have changed: what it may no longer watch ends, and it is told so."""
        for name in self._index.topics(subscriber) - {WILDCARD}:
            if not grants.sees(name):
                subscriber.forget(name)
                self._fanout.guard(subscriber, name)
                self._index.discard(subscriber, name)
                self._cache.left(name)
                subscriber.reply(Unsubscribed(name))
        subscriber.regrant(grants)

    def _admit(self, subscriber: Subscriber, name: str) -> None:
        if user_of(name) is None:
            project_id(name)
        if not subscriber.grants.sees(name):
            raise Refused(f"you may not watch {name!r}", code="forbidden", field="project_id")
        topics = self._index.topics(subscriber)
        most = self._settings.limits.max_subscriptions
        if name not in topics and len(topics) >= most:
            message = f"at most {most} subscriptions"
            raise Refused(message, code="too_many_subscriptions", field="project_id", retry_after=1.0)

    # --- what catch-ups ask (`Source`) ------------------------------------------------------------

    def loaded(self, project_id: str) -> Project | None:
        """The project, if it is in memory."""
        return self._cache.get(project_id)

    def damage(self, project_id: str) -> ProjectDamaged | None:
        """What is wrong with a project, as far as it is known."""
        return self._cache.damage(project_id)

    async def project(self, project_id: str) -> Project:
        """The project, read from the store if need be."""
        return await self._cache.load(project_id)

    async def page(self, after: str) -> list[Summary]:
        """The next projects by id."""
        return await self._cache.page(after)

    async def read(self, project: Project, since: Position, limit: int) -> Recovered | Gap:
        """Older events from the store."""
        return await self._cache.read(project.project_id, since, limit)

    def underway(self) -> tuple[int, Collection[str]]:
        """The number of the tick that runs now and its projects; none if there is none."""
        return self._fanout.ticks, self._fanout.projects

    def went_live(self, subscriber: Subscriber, project_id: str) -> None:
        """The subscriber stands at the applied head."""
        subscriber.live(project_id)
        self._fanout.guard(subscriber, project_id)
