"""Topics and their subscribers: the index behind every broadcast.

A topic is a project's name, a user's (``@`` and the user's id), or that of a branch of a project (``/``, the
project, ``/`` and the node's id); neither is the name of a project. An interest is a topic or ``*``, every
project (but no user and no branch); a name, once said or taken back, overrides ``*`` for that project.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from tasktree_rt.core.event_schema import wrong
from tasktree_rt.core.ids import is_node_id

WILDCARD: Final = "*"
USER: Final = "@"
BRANCH: Final = "/"
_NO_PROJECT: Final = (USER, BRANCH)
"""How topics begin that ``*`` does not include."""
MAX_USER: Final = 256
MAX_CACHED: Final = 1_000

S = TypeVar("S", bound=Hashable)


def user_id(value: object, field: str = "user_id") -> str:
    """A user's id: 1-256 characters without control characters.

    Raises:
        InvalidInput: it is none.
    """
    if not is_node_id(value) or len(value) > MAX_USER:
        raise wrong(field, f"1-{MAX_USER} characters without control characters", value, "invalid_message")
    return value


def user_topic(user: str) -> str:
    """The topic of a user's own log."""
    return f"{USER}{user}"


def user_of(topic: str) -> str | None:
    """Return the user of a topic; None for a project."""
    return topic[1:] if topic.startswith(USER) else None


def branch_topic(project_id: str, node_id: str) -> str:
    """The topic of a node of a project and of everything below it."""
    return f"{BRANCH}{project_id}{BRANCH}{node_id}"


def branch_of(topic: str) -> tuple[str, str] | None:
    """Return the project and the node of a branch's topic; None for any other topic."""
    if not topic.startswith(BRANCH):
        return None
    project, _, node_id = topic[1:].partition(BRANCH)
    return project, node_id


def project_of(topic: str) -> str:
    """Return the project of a branch's topic; any other topic as it is."""
    found = branch_of(topic)
    return topic if found is None else found[0]


def users_own(user: str, name: str) -> str:
    """A name that is one user's alone: no two pairs of user and name make the same."""
    return f"{len(user)}:{user}:{name}"


def live_topic(kind: str, user: str, name: str) -> str:
    """A live topic (`hub.ephemeral_topics`) that is one user's alone."""
    return f"{kind}:{users_own(user, name)}"


def read_live_topic(topic: str) -> tuple[str, str, str] | None:
    """The kind, the user and the name of a `live_topic`; None if it is none."""
    kind, _, rest = topic.partition(":")
    size, _, named = rest.partition(":")
    if not size.isdecimal() or named[int(size) : int(size) + 1] != ":":
        return None
    return kind, named[: int(size)], named[int(size) + 1 :]


class TopicIndex(Generic[S]):
    """An index from project to subscribers, and back.

    `watchers` is the read side, cached until an interest in that project (or a wildcard) changes: a
    broadcast costs one look-up however many subscribers there are elsewhere. `counted` is called with a
    subscriber and how many topics more it has, or fewer.
    """

    def __init__(self, counted: Callable[[S, int], None] = lambda _, __: None) -> None:
        self._counted = counted
        self._named: dict[str, dict[S, None]] = {}
        self._excluded: dict[str, set[S]] = {}
        self._all: dict[S, None] = {}
        self._topics: dict[S, set[str]] = {}
        self._without: dict[S, set[str]] = {}
        self._cache: dict[str, tuple[S, ...]] = {}
        self._everyone: tuple[S, ...] | None = None
        self.observers: list[Callable[[str, bool], None]] = []
        """Called with a topic when the first watches it by name, and when the last no longer does."""

    def __contains__(self, subscriber: S) -> bool:
        return subscriber in self._topics

    def add(self, subscriber: S, topic: str) -> None:
        """`subscriber` wants `topic`, or every project if that is ``*``; saying it again changes nothing."""
        topics = self._topics.setdefault(subscriber, set())
        if topic not in topics:
            topics.add(topic)
            self._counted(subscriber, 1)
        if topic == WILDCARD:
            self._all[subscriber] = None
            self._forget_all()
            return
        first = topic not in self._named
        self._named.setdefault(topic, {})[subscriber] = None
        self._include(subscriber, topic)
        self._cache.pop(topic, None)
        if first:
            self._observed(topic, watched=True)

    def discard(self, subscriber: S, topic: str) -> None:
        """`subscriber` no longer wants `topic`; with ``*`` in force the name is excluded from it."""
        topics = self._topics.get(subscriber)
        if topics is None:
            return
        if topic in topics:
            topics.discard(topic)
            self._counted(subscriber, -1)
        if topic == WILDCARD:
            self._all.pop(subscriber, None)
            self._forget_all()
            for name in self._without.pop(subscriber, set()):
                self._drop_exclusion(subscriber, name)
        else:
            self._drop_name(subscriber, topic)
            if subscriber in self._all:
                self._excluded.setdefault(topic, set()).add(subscriber)
                self._without.setdefault(subscriber, set()).add(topic)
            self._cache.pop(topic, None)
        if not topics:
            del self._topics[subscriber]

    def remove(self, subscriber: S) -> None:
        """Remove a subscriber from all topics."""
        topics = self._topics.pop(subscriber, set())
        if topics:
            self._counted(subscriber, -len(topics))
        for topic in topics:
            if topic == WILDCARD:
                self._all.pop(subscriber, None)
                self._forget_all()
            else:
                self._drop_name(subscriber, topic)
                self._cache.pop(topic, None)
        for name in self._without.pop(subscriber, set()):
            self._drop_exclusion(subscriber, name)

    def watchers(self, project: str) -> tuple[S, ...]:
        """Everyone interested in `project`, each once, in the order of subscribing (names first)."""
        named = self._named.get(project)
        excluded = self._excluded.get(project, ())
        if project.startswith(_NO_PROJECT):
            return tuple(named or ())
        if named is None and not excluded:
            if self._everyone is None:
                self._everyone = tuple(self._all)
            return self._everyone
        found = self._cache.get(project)
        if found is None:
            named = named or {}
            rest = (one for one in self._all if one not in named and one not in excluded)
            found = self._cache[project] = (*named, *rest)
            if len(self._cache) > MAX_CACHED:
                self._cache.pop(next(iter(self._cache)))
        return found

    def topics(self, subscriber: S) -> frozenset[str]:
        """What `subscriber` asked for, ``*`` among it."""
        return frozenset(self._topics.get(subscriber, ()))

    def named(self) -> tuple[str, ...]:
        """Every topic that someone asked for by its name."""
        return tuple(self._named)

    def is_named(self, project: str) -> bool:
        """Return True if a subscriber asked for `project` by name."""
        return project in self._named

    def wants(self, subscriber: S, project: str) -> bool:
        """Return True if events of `project` go to `subscriber`."""
        if subscriber in self._named.get(project, {}):
            return True
        every = subscriber in self._all and not project.startswith(_NO_PROJECT)
        return every and subscriber not in self._excluded.get(project, ())

    def _forget_all(self) -> None:
        self._cache.clear()
        self._everyone = None

    def _include(self, subscriber: S, topic: str) -> None:
        names = self._without.get(subscriber)
        if names is not None and topic in names:
            names.discard(topic)
            self._drop_exclusion(subscriber, topic)

    def _drop_name(self, subscriber: S, topic: str) -> None:
        named = self._named.get(topic)
        if named is not None:
            named.pop(subscriber, None)
            if not named:
                del self._named[topic]
                self._observed(topic, watched=False)

    def _observed(self, topic: str, *, watched: bool) -> None:
        for observer in self.observers:
            observer(topic, watched)

    def _drop_exclusion(self, subscriber: S, topic: str) -> None:
        excluded = self._excluded.get(topic)
        if excluded is not None:
            excluded.discard(subscriber)
            if not excluded:
                del self._excluded[topic]
        self._cache.pop(topic, None)
