"""The topic index against a naive model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tasktree_rt.core.events import is_project_id
from tasktree_rt.core.topics import (
    MAX_CACHED,
    MAX_USER,
    WILDCARD,
    TopicIndex,
    live_topic,
    read_live_topic,
    user_id,
    user_of,
    user_topic,
)
from tasktree_rt.errors import InvalidInput

PROJECTS = ["p", "q"]
SUBSCRIBERS = range(3)
subscribers = st.sampled_from(SUBSCRIBERS)
topics = st.sampled_from([WILDCARD, *PROJECTS])


class TopicMachine(RuleBasedStateMachine):
    """`named` and `everything` hold interests in the order in which they were first said."""

    def __init__(self) -> None:
        super().__init__()
        self.index = TopicIndex[int]()
        self.named: list[tuple[str, int]] = []
        self.everything: list[int] = []
        self.excluded: set[tuple[str, int]] = set()

    @rule(one=subscribers, topic=topics)
    def add(self, one: int, topic: str) -> None:
        self.index.add(one, topic)
        if topic == WILDCARD:
            self.everything += [one] if one not in self.everything else []
        else:
            self.named += [(topic, one)] if (topic, one) not in self.named else []
            self.excluded.discard((topic, one))

    @rule(one=subscribers, topic=topics)
    def discard(self, one: int, topic: str) -> None:
        self.index.discard(one, topic)
        if topic == WILDCARD:
            self.everything = [other for other in self.everything if other != one]
            self.excluded = {pair for pair in self.excluded if pair[1] != one}
        else:
            self.named = [pair for pair in self.named if pair != (topic, one)]
            if one in self.everything:
                self.excluded.add((topic, one))

    @rule(one=subscribers)
    def remove(self, one: int) -> None:
        self.index.remove(one)
        self.named = [pair for pair in self.named if pair[1] != one]
        self.everything = [other for other in self.everything if other != one]
        self.excluded = {pair for pair in self.excluded if pair[1] != one}

    @invariant()
    def knows_who_watches(self) -> None:
        for project in PROJECTS:
            by_name = [one for name, one in self.named if name == project]
            rest = [
                one for one in self.everything if one not in by_name and (project, one) not in self.excluded
            ]
            assert list(self.index.watchers(project)) == by_name + rest
            assert [one for one in SUBSCRIBERS if self.index.wants(one, project)] == sorted(by_name + rest)

    @invariant()
    def knows_who_asked_for_what(self) -> None:
        for one in SUBSCRIBERS:
            asked = {name for name, other in self.named if other == one}
            asked |= {WILDCARD} if one in self.everything else set()
            assert self.index.topics(one) == asked
            assert (one in self.index) == bool(asked)

    @invariant()
    def keeps_nothing_of_those_who_left(self) -> None:
        index = self.index
        assert {(name, one) for name, ones in index._named.items() for one in ones} == set(self.named)
        assert {(name, one) for name, ones in index._excluded.items() for one in ones} == self.excluded
        assert all(index._named.values())
        assert all(index._excluded.values())
        assert set(index._without) <= set(self.everything)


TestTopicIndex = TopicMachine.TestCase


def test_the_cache_is_bounded_and_right() -> None:
    index = TopicIndex[str]()
    index.add("everybody", WILDCARD)
    for n in range(MAX_CACHED + 100):
        index.add("one", f"p{n}")
    for _ in range(2):
        for n in range(MAX_CACHED + 100):
            assert index.watchers(f"p{n}") == ("one", "everybody")
    assert len(index._cache) <= MAX_CACHED


def test_projects_without_a_name_of_their_own_share_one_answer() -> None:
    index = TopicIndex[str]()
    index.add("a", WILDCARD)
    assert index.watchers("p") is index.watchers("q")


def test_a_name_taken_back_before_the_wildcard_excludes_nothing() -> None:
    index = TopicIndex[str]()
    index.add("a", "p")
    index.discard("a", "p")
    index.add("a", WILDCARD)
    assert index.wants("a", "p")


# --- users' topics --------------------------------------------------------------------------------


def test_a_user_has_a_topic_and_a_project_has_no_user() -> None:
    assert user_of(user_topic("anna")) == "anna"
    assert user_of(user_topic("@anna")) == "@anna"
    assert user_of("anna") is None


@given(st.text(min_size=1, max_size=20))
def test_no_users_topic_is_a_projects_name(user: str) -> None:
    assert not is_project_id(user_topic(user))


@pytest.mark.parametrize("user", ["", "x" * (MAX_USER + 1), "a\n", "\ud800", 1, None, ["a"]])
def test_what_is_no_user_is_refused(user: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        user_id(user)
    assert (caught.value.field, caught.value.code) == ("user_id", "invalid_message")


def test_everything_is_every_project_and_no_user() -> None:
    index = TopicIndex[str]()
    index.add("all", WILDCARD)
    index.add("named", "@anna")
    assert index.watchers("@anna") == ("named",)
    assert index.watchers("@bert") == ()
    assert index.watchers("p") == ("all",)
    assert (index.wants("all", "@anna"), index.wants("named", "@anna")) == (False, True)


def test_a_user_taken_back_under_everything_can_be_asked_for_again() -> None:
    index = TopicIndex[str]()
    index.add("a", WILDCARD)
    index.add("a", "@anna")
    index.discard("a", "@anna")
    assert index.watchers("@anna") == ()
    index.add("a", "@anna")
    assert index.watchers("@anna") == ("a",)
    index.remove("a")
    assert not index._named
    assert not index._excluded


@given(st.sampled_from(["autogpt.graph", "k"]), st.text(max_size=8), st.text(max_size=8))
def test_a_live_topic_is_read_back_as_it_was_made(kind: str, user: str, name: str) -> None:
    assert read_live_topic(live_topic(kind, user, name)) == (kind, user, name)


@pytest.mark.parametrize("topic", ["", "p", "@ann", "k:", "k:x:ann:n", "k:9:ann:n", "k:3:ann", "k:²:an:n"])
def test_what_is_no_live_topic_is_not_read_as_one(topic: str) -> None:
    assert read_live_topic(topic) is None


def test_an_observer_hears_of_the_first_and_the_last_who_watches_a_topic_by_name() -> None:
    index, said = TopicIndex[int](), list[tuple[str, bool]]()
    index.observers.append(lambda topic, watched: said.append((topic, watched)))
    for one in (1, 2, 1):
        index.add(one, "p")
    index.add(3, WILDCARD)
    index.discard(1, "p")
    assert (said, index.named()) == ([("p", True)], ("p",))
    index.remove(2)
    index.add(3, "q")
    index.remove(3)
    assert said == [("p", True), ("p", False), ("q", True), ("q", False)]
    assert index.named() == ()
