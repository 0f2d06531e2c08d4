"""Store notifications in a user's log, and how far the user has read it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json, refuse_unknown, shown
from tasktree_rt.core.log import Recovered
from tasktree_rt.core.topics import user_id, user_topic
from tasktree_rt.dialects.base import encode_json, plain
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.projects.cache import ProjectCache
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.pending_publish import PendingPublish, PublishReceipt, result
from tasktree_rt.hub.publish.publisher import Publisher

NOTIFICATION: Final = "notification"
_TEXTS: Final = {"title": 256, "body": 4_096, "level": 32, "url": 2_048}
_MAX_SIZE: Final = 16 * 1024


class Notifications:
    """Send notifications to users. `show` sends one to a user's connections that follow no log."""

    def __init__(
        self, publisher: Publisher, cache: ProjectCache, show: Callable[[str, str, Json, str], None]
    ) -> None:
        self._publisher = publisher
        self._cache = cache
        self._show_user = show

    async def notify(
        self, user: str, given: Json, *, grants: Grants, live: Json | None = None
    ) -> PublishReceipt:
        """Notify a user. Returns when the notification is stored and every outbox has it.

        To cancel this call does not take it back. Connections of the user that follow no log get it through
        the user's ephemeral topic (kind `NOTIFICATION`, data `live`, by default the stored data).

        Raises:
            PeerError: the hub refused it.
        """
        name = user_id(user)
        access.require_writer(grants, name, "notify")
        data = _notification(plain(given))
        event = self._publisher.event(NOTIFICATION, data)
        publish = await self._publisher.place((user_topic(name),), event, owner=grants.owner)
        publish.callbacks.append(partial(self._show, name, data if live is None else live))
        await publish.wait()
        return result(publish)

    def _show(self, user: str, data: Json, publish: PendingPublish) -> None:
        """Send a stored notification to the user's connections that follow no log."""
        if publish.error is None:
            published = result(publish)
            self._show_user(user, NOTIFICATION, data, f"{published.epoch}:{published.first}")

    async def read_up_to(self, user: str, seq: int, *, grants: Grants) -> int:
        """Note that a user has read their log up to `seq`. Returns the seq up to which it is read now.

        `notifications_read` events do not count as unread: otherwise each acknowledgement would need another.

        Raises:
            PeerError: the hub refused it.
        """
        project, seq, publish = await self._reads(user, seq, grants)
        if publish is not None:
            await publish.wait()
        return max(seq, int(project.tree.top.get("read", 0)))

    async def stage_read(self, user: str, seq: int, *, grants: Grants) -> PendingPublish | None:
        """Note that a user has read up to `seq`; returns before the commit, None if it was read before.

        Raises:
            PeerError: as `read_up_to`, as far as it is known before the commit.
        """
        return (await self._reads(user, seq, grants))[2]

    async def _reads(self, user: str, seq: int, grants: Grants) -> tuple[Project, int, PendingPublish | None]:
        """Return the user's log, the seq up to which it is now read, and the publish, if that is new."""
        name = user_id(user)
        access.require_user(grants, name)
        topic = user_topic(name)
        project = await self._cache.load(topic)
        seq = _newest_told(project, min(seq, project.tree.head))
        if seq <= project.staged.top.get("read", 0):
            return project, seq, None
        event = self._publisher.event("notifications_read", {"seq": seq})
        return project, seq, await self._publisher.place((topic,), event)


def _newest_told(project: Project, seq: int) -> int:
    """Return the seq of the newest notification up to `seq`, or the first seq in memory."""
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
