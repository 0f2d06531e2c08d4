import pytest

from tasktree_rt.client.watcher.messages import (
    Conflated,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
)
from tasktree_rt.core.log import Position
from tests.client.following import (
    Json,
    asks,
    conflated,
    deletion,
    event,
    follower,
    heartbeat,
    sent,
    state,
    subscribed,
    unasked,
)

# --- the client's position ----------------------------------------------------------------------------


def test_it_moves_with_an_event() -> None:
    made = follower("p")
    subscribed(made)
    [told] = made.receive(event("e:6"))
    assert isinstance(told, ProjectEvent)
    assert made.positions == {"p": Position("e", 6)}


def test_it_moves_with_conflated_to_its_seq() -> None:
    made = follower("p", since=Position("e", 5))
    subscribed(made, recovered=True)
    [told] = made.receive(conflated(5, "e:9"))
    assert isinstance(told, Conflated)
    assert (told.removed, told.nodes, told.top) == (["gone"], {"n": {"title": "T"}}, {"state": "running"})
    assert (told.events[0].position, told.logs_skipped) == (Position("e", 9), {"n": 3})
    assert made.positions == {"p": Position("e", 9)}


def test_it_moves_with_the_last_part_of_a_state_and_not_before() -> None:
    made = follower("p")
    subscribed(made)
    assert made.receive(state("e:5", 1, 3)) == []
    assert made.receive(state("e:5", 2, 3)) == []
    assert made.positions == {}
    [told] = made.receive(state("e:5", 3, 3))
    assert isinstance(told, StateReplaced)
    assert set(told.nodes) == {"n1", "n2", "n3"}
    assert made.positions == {"p": Position("e", 5)}


def test_subscribed_moves_it_where_it_recovered() -> None:
    made = follower("p", since=Position("", 0))
    subscribed(made, at="e:0", recovered=True)
    assert made.positions == {"p": Position("e", 0)}


def test_subscribed_moves_it_where_neither_since_nor_state_was_asked() -> None:
    made = follower("p", state=False)
    subscribed(made)
    assert made.positions == {"p": Position("e", 5)}


def test_before_a_state_the_old_position_stands() -> None:
    made = follower("p", since=Position("old", 3))
    subscribed(made, at="e:5", recovered=False)
    assert made.positions == {"p": Position("old", 3)}
    fresh = follower("p", state=True)
    subscribed(fresh)
    assert fresh.positions == {}


def test_a_new_connection_goes_on_from_it() -> None:
    made = follower("p", "q")
    assert asks(made) == [("subscribe", "p", True), ("subscribe", "q", True)]
    made.opening()
    subscribed(made)
    made.receive(state("e:5"))
    made.opening()
    assert asks(made) == [("subscribe", "p", "e:5"), ("subscribe", "q", True)]


# --- states in parts ----------------------------------------------------------------------------------


def test_an_unfinished_state_is_dropped_at_part_1() -> None:
    made = follower("p")
    subscribed(made)
    made.receive(state("e:5", 1, 2))
    made.receive(state("e:7", 1, 2))
    [told] = made.receive(state("e:7", 2, 2))
    assert isinstance(told, StateReplaced)
    assert told.position == Position("e", 7)


def test_an_unfinished_state_is_dropped_at_subscribed_and_at_project_deleted() -> None:
    for interruption in (lambda made: unasked(made, at="e:6"), lambda made: made.receive(deletion("e:6"))):
        made = follower("p")
        subscribed(made)
        made.receive(state("e:5", 1, 2))
        interruption(made)
        sent(made)
        assert made.receive(state("e:5", 2, 2)) == []
        assert asks(made)[0][:2] == ("subscribe", "p")  # what is left makes no sense: ask again


def test_a_part_of_another_state_asks_again() -> None:
    made = follower("p")
    subscribed(made)
    sent(made)
    made.receive(state("e:5", 1, 3))
    assert made.receive(state("e:5", 3, 3)) == []
    assert asks(made) == [("subscribe", "p", True)]


# --- gaps ---------------------------------------------------------------------------------------------


def test_an_event_that_was_seen_is_not_told_twice() -> None:
    made = follower("p", state=False)
    subscribed(made)
    assert len(made.receive(event("e:6"))) == 1
    assert made.receive(event("e:6")) == []
    assert made.positions == {"p": Position("e", 6)}


@pytest.mark.parametrize("message", [event("e:7"), event("f:6"), conflated(6, "e:9"), conflated(5, "f:9")])
def test_what_does_not_fit_is_not_told_but_asked_for_again(message: Json) -> None:
    made = follower("p", since=Position("e", 5))
    subscribed(made, recovered=True)
    sent(made)
    assert made.receive(message) == []
    assert asks(made) == [("subscribe", "p", "e:5")]


def test_until_the_answer_comes_what_the_old_subscription_says_is_ignored() -> None:
    made = follower("p", since=Position("e", 5))
    assert made.receive(event("e:6")) == []
    assert unasked(made, at="e:6") == []
    subscribed(made, recovered=True)
    assert len(made.receive(event("e:6"))) == 1


def test_a_heartbeat_at_another_position_subscribes_again_from_ours() -> None:
    made = follower("p", since=Position("e", 5))
    subscribed(made, recovered=True)
    sent(made)
    made.receive(heartbeat(p="e:5", other="e:9"))
    assert sent(made) == []
    made.receive(heartbeat(p="e:6"))
    assert asks(made) == [("subscribe", "p", "e:5")]
    made.receive(heartbeat(p="e:7"))
    assert sent(made) == []  # one request is on its way


def test_a_heartbeat_is_no_news_for_a_project_that_is_part_way() -> None:
    made = follower("p")
    subscribed(made)
    sent(made)
    made.receive(state("e:5", 1, 2))
    made.receive(heartbeat(p="e:6"))
    assert sent(made) == []


# --- lives --------------------------------------------------------------------------------------------


def test_a_deletion_ends_a_life_and_the_next_begins_at_nothing() -> None:
    made = follower("p", state=False)
    subscribed(made)
    [told] = made.receive(deletion("e:6"))
    assert isinstance(told, ProjectDeleted)
    assert made.positions == {"p": Position("e", 6)}
    unasked(made, at="f:0")
    assert isinstance(made.receive(event("f:1"))[0], ProjectEvent)
    assert made.positions == {"p": Position("f", 1)}


def test_resumed_from_a_life_that_is_over_the_deletion_is_not_told_twice() -> None:
    made = follower("p", state=False)
    subscribed(made)
    made.receive(deletion("e:6"))
    made.opening()
    subscribed(made, at=":0", recovered=False)
    sent(made)
    assert made.receive(deletion("e:6")) == []
    for there in (":0", "e:6"):
        made.receive(heartbeat(p=there))
    assert sent(made) == []


def test_the_first_event_of_a_project_without_a_log_fits() -> None:
    made = follower("p", state=False)
    subscribed(made, at=":0")
    assert len(made.receive(event("e:1"))) == 1
