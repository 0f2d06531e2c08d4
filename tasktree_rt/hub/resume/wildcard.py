"""Open ``*``: send a ``subscribed`` for every project, one by one, then the reply.

The hub opens projects in the order of their ids. Projects up to the cursor are live or catching up; those
after it get nothing yet. A project that is created meanwhile after the cursor is noticed when its first batch
is withheld, and opened in its turn. If ``*`` was in force before, its projects continue until the cursor
reaches them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from heapq import heapify, heappop, heappush

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.log import BEGINNING, Position
from tasktree_rt.core.protocol import Message, Reply, RequestId, Subscribed, Unsubscribed
from tasktree_rt.core.topics import user_of
from tasktree_rt.errors import ProjectDamaged
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.error_messages import failure
from tasktree_rt.hub.projects.cache import LAST_ID
from tasktree_rt.hub.resume.catchup import Catchup, joining, replayable, resuming
from tasktree_rt.hub.resume.feed import Events, Reader, ResumePoint, Source, Watched


class WildcardSubscription:
    """See the module's docstring. Implements `feed.Feed`.

    Args:
        named: projects with a subscription of their own.
        anew: projects that were excluded from the earlier ``*`` and are in this one.
        before: the last project that the earlier ``*`` had opened; "" if there was none.

    Attributes:
        request: the id of the request that the reply at the end answers.
        must_fetch: as of `Catchup`.
    """

    def __init__(
        self,
        source: Source,
        reader: Reader,
        named: Collection[str],
        *,
        since: Mapping[str, Position] | None,
        state: bool,
        request: RequestId,
        max_replay: int,
        anew: Collection[str] = (),
        before: str = "",
    ) -> None:
        self._source = source
        self._reader = reader
        self._named = set(named)
        self._since = None if since is None else dict(since)
        self._state = state
        self.request = request
        self._max_replay = max_replay
        self._anew = set(anew)
        self._before = before
        self._cursor = ""
        # A position may name a deleted project, which the store does not list.
        self._noticed: dict[str, None] = dict.fromkeys(since or ())
        self._heap = list(self._noticed)
        heapify(self._heap)
        self._ahead: deque[Summary] = deque()
        self._page_end = ""
        self._more = True
        self._tick = -1
        self._awaited: str | None = None
        self.must_fetch = True

    @property
    def reached(self) -> str:
        """Return the last project for which ``*`` is in force."""
        return max(self._cursor, self._before)

    @property
    def anew(self) -> set[str]:
        """Return the projects to be opened that were not in the earlier ``*``."""
        return {name for name in self._anew if name > self._cursor}

    def passed(self, project_id: str) -> bool:
        """Return whether a project's events may be sent; if not, note that it has some."""
        if project_id <= self._cursor or project_id in self._named:
            return True
        self._notice(project_id)
        return project_id <= self._before and project_id not in self._anew

    def _notice(self, project_id: str) -> None:
        if project_id not in self._noticed:
            self._noticed[project_id] = None
            heappush(self._heap, project_id)

    def _notice_tick(self) -> None:
        """Note the projects of the running tick: their batches may be offered before the cursor comes, and
        the store does not list a project that just ended.
        """
        tick, names = self._source.underway()
        if names and tick != self._tick:
            self._tick = tick
            for name in names:
                if name > self._cursor and user_of(name) is None:
                    self._notice(name)

    def skip(self, project_id: str) -> None:
        """Leave a project out: it has a subscription of its own now, or was excluded from ``*``."""
        self._named.add(project_id)

    def step(self) -> Message | Events | None:
        """Open the next project; its catch-up makes its messages before this feed is asked again."""
        self._notice_tick()
        project_id, summary = self._choose()
        if project_id is None:
            if self._more:
                self.must_fetch = True
                return None
            return self._finish()
        if project_id in self._named:
            self._pass(project_id)
            return None
        if not access.may_watch(self._reader.grants, project_id):
            self._pass(project_id)
            given = self._since is not None and self._since.pop(project_id, None) is not None
            return Unsubscribed(project_id) if given else None
        damage = self._source.damage(project_id)
        if damage is not None:
            self._pass(project_id)
            return failure(damage)
        project = self._source.loaded(project_id)
        if project is not None:
            self._open(project)
            return None
        unnoticed = summary is not None and project_id not in self._noticed
        if summary is None or not unnoticed or self._since is not None or self._state:
            self._awaited, self.must_fetch = project_id, True
            return None
        # Not in memory, so unchanged since the page was read: it is at the position of its summary.
        self._pass(project_id)
        return Subscribed(project_id, Position(summary.epoch, summary.seq), None)

    async def fetch(self) -> None:
        """Load the project that is next, or the next page of projects."""
        if self._awaited is not None:
            with suppress(ProjectDamaged):  # the next step sends the error
                await self._source.project(self._awaited)
            self._awaited = None
        else:
            page = await self._source.page(self._page_end)
            self._ahead.extend(page)
            if page:
                self._page_end = page[-1].project_id
            else:
                self._more = False
        self.must_fetch = False

    def _choose(self) -> tuple[str | None, Summary | None]:
        """Return the next project by id, of those that the store lists and those noticed."""
        while self._ahead and self._ahead[0].project_id <= self._cursor:
            self._ahead.popleft()
        while self._heap and self._heap[0] <= self._cursor:
            heappop(self._heap)
        ahead = self._ahead[0] if self._ahead else None
        # Both are complete up to the end of the store's list read so far.
        limit = ahead.project_id if ahead else self._page_end if self._more else LAST_ID
        if self._heap and self._heap[0] < limit:
            return self._heap[0], None
        return (None, None) if ahead is None else (ahead.project_id, ahead)

    def _pass(self, project_id: str) -> None:
        self._cursor = project_id
        self._noticed.pop(project_id, None)

    def _open(self, project: Watched) -> None:
        name = str(project.project_id)
        self._pass(name)
        was_open = name <= self._before and name not in self._anew
        resume_point = self._reader.replace(project) if was_open else None
        given = self._since is not None and name in self._since
        if project.epoch == "" and not given and resume_point is None:
            # It was noticed and is deleted: a watcher that never got it needs no message of its end.
            self._reader.went_live(name)
            return
        if not self._reader.closing:
            self._reader.catch_up(name, self._catchup(project, resume_point))

    def _catchup(self, project: Watched, resume_point: ResumePoint | None) -> Catchup:
        source, reader = self._source, self._reader
        policy = reader.policy_for(project.project_id)
        if self._since is None:
            return joining(source, reader, project, policy, state=self._state, resume_point=resume_point)
        since = self._since.pop(project.project_id, BEGINNING)
        most = replayable(project, reader.grants, self._max_replay)
        return resuming(source, reader, project, since, policy, most)

    def _finish(self) -> Message:
        self._cursor = LAST_ID
        self._reader.set_wildcard(None)
        return Reply(self.request)
