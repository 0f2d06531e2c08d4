"""The feeds of one subscriber: they make its messages where events are not sent as they come."""

from __future__ import annotations

from tasktree_rt.core.log import Position
from tasktree_rt.hub.resume.feed import GUARD, Feed, Guard, ProjectFeed, TopicFeed
from tasktree_rt.hub.resume.wildcard import WildcardSubscription


class Feeds:
    """Keep a subscriber's feeds, and choose the one that makes the next message.

    Attributes:
        special: projects that are not live: each has a catch-up or `GUARD`; None if there are none.
        wildcard: opens the projects of ``*`` one by one.
        topic: the feed that comes last, when no other has a message.
    """

    __slots__ = ("special", "topic", "wildcard")

    def __init__(self) -> None:
        self.special: dict[str, ProjectFeed | Guard] | None = None
        self.wildcard: WildcardSubscription | None = None
        self.topic: TopicFeed | None = None

    @property
    def special_names(self) -> tuple[str, ...]:
        """Return the projects that are not live."""
        return tuple(self.special or ())

    @property
    def watch(self) -> bool:
        """Return whether some project may not be live."""
        return self.special is not None or self.wildcard is not None

    def is_live(self, project_id: str) -> bool:
        """Return whether a project's events are sent as they come: it has no catch-up and no guard."""
        return self.special is None or project_id not in self.special

    def is_guarded(self, project_id: str) -> bool:
        """Return whether the subscriber gets nothing of a project's present tick."""
        return self.special is not None and self.special.get(project_id) is GUARD

    def is_opened(self, project_id: str) -> bool:
        """Return whether ``*``, if it is being opened, has opened a project; else ``*`` notes the project."""
        return self.wildcard is None or self.wildcard.passed(project_id)

    def of(self, project_id: str) -> ProjectFeed | None:
        """Return the catch-up of a project; None if it has none."""
        found = self.special.get(project_id) if self.special else None
        return None if found is GUARD else found

    def positions(self) -> dict[str, Position]:
        """Return the position that each catch-up continues from."""
        return {name: one.position for name, one in (self.special or {}).items() if one is not GUARD}

    def due(self) -> Feed | None:
        """Return the feed that makes the next message; None if none has any."""
        if self.special is not None:
            for catchup in self.special.values():
                if catchup is not GUARD:
                    return catchup
        if self.wildcard is None and self.topic is not None and self.topic.ready:
            return self.topic
        return self.wildcard

    def begin(self, project_id: str, catchup: ProjectFeed | Guard) -> None:
        """Add the catch-up of a project, behind those of other projects."""
        if self.special is None:
            self.special = {}
        self.special.pop(project_id, None)
        self.special[project_id] = catchup

    def end(self, project_id: str) -> None:
        """Make a project live: its events are sent as they come."""
        if self.special is not None:
            self.special.pop(project_id, None)
            if not self.special:
                self.special = None

    def clear(self) -> None:
        """End all feeds."""
        self.special = self.wildcard = self.topic = None
