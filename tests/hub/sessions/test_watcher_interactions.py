"""Native watchers answer, command, and watch what is theirs."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.compat.aiecs.session import ConfirmingSession
from tasktree_rt.core.access import EVERYTHING, OPEN, Grants, Scope
from tasktree_rt.core.events import Json
from tests.hub.people import answers, asked, native, quiet, told, with_walls_clock
from tests.hub.transport import Carried
from tests.hub.world import a_world, relay_of, small, update

ANNA = Grants("anna", watch=EVERYTHING)


# --- answers ------------------------------------------------------------------------------------------


async def test_an_answer_is_replied_to_and_told_with_its_record_to_all_who_watch(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        watching, plain = native(world, "p"), world.plain()
        prompt = await asked(world, project_id="p", node_id="n")
        question = (await told(watching, "prompt"))["data"]
        assert (question["prompt_id"], question["default"]) == (prompt, {"proceed": False})
        said = {"type": "answer", "id": 7, "prompt_id": prompt, "proceed": True, "value": 5, "feedback": "go"}
        resolved, reply = await answers(watching, said)
        assert reply == {"type": "reply", "id": 7}
        place = {"prompt_id": prompt, "project_id": "p", "node_id": "n"}
        assert resolved["data"] == {
            **place,
            "proceed": True,
            "value": 5,
            "feedback": "go",
            "by": None,
            "how": "answered",
            "via": {"dialect": "native", "connection": watching.session.subscriber.id},
        }
        assert [one["type"] for one in plain.received()] == ["prompt", "prompt_resolved"]


async def test_of_many_who_answer_at_once_one_is_replied_to_and_the_others_are_told_what_stands(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        everyone = [native(world, "p") for _ in range(5)]
        prompt = await asked(world, project_id="p")
        await quiet()
        for number, one in enumerate(everyone):
            one.received()
            one.send({"type": "answer", "id": 1, "prompt_id": prompt, "proceed": True, "value": number})
        await quiet()
        said = [one.received() for one in everyone]
        outcomes = [message["data"] for messages in said for message in messages if "data" in message]
        assert outcomes == [outcomes[0]] * 5
        ends = [message for messages in said for message in messages if "id" in message]
        assert sorted(one["type"] for one in ends) == ["error"] * 4 + ["reply"]
        for error in ends:
            if error["type"] == "error":
                assert (error["code"], error["field"]) == ("prompt_closed", "prompt_id")
                assert error["outcome"] == outcomes[0]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"prompt_id": 5, "proceed": True}, "prompt_id"),
        ({"prompt_id": "none", "proceed": True}, "prompt_id"),
        ({"proceed": True}, "value"),
        ({"proceed": True, "value": "c"}, "value"),
        ({"proceed": None}, "proceed"),
        ({"proceed": False, "feedback": 5}, "feedback"),
    ],
)
async def test_a_bad_answer_is_an_error_with_its_place_and_settles_nothing(
    autojump_clock: MockClock, said: Json, field: str
) -> None:
    async with a_world() as world:
        watching = native(world)
        prompt = await asked(world, project_id="p", options=[{"id": "a"}])
        error = await told(watching, "error", {"type": "answer", "id": 1, "prompt_id": prompt, **said})
        assert (error["id"], error["field"]) == (1, field)
        assert len(world.hub.registry) == 1


async def test_who_may_not_answer_is_told_so_and_who_may_not_see_is_not(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        project, anna = await asked(world, project_id="p"), await asked(world, project_id="p", user_id="anna")
        everything = Grants("bert", watch=EVERYTHING, answer=EVERYTHING)
        for grants, prompt, code in (
            (ANNA, project, "forbidden"),
            (everything, anna, "forbidden"),
            (Grants("cleo", answer=Scope(("q",))), project, "not_found"),
        ):
            said = {"type": "answer", "prompt_id": prompt, "proceed": True}
            assert (await told(native(world, grants=grants), "error", said))["code"] == code
        assert len(world.hub.registry) == 2
        for grants, prompt in ((everything, project), (ANNA, anna)):
            said = {"type": "answer", "id": 1, "prompt_id": prompt, "proceed": True}
            await told(native(world, grants=grants), "reply", said)
            assert (await world.hub.interactions.find("prompt", prompt)).outcome["by"] == grants.subject  # type: ignore[index]


async def test_an_answer_that_the_store_cannot_keep_settles_nothing(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        watching = native(world, "p")
        prompt = await asked(world, project_id="p")
        await answers(watching)
        world.store.failing = True
        said = {"type": "answer", "id": 1, "prompt_id": prompt, "proceed": True}
        assert (await told(watching, "error", said))["code"] == "store_unavailable"
        world.store.failing = False
        await trio.sleep(3)
        assert [one["type"] for one in await answers(watching, said)] == ["prompt_resolved", "reply"]


async def test_nobody_answers_and_the_default_is_told_at_the_deadline(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        with_walls_clock(world.hub)
        watching = native(world, "p")
        await answers(watching)
        prompt = await asked(world, project_id="p", timeout=20, default={"proceed": True, "value": "x"})
        begun = trio.current_time()
        await (await world.hub.interactions.find("prompt", prompt)).end()
        assert 19 < trio.current_time() - begun < 22
        data = (await told(watching, "prompt_resolved"))["data"]
        assert (data["how"], data["proceed"], data["value"], data["by"]) == ("timeout", True, "x", None)


# --- the open ones, for who comes later -------------------------------------------------------------------


async def test_who_comes_later_is_offered_what_is_open(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        first, second = await asked(world, project_id="p"), await asked(world, project_id="p", user_id="anna")
        await world.hub.prompts.answer(first, {"proceed": True}, grants=OPEN, via={})
        for topic, place in (("p", {"project_id": "p"}), ("@anna", {"user_id": "anna"})):
            state = await told(native(world, topic), "project_state")
            assert {name: state.get(name) for name in place} == place
            assert [one["prompt_id"] for one in state["data"]["prompts"]] == [second]


async def test_a_slow_reader_is_told_of_prompts_in_one_step(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        slow = native(world, "p")
        await answers(slow)
        slow.transport.allow(0)
        for number in range(40):
            await world.publish("p", update("n", text=f"{number}" * 100))
        prompt = await asked(world, project_id="p")
        slow.transport.allow(None)
        await quiet()
        said = slow.received()
        steps = [one["prompts"] for one in said if one["type"] == "conflated" and "prompts" in one]
        assert [one["prompt_id"] for one in steps[-1]] == [prompt]


# --- commands -----------------------------------------------------------------------------------------


async def test_a_command_is_replied_to_with_its_id_and_its_result_is_told(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        await world.publish("p", update("n"))
        orchestrator, watching = world.orchestrator(serves=("p",)), native(world, "p")
        await answers(watching)
        said = {"type": "command", "id": 3, "project_id": "p", "name": "retry", "node_id": "n", "args": {}}
        event, reply = await answers(watching, said)
        command = reply["command_id"]
        assert reply == {"type": "reply", "id": 3, "command_id": command}
        via = {"dialect": "native", "connection": watching.session.subscriber.id}
        data = {"command_id": command, "name": "retry", "node_id": "n", "args": {}, "by": None, "via": via}
        assert (event["type"], event["data"]) == ("command", data)
        assert orchestrator.received() == [{"type": "command", "project_id": "p", **data}]
        orchestrator.send({"type": "command_result", "command_id": command, "status": "done"})
        result = await told(watching, "command_result")
        assert result["data"] == {"command_id": command, "status": "done", "node_id": "n"}


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({"project_id": "q"}, "no_orchestrator", "project_id"),
        ({"project_id": "*"}, "invalid_project_id", "project_id"),
        ({"name": ""}, "invalid_message", "name"),
        ({"node_id": 5}, "invalid_message", "node_id"),
        ({"args": "x"}, "invalid_message", "args"),
        ({"args": {"x": "y" * 20_000}}, "too_large", "args"),
    ],
)
async def test_a_bad_command_is_an_error_with_its_place(
    autojump_clock: MockClock, said: Json, code: str, field: str
) -> None:
    async with a_world() as world:
        orchestrator, watching = world.orchestrator(serves=("p",)), native(world)
        whole = {"type": "command", "id": 1, "project_id": "p", "name": "cancel", **said}
        error = await told(watching, "error", whole)
        assert (error["id"], error["code"], error["field"]) == (1, code, field)
        assert orchestrator.received() == []
        assert world.store.appends == []


async def test_only_who_may_command_does(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        orchestrator = world.orchestrator(serves=("p",))
        said = {"type": "command", "id": 1, "project_id": "p", "name": "cancel"}
        weak = native(world, grants=Grants("anna", EVERYTHING, EVERYTHING, EVERYTHING))
        assert (await told(weak, "error", said))["code"] == "forbidden"
        assert orchestrator.received() == []
        await told(native(world, grants=Grants("anna", command=Scope(("p",)))), "reply", said)
        (given,) = orchestrator.received()
        assert given["by"] == "anna"


# --- a user's own log ---------------------------------------------------------------------------------


async def test_a_users_log_is_watched_resumed_and_left(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        watching = native(world, grants=ANNA)
        await answers(watching)
        said = {"type": "subscribe", "id": 1, "user_id": "anna", "state": True}
        subscribed, state = await answers(watching, said)
        place = {"user_id": "anna", "seq": 0, "epoch": ""}
        assert subscribed == {"type": "subscribed", **place, "recovered": None, "id": 1}
        assert state["data"] == {"prompts": [], "read": 0}
        await world.hub.notifications.notify("anna", {"title": "one"}, grants=OPEN)
        await world.hub.notifications.notify("bert", {"title": "not hers"}, grants=OPEN)
        event = await told(watching, "notification")
        assert (event["user_id"], event["data"], "project_id" in event) == ("anna", {"title": "one"}, False)
        assert await answers(watching, {"type": "unsubscribe", "id": 2, "user_id": "anna"}) == [
            {"type": "unsubscribed", "user_id": "anna", "id": 2}
        ]
        await world.hub.notifications.notify("anna", {"title": "two"}, grants=OPEN)
        assert await answers(watching) == []
        since = f"{event['epoch']}:{event['seq']}"
        again, missed = await answers(watching, {"type": "subscribe", "user_id": "anna", "since": since})
        assert again["recovered"] is True
        assert missed["data"] == {"title": "two"}


async def test_nobody_watches_or_reads_for_another_user_but_an_administrator(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        await world.hub.notifications.notify("anna", {"title": "one"}, grants=OPEN)
        for said in ({"type": "subscribe", "user_id": "anna"}, {"type": "ack", "user_id": "anna", "seq": 1}):
            other = native(world, grants=Grants("bert", EVERYTHING, EVERYTHING, EVERYTHING))
            assert (await told(other, "error", {**said, "id": 1}))["code"] == "forbidden"
            admin = native(world, grants=Grants("root", admin=True))
            assert [one for one in await answers(admin, {**said, "id": 1}) if one["type"] == "error"] == []


async def test_everything_is_every_project_and_no_user(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        watching, plain = native(world, "*"), world.plain()
        await answers(watching)
        await asked(world, project_id="p", user_id="anna")
        await world.hub.notifications.notify("anna", {"title": "one"}, grants=OPEN)
        said = await answers(watching)
        assert [one.get("project_id") for one in said] == ["p"] * len(said)
        assert [one["type"] for one in plain.received()] == ["prompt"]


async def test_reading_is_told_to_a_users_other_connections_and_never_goes_back(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        one, other = native(world, "@anna", grants=ANNA), native(world, "@anna", grants=ANNA)
        for title in ("one", "two", "three"):
            await world.hub.notifications.notify("anna", {"title": title}, grants=OPEN)
        await quiet()
        one.received(), other.received()
        ack = {"type": "ack", "user_id": "anna", "seq": 2}
        read, reply = await answers(one, {**ack, "id": 9})
        assert (read["type"], read["data"]) == ("notifications_read", {"seq": 2})
        assert reply == {"type": "reply", "id": 9}
        assert (await told(other, "notifications_read"))["data"] == {"seq": 2}
        assert await answers(one, ack, {**ack, "seq": 1}) == []
        state = await told(native(world, "@anna"), "project_state")
        assert state["data"]["read"] == 2


async def test_heartbeats_name_the_positions_of_users_apart(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        watching = native(world, "@anna", "p", grants=ANNA)
        at = await world.hub.notifications.notify("anna", {"title": "one"}, grants=OPEN)
        await world.publish("p", update("n"))
        epoch = world.hub.cache.get("p").epoch  # type: ignore[union-attr]
        await answers(watching)
        await trio.sleep(60)
        beat = next(one for one in watching.received() if one["type"] == "heartbeat")
        assert beat["positions"] == {"p": f"{epoch}:1"}
        assert beat["user_positions"] == {"anna": f"{at.epoch}:1"}
        projects = native(world, "p")
        await trio.sleep(60)
        assert all("user_positions" not in one for one in projects.received())


async def test_a_user_whose_token_is_replaced_by_anothers_stops_seeing(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        watching = native(world, "@anna", grants=ANNA)
        await answers(watching)
        world.hub.subscriptions.regrant(watching.session.subscriber, Grants("bert", EVERYTHING))
        await world.hub.notifications.notify("anna", {"title": "secret"}, grants=OPEN)
        assert await answers(watching) == [{"type": "unsubscribed", "user_id": "anna"}]


async def test_a_user_is_not_told_of_to_whoever_opens_everything_meanwhile(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasktree_rt.hub.delivery.fanout.SLICE", 1)
    async with a_world() as world:
        anna = [native(world, "@anna", grants=OPEN) for _ in range(20)]
        stranger = native(world)
        await quiet()
        world.nursery.start_soon(partial(asked, world, project_id="p", user_id="anna"))
        while not world.hub.fanout.underway("@anna"):
            await trio.lowlevel.checkpoint()
        said = await answers(stranger, {"type": "subscribe", "id": 1, "project_id": "*", "state": True})
        assert [one for one in said if "user_id" in one] == []
        assert said[-1] == {"type": "reply", "id": 1}
        await told(anna[-1], "prompt")


# --- while the store is slow --------------------------------------------------------------------------


async def test_what_waits_for_its_commit_holds_up_no_later_request_and_replies_keep_their_order(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        world.orchestrator(serves=("p",))
        await world.publish("q", update("n"))
        watching = native(world, grants=OPEN)
        first, second = await asked(world, project_id="p"), await asked(world, project_id="q")
        await answers(watching)
        world.store.hold_appends()
        yes = {"type": "answer", "proceed": True}
        said = await answers(
            watching,
            {**yes, "id": 1, "prompt_id": first},
            {**yes, "id": 2, "prompt_id": "none"},
            {"type": "command", "id": 3, "project_id": "p", "name": "retry"},
            {**yes, "id": 4, "prompt_id": second},
            {"type": "refresh", "id": 5, "token": "t"},
            {"type": "ping", "id": 6},
            {"type": "subscribe", "id": 7, "project_id": "q"},
        )
        assert [(one["type"], one["id"]) for one in said] == [("pong", 6), ("subscribed", 7)]
        assert world.hub.committer.waiting == 3
        world.store.release_appends()
        said = [one for one in await answers(watching) if "id" in one]
        kinds = ["reply", "error", "reply", "reply", "reply"]
        assert [(one["type"], one["id"]) for one in said] == list(zip(kinds, range(1, 6), strict=True))
        assert said[1]["code"] == "not_found"


async def test_an_answer_whose_commit_fails_is_told_so_and_the_prompt_stays_open(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        watching = native(world, "p")
        prompt = await asked(world, project_id="p")
        await answers(watching)
        world.store.hold_appends()
        answer = {"type": "answer", "prompt_id": prompt, "proceed": True}
        await answers(watching, {**answer, "id": 1}, {**answer, "id": 2})
        world.store.failing = True
        world.store.release_appends()
        said = await answers(watching)
        assert [(one["id"], one["code"]) for one in said] == [(one, "store_unavailable") for one in (1, 2)]
        world.store.failing = False
        await trio.sleep(5)
        assert {"type": "reply", "id": 3} in await answers(watching, {**answer, "id": 3})


async def test_so_many_answers_that_wait_pause_the_reading(autojump_clock: MockClock) -> None:
    async with a_world(small(limits={"max_unacked": 2})) as world:
        watching = native(world)
        prompts = [await asked(world, project_id="p") for _ in range(4)]
        await answers(watching)
        world.store.hold_appends()
        for number, prompt in enumerate(prompts):
            watching.send({"type": "answer", "id": number, "prompt_id": prompt, "proceed": True})
        assert await answers(watching, {"type": "ping", "id": 9}) == []
        assert world.hub.committer.waiting == 2
        world.store.release_appends()
        said = await answers(watching)
        assert [one["id"] for one in said if one["type"] == "reply"] == [0, 1, 2, 3]
        assert {"type": "pong", "id": 9} in said


async def test_who_confirms_in_another_language_is_heard_while_the_confirmation_waits(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        session = ConfirmingSession(
            world.hub, Aiecs(lambda: 0.0), relay_of(world.hub), everything=True, grants=OPEN
        )
        confirming = Carried(session, world.nursery)
        prompt = await asked(world, user_id="ada")
        await answers(confirming)
        world.store.hold_appends()
        confirm = {"action": "confirm", "callback_id": prompt, "proceed": True}
        said = await answers(confirming, confirm, {"action": "ping"})
        assert [one.get("type") or one.get("action") for one in said] == ["pong"]
        assert world.hub.committer.waiting == 1
