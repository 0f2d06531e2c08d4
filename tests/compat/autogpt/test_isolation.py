"""No user ever gets another's frame, whoever watches what, however slowly, by names made to be confused."""

from __future__ import annotations

from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.intake import Intake
from tasktree_rt.compat.autogpt.payloads import read_execution
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.core.access import OPEN
from tasktree_rt.hub.hub import open_hub
from tests.compat.autogpt.test_payloads import GRAPH, NODE, body
from tests.hub.transport import Carried
from tests.hub.world import small

USERS = ("a", "a|graph_exec#a", "1:a", "a|graph#a|executions")
NAMES = ("a", "a|graph_exec#a", "1:a:a", "*", "")
METHODS = {
    "subscribe_graph_execution": "graph_exec_id",
    "subscribe_graph_executions": "graph_id",
    "subscribe_graph_exec": "graph_exec_id",
    "subscribe_graph_execs": "graph_id",
}
CHANNELS = {
    "subscribe_graph_execution": "{}|graph_exec#{}",
    "subscribe_graph_executions": "{}|graph#{}|executions",
    "subscribe_graph_exec": "{}|graph_exec#{}",
    "subscribe_graph_execs": "{}|graph_execs#{}",
}
WHO = st.integers(0, 5)
SUBSCRIBE = st.tuples(st.just("subscribe"), WHO, st.sampled_from(sorted(METHODS)), st.sampled_from(NAMES))
UNSUBSCRIBE = st.tuples(
    st.just("unsubscribe"), WHO, st.sampled_from(["graph_exec_id", "graph_id"]), st.sampled_from(NAMES)
)
GRAPH_EVENT = st.tuples(
    st.just("graph"), st.sampled_from(USERS), st.sampled_from(NAMES[:4]), st.sampled_from(NAMES[:4])
)
NODE_EVENT = st.tuples(
    st.just("node"), st.sampled_from(USERS), st.sampled_from(NAMES[:4]), st.sampled_from(NAMES[:4])
)
NOTIFY = st.tuples(st.just("notify"), st.sampled_from(USERS), st.just(""), st.just(""))
STALL = st.tuples(st.just("stall"), WHO, st.just(""), st.just(""))
FLOW = st.tuples(st.just("flow"), WHO, st.just(""), st.just(""))
STEPS = st.lists(
    SUBSCRIBE | SUBSCRIBE | UNSUBSCRIBE | GRAPH_EVENT | NODE_EVENT | NOTIFY | STALL | FLOW, max_size=40
)


class Member:
    """A connection of a user's, and what it may have been shown since its socket last took bytes."""

    def __init__(self, user: str, connection: Carried) -> None:
        self.user = user
        self.connection = connection
        self.watched: set[str] = set()
        self.expected: list[tuple[str, str]] = []
        self.stalled = False

    def check(self) -> None:
        """Everything that came is this user's and was watched; while it flows, nothing is missing."""
        found: list[tuple[str, str]] = []
        for message in self.connection.received():
            method, data = message["method"], message["data"]
            if data is None:
                continue
            assert data.get("user_id", data.get("user")) == self.user, message
            if method != "notification":
                assert message["channel"].startswith(f"{self.user}|"), message
            found.append((str(message["channel"]), data["mark"]))
        assert set(found) <= set(self.expected), (found, self.expected)
        if not self.stalled:
            assert found == self.expected
        self.expected.clear()


def channels_of(kind: str, user: str, graph: str, execution: str) -> list[str]:
    found = [f"{user}|graph_exec#{execution}"]
    return (
        found
        if kind == "node"
        else [*found, f"{user}|graph#{graph}|executions", f"{user}|graph_execs#{graph}"]
    )


async def play(steps: list[Any]) -> None:
    async with open_hub(MemoryBroker(), small()) as hub, trio.open_nursery() as nursery:
        intake = Intake(hub, mirror=False)
        members = [
            Member(user, Carried(ViewSession(hub, AutoGpt(), user), nursery))
            for user in (*USERS, USERS[0], USERS[1])
        ]
        for number, (kind, who, one, other) in enumerate(steps):
            mark = str(number)
            if kind in ("graph", "node"):
                extra = {"user_id": who, "graph_id": one, "mark": mark}
                named = {"id": other} if kind == "graph" else {"graph_exec_id": other, "node_exec_id": mark}
                intake.event(read_execution(body({**(GRAPH if kind == "graph" else NODE), **extra, **named})))
                for member in members:
                    member.expected += [
                        (channel, mark)
                        for channel in channels_of(kind, who, one, other)
                        if channel in member.watched and member.user == who
                    ]
            elif kind == "notify":
                await intake.notify(who, {"type": "t", "event": "e", "user": who, "mark": mark}, grants=OPEN)
                for member in members:
                    member.expected += [("None", mark)] if member.user == who else []
            else:
                await change(members[who], kind, one, other)
            await wait_all_tasks_blocked()
            for member in members:
                if not member.stalled:
                    member.check()
        await end(members)
        nursery.cancel_scope.cancel()


async def change(member: Member, kind: str, one: str, other: str) -> None:
    transport = member.connection.transport
    if kind == "stall" and not member.stalled:
        member.stalled = True
        transport.allow(0)
    elif kind == "flow" and member.stalled:
        transport.allow(None)
        await wait_all_tasks_blocked()
        member.check()
        member.stalled = False
    elif kind == "subscribe" and not member.stalled:
        member.connection.send({"method": one, "data": {METHODS[one]: other}})
        member.watched.add(CHANNELS[one].format(member.user, other))
    elif kind == "unsubscribe" and not member.stalled:
        member.connection.send({"method": "unsubscribe", "data": {one: other}})
        patterns = (
            ["{}|graph_exec#{}"]
            if one == "graph_exec_id"
            else ["{}|graph#{}|executions", "{}|graph_execs#{}"]
        )
        member.watched -= {pattern.format(member.user, other) for pattern in patterns}


async def end(members: list[Member]) -> None:
    for member in members:
        member.connection.transport.allow(None)
    await wait_all_tasks_blocked()
    for member in members:
        member.check()


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_frame_is_of_its_user_and_of_what_they_watch(steps: list[Any]) -> None:
    trio.run(play, steps)
