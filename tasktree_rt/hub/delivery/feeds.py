"""The feeds of one subscriber: they make its messages where events do not go out as they come."""

from __future__ import annotations

from tasktree_rt.core.log import Position
from tasktree_rt.hub.recovery.feed import GUARD, Feed, Guard, ProjectFeed, TopicFeed
from tasktree_rt.hub.recovery.wildcard import WildcardSubscription


class Feeds:
    """Keep a subscriber's feeds, and say which one speaks next.

    Attributes:
        special: projects that are not simply live: a catch-up, or `GUARD`; None if there are none.
        opening: opens the projects of ``*`` one by one.
        topic: speaks when nobody else has anything to say.
    """

    __slots__ = ("opening", "special", "topic")

    def __init__(self) -> None:
        self.special: dict[str, ProjectFeed | Guard] | None = None
        self.opening: WildcardSubscription | None = None
        self.topic: TopicFeed | None = None

    @property
    def special_names(self) -> tuple[str, ...]:
        """The projects that are not simply live."""
        return tuple(self.special or ())

    @property
    def watch(self) -> bool:
        """Whether a feed has a say in which events go out as they come."""
        return self.special is not None or self.opening is not None

    def is_live(self, project_id: str) -> bool:
        """Whether no catch-up and no guard keeps a project's events back."""
        return self.special is None or project_id not in self.special

    def is_guarded(self, project_id: str) -> bool:
        """Whether a project's present tick does not concern the subscriber."""
        return self.special is not None and self.special.get(project_id) is GUARD

    def is_opened(self, project_id: str) -> bool:
        """Whether the opening of ``*``, if there is one, has come to a project; it notes those asked for."""
        return self.opening is None or self.opening.passed(project_id)

    def of(self, project_id: str) -> ProjectFeed | None:
        """Return the catch-up of a project; None if it has none."""
        found = self.special.get(project_id) if self.special else None
        return None if found is GUARD else found

    def positions(self) -> dict[str, Position]:
        """Return from where each catch-up goes on."""
        return {name: one.position for name, one in (self.special or {}).items() if one is not GUARD}

    def due(self) -> Feed | None:
        """Return the feed that speaks next; None if none has anything to say."""
        if self.special is not None:
            for catchup in self.special.values():
                if catchup is not GUARD:
                    return catchup
        if self.opening is None and self.topic is not None and self.topic.ready:
            return self.topic
        return self.opening

    def begin(self, project_id: str, catchup: ProjectFeed | Guard) -> None:
        """Let `catchup` speak for a project, behind those that are there."""
        if self.special is None:
            self.special = {}
        self.special.pop(project_id, None)
        self.special[project_id] = catchup

    def end(self, project_id: str) -> None:
        """Let a project's events go out as they come."""
        if self.special is not None:
            self.special.pop(project_id, None)
            if not self.special:
                self.special = None

    def clear(self) -> None:
        """End all of them."""
        self.special = self.opening = self.topic = None
