"""Every request of every WebSocket language, made by callers with one grant each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from tasktree_rt.compat.aiecs import dialect as aiecs
from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.compat.aiecs.session import ConfirmingSession
from tasktree_rt.compat.autogpt import client_requests as autogpt
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.events import Json
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.dialects.tasktree import Native, Orchestrator, Plain, requests
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.execution_status import ExecutionSession
from tasktree_rt.hub.sessions.producer import ProducerSession
from tasktree_rt.hub.sessions.watcher import NativeSession, PlainSession
from tests.hub.people import answers, native
from tests.hub.transport import Carried
from tests.hub.world import World, a_world, made, open_to_all, relay_of, run, update
from tests.web.access_table import ABSENT, CALLERS, EXECUTION, PROJECT, PUSH

ALL: Final = frozenset(CALLERS)
SELF: Final = frozenset({"user", "admin"})
NATIVE: Final[dict[str, tuple[Json, frozenset[str]]]] = {
    "subscribe": ({"project_id": PROJECT}, frozenset({"watch", "branch"})),
    "subscribe since": ({"project_id": PROJECT, "since": ":0"}, frozenset({"watch", "branch"})),
    "subscribe state": ({"project_id": PROJECT, "state": True}, frozenset({"watch", "branch"})),
    "subscribe *": ({"project_id": "*"}, ALL),
    "subscribe user": ({"user_id": "ada"}, SELF),
    "unsubscribe": ({"project_id": PROJECT}, ALL),
    "ack": ({"project_id": PROJECT, "seq": 1}, ALL),
    "ack user": ({"user_id": "ada", "seq": 1}, SELF),
    "ping": ({}, ALL),
    "answer": ({"prompt_id": "q", "proceed": True}, frozenset({"answer"})),
    "command": ({"project_id": PROJECT, "name": "stop"}, frozenset({"command"})),
    "refresh": ({"token": "t"}, ALL),
}
"""By request; a word behind the type is another form of it. The callers that are not refused."""
ORCHESTRATOR: Final[dict[str, tuple[Json, frozenset[str]]]] = {
    "publish": ({"events": [{**update("n"), "project_id": PROJECT}]}, frozenset(PUSH)),
    "node_update": ({**update("n"), "project_id": PROJECT}, frozenset(PUSH)),
    "ping": ({}, ALL),
}
AIECS: Final[dict[str, tuple[Json, frozenset[str]]]] = {
    "ping": ({}, ALL),
    "subscribe": ({"user_id": "ada"}, SELF),
    "cancel": ({"user_id": "ada", "task_id": "t"}, SELF),
    "confirm": ({"callback_id": "q", "proceed": True}, ALL - {"watch", "push", "push*"}),
    "ack": ({"message_id": "m"}, ALL),
}
"""A ``confirm`` of a prompt that the caller may not see is not answered, like one of a prompt that does not
exist; a test of its own looks at what becomes of the prompt."""


def test_every_request_of_every_language_has_its_row() -> None:
    assert {name.split()[0] for name in NATIVE} == set(requests._READERS)
    assert set(AIECS) == set(aiecs._READERS)
    # A client of AutoGPT watches topics of its own user only, whatever it names (`live_topic`).
    assert set(autogpt.SUBSCRIBES) == {
        "subscribe_graph_execution",
        "subscribe_graph_executions",
        "subscribe_graph_exec",
        "subscribe_graph_execs",
    }


async def prepared(world: World) -> None:
    await world.hub.publish(made(PROJECT, update("n"), update("n")))
    await world.hub.publish(made(EXECUTION, update("n")))
    await world.hub.prompts.ask({"project_id": PROJECT, "message": "?", "prompt_id": "q"}, grants=OPEN)
    world.orchestrator(serves=(PROJECT,))
    await world.settle()


def renamed(value: Any) -> Any:
    """The same request about a project and a prompt that do not exist."""
    if isinstance(value, dict):
        return {key: renamed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one) for one in value]
    return {PROJECT: ABSENT, "q": "none"}.get(value, value)


async def asked_as(caller: str, what: str, request: Json, opened_by: frozenset[str], open_: Open) -> None:
    """A caller makes a request, and the same about what does not exist."""
    async with a_world() as world:
        await prepared(world)
        carried = open_(world, caller)
        said = await answers(carried, request)
        refused = [one for one in said if one.get("type") == "error"]
        assert bool(refused) == (caller not in opened_by), (what, caller, said)
        if refused:
            codes = {one.get("code", "forbidden") for one in refused}
            assert codes <= ({"not_found", "forbidden"} if what == "answer" else {"forbidden"})
            absent = await answers(carried, renamed(request))
            if codes == {"forbidden"} and what in ("answer", "confirm"):
                return  # the caller sees the prompt, and may not answer it
            assert renamed_text(refused) == [one for one in absent if one["type"] == "error"]


def renamed_text(said: list[Json]) -> list[Json]:
    """Answers about `PROJECT` and the prompt ``q``, as they are about what does not exist."""
    return [
        {
            **one,
            **({"project_id": ABSENT} if "project_id" in one else {}),
            "message": one["message"].replace(PROJECT, ABSENT).replace("'q'", "'none'"),
        }
        for one in said
    ]


Open = Callable[[World, str], Carried]


def as_native(world: World, caller: str) -> Carried:
    carried = native(world, grants=CALLERS[caller])
    carried.received()
    return carried


def as_producer(world: World, caller: str) -> Carried:
    session = ProducerSession(world.hub, Orchestrator(), "p", grants=CALLERS[caller])
    return Carried(session, world.nursery)


def as_aiecs(world: World, caller: str) -> Carried:
    session = ConfirmingSession(
        world.hub, Aiecs(lambda: 1.5), relay_of(world.hub), everything=False, grants=CALLERS[caller]
    )
    return Carried(session, world.nursery)


@pytest.mark.parametrize("caller", sorted(CALLERS))
@pytest.mark.parametrize("what", sorted(NATIVE))
def test_a_native_watcher_may_what_its_grants_say(what: str, caller: str) -> None:
    given, opened_by = NATIVE[what]
    request = {"type": what.split(maxsplit=1)[0], "id": 1, **given}
    run(partial(asked_as, caller, what, request, opened_by, as_native))


@pytest.mark.parametrize("caller", sorted(CALLERS))
@pytest.mark.parametrize("what", sorted(ORCHESTRATOR))
def test_a_producer_may_what_its_grants_say(what: str, caller: str) -> None:
    given, opened_by = ORCHESTRATOR[what]
    run(partial(asked_as, caller, what, {"type": what, "id": 1, **given}, opened_by, as_producer))


@pytest.mark.parametrize("caller", sorted(CALLERS))
@pytest.mark.parametrize("what", sorted(AIECS))
def test_a_client_of_aiecs_may_what_its_grants_say(what: str, caller: str) -> None:
    given, opened_by = AIECS[what]
    run(partial(asked_as, caller, what, {"action": what, **given}, opened_by, as_aiecs))


@pytest.mark.parametrize("caller", sorted(CALLERS))
def test_a_confirmation_counts_only_from_a_caller_that_may_answer(caller: str) -> None:
    async def main() -> None:
        async with a_world() as world:
            await prepared(world)
            await answers(as_aiecs(world, caller), {"action": "confirm", "callback_id": "q", "proceed": True})
            (stored,) = await world.store.interactions(name="q")
            assert (stored.settled is not None) == (caller == "answer")

    run(main)


@pytest.mark.parametrize("caller", sorted(CALLERS))
def test_a_result_counts_only_from_a_producer_that_may_push(caller: str) -> None:
    async def main() -> None:
        async with a_world() as world:
            await prepared(world)
            sent, publish = await world.hub.commands.stage(PROJECT, {"name": "stop"}, grants=OPEN, via={})
            await publish.wait()
            producer = as_producer(world, caller)
            result = {"type": "command_result", "id": 1, "command_id": sent.id, "status": "done"}
            (refused,) = await answers(producer, result)
            (unknown,) = await answers(producer, {**result, "command_id": "none"})
            if caller in PUSH:
                assert refused["code"] == "forbidden"  # another connection has the command
            else:
                assert {**refused, "message": unknown["message"]} == unknown
                assert refused["message"].replace(sent.id, "none") == unknown["message"]

    run(main)


def watching(world: World, kind: str, caller: str, name: str) -> ConnectionSession:
    hub, mine = world.hub, CALLERS[caller]
    match kind:
        case "plain":
            return PlainSession(hub, Plain(), (Subscribe(name),), grants=mine, policy=Policy.DISCONNECT)
        case "native":
            return NativeSession(
                hub,
                Native(),
                (Subscribe(name),),
                grants=mine,
                policy=Policy.CONFLATE,
                authenticate=open_to_all,
            )
        case "execution":
            return ExecutionSession(hub, Execution(), name, nodes=True, logs=True, grants=mine)
        case _:
            return ViewSession(hub, AutoGpt(), mine.subject)


@pytest.mark.parametrize("caller", sorted(CALLERS))
@pytest.mark.parametrize("kind", ["plain", "native", "execution"])
def test_a_handshakes_subscription_is_refused_alike_whether_or_not_the_project_exists(
    kind: str, caller: str
) -> None:
    async def main() -> None:
        async with a_world() as world:
            await prepared(world)
            told = []
            watches = caller == "watch" or (caller == "branch" and kind != "execution")
            for name in (PROJECT, ABSENT):
                loaded = set(world.hub.cache)
                carried = Carried(watching(world, kind, caller, name), world.nursery)
                await world.settle()
                said = [one for one in carried.received() if one.get("type") != "welcome"]
                told.append((said, carried.transport.close_read, name in world.hub.index.named()))
                if not watches:
                    assert set(world.hub.cache) == loaded, "a refused caller made the hub look"
            text = repr(told[0]).replace(PROJECT, ABSENT)
            assert (text == repr(told[1])) != watches, told
            if not watches and kind != "native":
                assert told[0][1] is not None
                assert told[0][1][0] == 4003

    run(main)
