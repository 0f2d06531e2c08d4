"""Notifications: what a user is told, in a log of their own, and how far they have read it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json, refuse_unknown, shown
from tasktree_rt.core.log import Recovered
from tasktree_rt.core.topics import user_id, user_topic
from tasktree_rt.dialects.base import encode_json, plain
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.pending_publish import PendingPublish, PublishReceipt, result
from tasktree_rt.hub.publish.publisher import Publisher

NOTIFICATION: Final = "notification"
_TEXTS: Final = {"title": 256, "body": 4_096, "level": 32, "url": 2_048}
_MAX_SIZE: Final = 16 * 1024


class Notifications:
    """Tell users things. `show` shows a user something now, on connections without logs."""

    def __init__(
        self, publisher: Publisher, cache: ProjectCache, show: Callable[[str, str, Json, str], None]
    ) -> None:
        self._publisher = publisher
        self._cache = cache
        self._show_user = show

    async def notify(
        self, user: str, given: Json, *, grants: Grants, live: Json | None = None
    ) -> PublishReceipt:
        """Tell a user something; durable and handed on when this returns. Cancelling the wait does not take
        it back.

        Those of the user's connections that know no logs are shown it through the live topic of that name
        (kind `NOTIFICATION`, data `live`, by default what is stored).

        Raises:
            PeerError: refused.
        """
        name = user_id(user)
        if not grants.calls(name):
            raise Refused(f"you may not notify {name!r}")
        data = _notification(plain(given))
        event = self._publisher.event(NOTIFICATION, data)
        publish = await self._publisher.place((user_topic(name),), event, owner=grants.owner)
        publish.callbacks.append(partial(self._show, name, data if live is None else live))
        await publish.wait()
        return result(publish)

    def _show(self, user: str, data: Json, publish: PendingPublish) -> None:
        """It is kept: whoever is told of it without a log hears of it now."""
        if publish.error is None:
            published = result(publish)
            self._show_user(user, NOTIFICATION, data, f"{published.epoch}:{published.first}")

    async def read_up_to(self, user: str, seq: int, *, grants: Grants) -> int:
        """A user has read everything up to `seq` of their log. Returns how far they have read now.

        What is told of reading need not be read: who acknowledges every event would never be done.

        Raises:
            PeerError: refused.
        """
        project, seq, publish = await self._reads(user, seq, grants)
        if publish is not None:
            await publish.wait()
        return max(seq, int(project.tree.top.get("read", 0)))

    async def stage_read(self, user: str, seq: int, *, grants: Grants) -> PendingPublish | None:
        """The same, only queued for the next commit when this returns; None if it was read before.

        Raises:
            PeerError: as `read_up_to`, as far as it is known before the commit.
        """
        return (await self._reads(user, seq, grants))[2]

    async def _reads(self, user: str, seq: int, grants: Grants) -> tuple[Project, int, PendingPublish | None]:
        """The user's log, up to where it is read with this, and the publish that says so, if it is news."""
        name = user_id(user)
        if not grants.is_user(name):
            raise Refused(f"you may not read for {name!r}")
        topic = user_topic(name)
        project = await self._cache.load(topic)
        seq = _newest_told(project, min(seq, project.tree.head))
        if seq <= project.staged.top.get("read", 0):
            return project, seq, None
        event = self._publisher.event("notifications_read", {"seq": seq})
        return project, seq, await self._publisher.place((topic,), event)


def _newest_told(project: Project, seq: int) -> int:
    """The newest event up to `seq` that is for the user, or the beginning of what is in memory."""
    floor = project.log.floor
    found = project.log.since(project.position_at(floor), max(0, seq - floor))
    records = found.records if isinstance(found, Recovered) else ()
    told = (one.seq for one in reversed(records) if one.type != "notifications_read")
    return next(told, min(seq, floor))


def _notification(given: Json) -> Json:
    data: Json = {}
    for name, most in _TEXTS.items():
        value = given.get(name)
        if value is None and name != "title":
            continue
        if not isinstance(value, str) or not 0 < len(value) <= most:
            raise InvalidInput(f"expected 1-{most} characters, got {shown(value)}", field=name)
        data[name] = value
    if given.get("data") is not None:
        if not isinstance(given["data"], dict):
            raise InvalidInput(f"expected an object, got {shown(given['data'])}", field="data")
        data["data"] = given["data"]
    refuse_unknown(given, (*_TEXTS, "data"))
    if len(encode_json(data)) > _MAX_SIZE:
        raise InvalidInput(f"expected at most {_MAX_SIZE} bytes", code="too_large", field="data")
    return data
