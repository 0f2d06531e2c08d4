"""Subscribe and unsubscribe watchers, and answer catch-ups. Implements `SubscriberSource`."""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.events import project_id
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.protocol import Reply, Subscribe, Unsubscribed
from tasktree_rt.core.topics import BRANCH, WILDCARD, TopicIndex, branch_of, project_of, user_of
from tasktree_rt.errors import ProjectDamaged, Refused
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.access.hooks import Decisions
from tasktree_rt.hub.access.subscription_tokens import SubscriptionTokens
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.delivery.fanout import Fanout
from tasktree_rt.hub.delivery.subscriber import Subscriber
from tasktree_rt.hub.limits.caller import caller_of
from tasktree_rt.hub.limits.holdings import Holdings
from tasktree_rt.hub.projects.branches import Branches
from tasktree_rt.hub.projects.cache import LAST_ID, ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.resume.catchup import Catchup, joining, replayable, resuming
from tasktree_rt.hub.resume.feed import ResumePoint, Watched
from tasktree_rt.hub.resume.wildcard import WildcardSubscription


class Subscriptions:
    """See the module's docstring. `index` holds the topics of each subscriber, `held` counts those of each
    caller.
    """

    def __init__(
        self,
        context: HubContext,
        cache: ProjectCache,
        branches: Branches,
        fanout: Fanout,
        index: TopicIndex[Subscriber],
        decisions: Decisions,
        tokens: SubscriptionTokens,
        held: Holdings,
    ) -> None:
        self._decisions = decisions
        self._tokens = tokens
        self.held = held
        self._settings = context.settings
        self._cache = cache
        self._branches = branches
        self._fanout = fanout
        self._index = index
        self.message_limit = context.settings.limits.max_message_size
        self.report_fault = context.report_fault

    # --- subscriptions ------------------------------------------------------------------------------

    async def watch(self, subscriber: Subscriber, request: Subscribe) -> None:
        """Subscribe to one project, when it is loaded; replaces an earlier subscription to it. A caller that
        may watch one branch of it gets that.

        Raises:
            PeerError: ``forbidden``, ``too_many_subscriptions``, ``invalid_project_id``, or the store fails.
        """
        if request.token is not None:
            self._take_token(subscriber, request.project_id, request.token)
        await self.admit(subscriber, request.project_id)
        await self.load(subscriber, request.project_id)
        self.watch_nowait(subscriber, request)

    async def load(self, subscriber: Subscriber, project_id: str) -> None:
        """Read what the connection watches under a project's name, if it is not in memory.

        Raises:
            PeerError: ``too_many_subscriptions``, or the store fails.
        """
        branch = branch_of(self._topic(subscriber, project_id))
        if branch is None:
            await self._cache.load(project_id)
        else:
            await self._branches.open(*branch)

    def found(self, subscriber: Subscriber, project_id: str) -> Watched | None:
        """Return what the connection watches under a project's name, if it is in memory."""
        return self.loaded(self._topic(subscriber, project_id))

    @staticmethod
    def _topic(subscriber: Subscriber, name: str) -> str:
        return access.readable(subscriber.grants, Verb.WATCH, name)

    def watch_nowait(self, subscriber: Subscriber, request: Subscribe) -> bool:
        """Subscribe to one project if it is in memory; else return False and do nothing.

        Raises:
            PeerError: as `watch`.
        """
        name = self._topic(subscriber, request.project_id)
        self.check(subscriber, name)
        project = self.loaded(name)
        if project is None:
            return False
        before = self._watched(subscriber, request.project_id)
        if before is not None and before != name:
            self._leave(subscriber, before)
        resume_point = self.replace(subscriber, project)
        if subscriber.closing:
            return True
        if request.policy is not None:
            subscriber.policies = {**(subscriber.policies or {}), name: request.policy}
        self._index.add(subscriber, name)
        if subscriber.excluded is not None:
            subscriber.excluded.discard(name)
        if subscriber.feeds.wildcard is not None:
            subscriber.feeds.wildcard.skip(name)
        policy = subscriber.policy_for(name)
        if isinstance(request.since, Position):
            limit = replayable(project, subscriber.grants, self._settings.delivery.max_replay)
            catchup = resuming(self, subscriber, project, request.since, policy, limit, request.id)
        else:
            catchup = joining(
                self,
                subscriber,
                project,
                policy,
                state=request.state,
                resume_point=resume_point,
                request=request.id,
            )
        subscriber.catch_up(name, catchup)
        return True

    def _watched(self, subscriber: Subscriber, project_id: str) -> str | None:
        """Return the topic that the connection watches under a project's name; None if it watches neither."""
        for topic in subscriber.grants.leases:
            if project_of(topic) == project_id and self._index.wants(subscriber, topic):
                return topic
        return project_id if project_id in self._index.topics(subscriber) else None

    def _leave(self, subscriber: Subscriber, topic: str) -> None:
        """End a subscription without a word."""
        subscriber.forget(topic)
        self._fanout.guard(subscriber, topic)
        self._index.discard(subscriber, topic)
        self._cache.left(topic)

    def replace(self, subscriber: Subscriber, project: Watched) -> ResumePoint | None:
        """End a subscription that another one replaces; returns its resume point, None if there was none."""
        name = str(project.project_id)
        if not self._index.wants(subscriber, name):
            return None
        self._fanout.settle(subscriber, name)
        opened = subscriber.feeds.is_opened(name)
        resume_point = subscriber.resume_point(name, project.position) if opened else None
        subscriber.forget(name)
        return resume_point

    def watch_all(self, subscriber: Subscriber, request: Subscribe, *, announce: bool = True) -> None:
        """Subscribe to every project that the caller may watch, also to future ones.

        With `announce` the hub sends a `Subscribed` for every project. A subscription to ``*`` that is in
        force is replaced project by project.
        """
        if request.policy is not None:
            subscriber.policy = request.policy
        topics = self._index.topics(subscriber)
        before = self._reached(subscriber) if WILDCARD in topics else ""
        anew = set(subscriber.excluded or ())
        if anew:
            self._index.discard(subscriber, WILDCARD)  # this forgets the names excluded from it
            subscriber.excluded = None
        if subscriber.feeds.wildcard is not None:
            anew |= subscriber.feeds.wildcard.anew
        self._index.add(subscriber, WILDCARD)
        if announce:
            since = None if request.since is None or isinstance(request.since, Position) else request.since
            self._end_wildcard(subscriber)
            wildcard = WildcardSubscription(
                self,
                subscriber,
                topics - {WILDCARD},
                since=since,
                state=request.state,
                request=request.id,
                max_replay=self._settings.delivery.max_replay,
                anew=anew,
                before=before,
            )
            subscriber.set_wildcard(wildcard)

    @staticmethod
    def _reached(subscriber: Subscriber) -> str:
        return LAST_ID if subscriber.feeds.wildcard is None else subscriber.feeds.wildcard.reached

    @staticmethod
    def _end_wildcard(subscriber: Subscriber) -> None:
        """End an wildcard of ``*`` that is under way, and answer its request."""
        wildcard = subscriber.feeds.wildcard
        if wildcard is not None:
            subscriber.set_wildcard(None)
            subscriber.reply(Reply(wildcard.request))

    def unwatch(self, subscriber: Subscriber, name: str) -> None:
        """End a subscription; with ``*`` in force, exclude the name from it.

        Raises:
            Refused: ``too_many_subscriptions``: too many names are excluded.
        """
        topics = self._index.topics(subscriber)
        if name == WILDCARD:
            self._unwatch_all(subscriber, topics)
            return
        topic = self._watched(subscriber, name) or name
        if topic != name:
            self._leave(subscriber, topic)
        lease = subscriber.grants.leases.get(topic)
        # What the connection's own token allows stays.
        if lease is not None and lease.token_id != subscriber.grants.token_id:
            subscriber.grants = subscriber.grants.without_leases((topic,))
        if WILDCARD in topics:
            self._exclude(subscriber, name)
        if subscriber.feeds.wildcard is not None:
            subscriber.feeds.wildcard.skip(name)
        self._leave(subscriber, name)

    def _exclude(self, subscriber: Subscriber, name: str) -> None:
        excluded = subscriber.excluded or set()
        most = self._settings.limits.max_subscriptions
        if len(excluded) >= most and name not in excluded:
            message = f"at most {most} names can be excluded from *"
            raise Refused(message, code="too_many_subscriptions", field="project_id", retry_after=1.0)
        subscriber.excluded = excluded | {name}

    def _unwatch_all(self, subscriber: Subscriber, topics: frozenset[str]) -> None:
        self._end_wildcard(subscriber)
        subscriber.excluded = None
        for other in subscriber.feeds.special_names:
            if other not in topics:
                subscriber.forget(other)
        self._fanout.guard_all(subscriber, besides=topics)
        self._index.discard(subscriber, WILDCARD)

    def renew(self, project: Project, before: Position) -> None:
        """Send the state of a project that continues in a new epoch to its watchers."""
        self._renew(project, before)
        for topic in self._index.named():
            branch = branch_of(topic)
            if branch is not None and branch[0] == project.project_id:
                self._renew(self._branches.open_now(project, branch[1]), before)

    def _renew(self, project: Watched, before: Position) -> None:
        name = str(project.project_id)
        for subscriber in self._index.watchers(name):
            opened = subscriber.feeds.is_opened(name)
            # A plain dialect has no such message: its watchers get the events from now on.
            announced = subscriber.dialect.encode(Unsubscribed(name)) is not None
            if opened and announced and not subscriber.closing and access.may_watch(subscriber.grants, name):
                policy = subscriber.policy_for(name)
                subscriber.catch_up(name, Catchup(self, subscriber, project, before, policy))

    def reloaded(self, project: Project, before: Position) -> None:
        """Let the watchers of a project that was read anew go on from `before`: another hub has changed it,
        and what lies between is not known.
        """
        self._go_on(project, before)
        for topic in self._index.named():
            branch = branch_of(topic)
            if branch is not None and branch[0] == project.project_id:
                self._go_on(self._branches.open_now(project, branch[1]), before)

    def _go_on(self, project: Watched, before: Position) -> None:
        name = str(project.project_id)
        for subscriber in self._index.watchers(name):
            if subscriber.closing or not subscriber.feeds.is_opened(name):
                continue
            if access.may_watch(subscriber.grants, name):
                since = subscriber.resume_point(name, before).position
                policy = subscriber.policy_for(name)
                limit = replayable(project, subscriber.grants, self._settings.delivery.max_replay)
                subscriber.outbox.drop(name)
                subscriber.catch_up(name, resuming(self, subscriber, project, since, policy, limit))

    def regrant(self, subscriber: Subscriber, grants: Grants) -> None:
        """Apply new grants: end the subscriptions that they do not cover, and send an `Unsubscribed` for
        each. Leases stay.
        """
        leases = {**subscriber.grants.leases, **grants.leases}
        self._apply(subscriber, evolve(grants, leases=leases), None)

    def end_leases(self, subscriber: Subscriber, wall: float) -> bool:
        """End the leases that are over at `wall` (Unix time in seconds), and what they allowed.

        The connection gets an `Unsubscribed` with a reason for each. Returns whether there were any.
        """
        leases = subscriber.grants.leases.items()
        over = [name for name, one in leases if one.until is not None and wall >= one.until]
        if over:
            self._apply(subscriber, subscriber.grants.without_leases(over), "expired")
        return bool(over)

    def _apply(self, subscriber: Subscriber, grants: Grants, reason: str | None) -> None:
        for name in self._index.topics(subscriber) - {WILDCARD}:
            if not access.may_watch(grants, name):
                self._leave(subscriber, name)
                subscriber.reply(Unsubscribed(name, reason=reason))
        subscriber.regrant(grants)

    def check(self, subscriber: Subscriber, name: str) -> None:
        """Check that a connection may subscribe to a project or a user's log; reads nothing of it.

        Raises:
            PeerError: ``forbidden``, ``too_many_subscriptions``, ``invalid_project_id``.
        """
        topic = self._topic(subscriber, name)
        self._check_room(subscriber, topic)
        access.require(subscriber.grants, Verb.WATCH, topic, field="project_id")

    async def admit(self, subscriber: Subscriber, name: str) -> None:
        """Check as `check` does; what the grants do not cover, the team's own service may allow.

        Raises:
            PeerError: as `check`, or ``access_unavailable``.
        """
        if self.asks:
            self._check_room(subscriber, name)
            found = await self._decisions.extended(subscriber.grants, Verb.WATCH, name)
            lease = found.leases.get(name)
            if lease is not None:
                # The grants may be others by now: a token was refreshed meanwhile.
                subscriber.grants = subscriber.grants.with_lease(name, lease)
        self.check(subscriber, name)

    def _take_token(self, subscriber: Subscriber, name: str, token: str) -> None:
        """Add what a subscription token allows to the connection's grants."""
        self._check_room(subscriber, name)
        found = self._tokens.for_project(token, name)
        grants = subscriber.grants
        # A connection watches one branch of a project at a time: messages name the project only.
        others = [one for one in grants.leases if one.startswith(BRANCH) and project_of(one) == name]
        for topic in others:
            if topic != found.topic and found.node_id is not None:
                self._leave(subscriber, topic)
                grants = grants.without_leases((topic,))
        subscriber.grants = grants.with_lease(found.topic, found.lease)

    @property
    def asks(self) -> bool:
        """Return whether the team's own service may allow what grants do not cover."""
        return Verb.WATCH in self._decisions.asked

    def _check_room(self, subscriber: Subscriber, name: str) -> None:
        if user_of(name) is None and branch_of(name) is None:
            project_id(name)
        topics = self._index.topics(subscriber)
        most = self._settings.limits.max_subscriptions
        if name not in topics and len(topics) >= most:
            message = f"at most {most} subscriptions"
            raise Refused(message, code="too_many_subscriptions", field="project_id", retry_after=1.0)
        if name not in topics:
            caller = caller_of(subscriber.grants, subscriber.address)
            self.held.check(caller, code="too_many_subscriptions", field="project_id")

    # --- what catch-ups need (`Source`) ------------------------------------------------------------

    def loaded(self, topic: str) -> Watched | None:
        """Return the project or the branch, if it is in memory."""
        return self._branches.get(topic) if topic.startswith(BRANCH) else self._cache.get(topic)

    def damage(self, project_id: str) -> ProjectDamaged | None:
        """Return the known damage of a project; None if there is none."""
        return self._cache.damage(project_id)

    async def project(self, project_id: str) -> Project:
        """Return the project; read it from the store if it is not in memory."""
        return await self._cache.load(project_id)

    async def page(self, after: str) -> list[Summary]:
        """Return the summaries of the next projects by id."""
        return await self._cache.page(after)

    async def read(self, project: Watched, since: Position, limit: int) -> Recovered | Gap:
        """Read older events from the store."""
        return await self._cache.read(project.project_id, since, limit)

    def underway(self) -> tuple[int, Collection[str]]:
        """Return the number of the running tick and its projects; no projects if none runs."""
        return self._fanout.ticks, self._fanout.projects

    def went_live(self, subscriber: Subscriber, project_id: str) -> None:
        """Make a project live for a subscriber that has reached the applied head."""
        subscriber.live(project_id)
        self._fanout.guard(subscriber, project_id)
