import pytest

from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.watcher.messages import (
    ProjectEvent,
    Subscribed,
    SubscriptionRefused,
    Unsubscribed,
)
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import Broadcast, Personal
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

# --- every project --------------------------------------------------------------------------------------


def open_all(made: SubscriptionState, *projects: str) -> None:
    """The hub opens ``*`` with these projects at e:5, with their states, and ends with the reply."""
    fence = next(one["id"] for one in made.requests if one["type"] == "unsubscribe")
    [request] = [
        one["id"] for one in made.requests if one["type"] == "subscribe" and one["project_id"] == "*"
    ]
    made.receive({"type": "unsubscribed", "id": fence, "project_id": "*"})
    for project in projects:
        unasked(made, project)
        made.receive(state("e:5", project=project))
    made.receive({"type": "reply", "id": request})


def test_what_a_connection_begins_with_is_ignored_until_it_is_surely_over() -> None:
    made = follower("*")
    [fence, request] = sent(made)
    assert (fence["type"], fence["project_id"]) == ("unsubscribe", "*")
    assert (request["project_id"], request["state"]) == ("*", True)
    assert unasked(made, "p") == []
    assert made.receive(event("e:6")) == []
    made.receive({"type": "unsubscribed", "id": fence["id"], "project_id": "*"})
    assert isinstance(unasked(made, "p")[0], Subscribed)


def test_all_resume_from_an_object_of_positions() -> None:
    made = follower("*")
    open_all(made, "p", "q")
    made.receive(event("e:6", "q"))
    made.opening()
    assert asks(made)[1] == ("subscribe", "*", {"p": "e:5", "q": "e:6"})


def test_before_all_are_open_the_states_are_asked_for_again() -> None:
    made = follower("*")
    made.receive({"type": "unsubscribed", "id": made.requests[0]["id"], "project_id": "*"})
    unasked(made, "p")
    made.receive(state("e:5"))
    made.opening()
    assert asks(made)[1] == ("subscribe", "*", True)


def test_positions_given_at_the_start_are_asked_from() -> None:
    made = follower("*", since={"p": Position("e", 3)})
    assert asks(made)[1] == ("subscribe", "*", {"p": "e:3"})


def test_positions_that_do_not_fit_into_a_message_give_way_to_states() -> None:
    made = SubscriptionState("conflate")
    made.subscribe("*", {f"p{number}": Position("e", 1) for number in range(1000)}, state=False)
    made.opening(10_000)
    assert asks(made)[1] == ("subscribe", "*", True)


def test_a_deleted_project_is_forgotten_under_all() -> None:
    made = follower("*")
    open_all(made, "p", "q")
    made.receive(deletion("e:6"))
    made.opening()
    assert asks(made)[1] == ("subscribe", "*", {"q": "e:5"})


def test_a_name_overrides_all_and_comes_first() -> None:
    made = follower("*")
    open_all(made, "p", "q")
    made.subscribe("p", None, True)
    made.opening()
    assert [one[:2] for one in asks(made)] == [("unsubscribe", "*"), ("subscribe", "p"), ("subscribe", "*")]


def test_an_excluded_project_stays_excluded() -> None:
    made = follower("*")
    open_all(made, "p", "q")
    sent(made)
    made.unsubscribe("p")
    made.ask_without("p")
    assert asks(made) == [("unsubscribe", "p", None)]
    assert made.receive(event("e:6")) == []
    made.opening()
    assert asks(made)[-1] == ("unsubscribe", "p", None)


# --- the rest -----------------------------------------------------------------------------------------


def test_a_project_no_longer_wanted_is_silent() -> None:
    made = follower("p")
    subscribed(made)
    made.unsubscribe("p")
    assert made.receive(event("e:6")) == []
    assert made.positions == {}


def test_the_hub_may_end_a_subscription() -> None:
    made = follower("p")
    subscribed(made)
    assert made.receive({"type": "unsubscribed", "project_id": "p"}) == [Unsubscribed("p")]
    made.opening()
    assert [one[:2] for one in asks(made)] == [("unsubscribe", "*")]


def test_a_refused_subscription_is_told_and_not_asked_again() -> None:
    made = follower("p", "q")
    request = made.requests[0]["id"]
    refused = {"type": "error", "id": request, "code": "forbidden", "message": "no"}
    assert made.receive(refused) == [SubscriptionRefused("p", "forbidden", "no")]
    made.opening()
    assert asks(made) == [("subscribe", "q", True)]


def test_a_refusal_for_now_gives_the_connection_up() -> None:
    made = follower("p")
    refused = {"type": "error", "code": "overloaded", "message": "no", "retry_after_ms": 1500}
    with pytest.raises(ConnectionEnded) as caught:
        made.receive(refused)
    assert (caught.value.retry_after, caught.value.final) == (1.5, False)


def test_messages_without_a_project_are_told() -> None:
    made = follower("p")
    shout = {"type": "maintenance", "project_id": None, "data": {"at": 1}, "timestamp": "T"}
    assert made.receive(shout) == [Broadcast("maintenance", {"at": 1}, "T")]
    assert made.receive({"anything": 1}) == [Personal({"anything": 1})]


def test_an_event_may_be_called_like_a_message_of_the_protocol() -> None:
    made = follower("p", state=False)
    subscribed(made)
    for seq, kind in enumerate(("conflated", "welcome", "heartbeat", "error"), 6):
        [told] = made.receive(event(f"e:{seq}", kind=kind))
        assert isinstance(told, ProjectEvent)


MALFORMED: list[Json] = [
    {"type": "subscribed", "project_id": "p", "seq": "5", "epoch": "e", "recovered": None},
    {"type": "subscribed", "project_id": "p", "epoch": "e", "recovered": None},
    {**event("e:6"), "seq": 6.0},
    {**event("e:6"), "data": None},
    {**conflated(5, "e:9"), "removed": "abc"},
    {**conflated(5, "e:9"), "nodes": [{"title": "without id"}]},
    {**state("e:5"), "parts": True},
    heartbeat(p="nonsense"),
    {"type": "heartbeat", "timestamp": "T", "positions": []},
    {"type": "error", "code": 5, "message": "no"},
]


@pytest.mark.parametrize("message", MALFORMED)
def test_what_no_hub_says_is_final(message: Json) -> None:
    made = follower("p", state=False)
    subscribed(made)
    with pytest.raises(ConnectionEnded, match="not a hub") as caught:
        made.receive(message)
    assert caught.value.final
