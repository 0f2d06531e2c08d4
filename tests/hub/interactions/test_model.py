"""Whatever happens in whatever order: of each prompt and command there is one end, told to all, for ever."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from operator import eq
from typing import Any

import trio
from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from tests.hub.office import Obedient, Office, an_office
from tests.hub.world import run

FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
TOPICS = ("p", "q", "@anna", "@bert")
NAMES = ("a", "b", "c", "d")

names = st.sampled_from(NAMES)
projects = st.sampled_from(("p", "q"))
withins = st.sampled_from(((), *((topic,) for topic in TOPICS), ("p", "@anna")))
"""The logs that a call names beside the id."""
asks = st.tuples(
    st.just("ask"),
    names,
    projects | st.none(),
    st.sampled_from((None, "anna", "bert")),
    st.sampled_from((0, 5, 60, 600)),
)
steps = st.one_of(
    asks,
    asks,
    st.tuples(st.just("answer"), names, st.integers(1, 3), withins),
    st.tuples(st.just("answer"), names, st.integers(1, 3), withins),
    st.tuples(st.just("cancel"), names, withins),
    st.tuples(st.just("wait"), names, withins),
    st.tuples(st.just("delete"), projects),
    st.tuples(st.just("publish"), projects),
    st.tuples(st.just("serve"), projects),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.just("command"), projects),
    st.tuples(
        st.just("obey"),
        st.integers(0, 3),
        st.integers(0, 5),
        st.sampled_from(("accepted", "done", "refused")),
    ),
    st.tuples(st.just("hold"), st.sampled_from(("appends", "reads"))),
    st.tuples(st.just("release"), st.sampled_from(("appends", "reads"))),
    st.tuples(st.just("fail")),
    st.tuples(st.just("fail reads")),
    st.tuples(st.just("mend")),
    st.tuples(st.just("give up"), st.integers(0, 20)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("sleep"), st.sampled_from((0.5, 3.0, 20.0, 100.0))),
    st.tuples(st.just("jump"), st.sampled_from((-200, -10, 10, 200))),
    st.tuples(st.just("look")),
)


NAMESAKES = (
    # A late answer, before a user has a prompt of the same id: the error tells the outcome of the first.
    [
        ("ask", "a", "p", None, 0),
        ("sleep", 3.0),
        ("answer", "a", 1),
        ("look",),
        ("ask", "a", None, "anna", 0),
    ],
    # The same when the store fails, and the peers' answers meet prompts that nobody has asked yet.
    [
        ("fail",),
        ("look",),
        *[("answer", "a", 1)] * 5,
        ("ask", "a", "p", None, 0),
        ("answer", "a", 1),
        ("ask", "a", None, "anna", 0),
    ],
    # Two projects' prompts of one id, both answered: without the project it is unclear which is meant.
    [
        ("ask", "a", "p", None, 60),
        ("look",),
        ("answer", "a", 2),
        ("look",),
        ("ask", "a", "q", None, 60),
        ("look",),
        ("answer", "a", 1),
        ("answer", "a", 2, ("q",)),
        ("wait", "a", ("p",)),
        ("cancel", "a", ("p",)),
    ],
)


class Play:
    """The steps, done to an office."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.serving: list[tuple[Obedient, str]] = []

    async def do(self, what: str, *args: Any) -> None:
        getattr(self, "on_" + what.replace(" ", "_"))(*args)

    def on_ask(self, name: str, project: str | None, user: str | None, timeout: float) -> None:
        self.office.ask(name, project_id=project, user_id=user, timeout=timeout)

    def on_answer(self, name: str, count: int, within: tuple[str, ...] = ()) -> None:
        for value in range(count):
            self.office.answer(name, value=value, within=within)

    def on_cancel(self, name: str, within: tuple[str, ...] = ()) -> None:
        self.office.cancel(name, within)

    def on_wait(self, name: str, within: tuple[str, ...] = ()) -> None:
        self.office.wait(name, within)

    def on_delete(self, project: str) -> None:
        self.office.delete(project)

    def on_publish(self, project: str) -> None:
        self.office.publish(project)

    def on_serve(self, project: str) -> None:
        one = Obedient()
        self.serving.append((one, project))
        self.office.hub.orchestrators.serve(one, [project])

    def on_leave(self, index: int) -> None:
        if index < len(self.serving):
            one, project = self.serving.pop(index)
            self.office.hub.orchestrators.leave(one, [project])

    def on_command(self, project: str) -> None:
        self.office.command(project)

    def on_obey(self, index: int, which: int, status: str) -> None:
        if index < len(self.serving):
            one, _ = self.serving[index]
            if which < len(one.given):
                self.office.obey(one, one.given[-1 - which], status)

    def on_hold(self, what: str) -> None:
        getattr(self.office.store, what).hold()

    def on_release(self, what: str) -> None:
        getattr(self.office.store, what).release()

    def on_fail(self) -> None:
        self.office.store.failing = True

    def on_fail_reads(self) -> None:
        self.office.store.failing_reads = True

    def on_mend(self) -> None:
        self.office.store.failing = self.office.store.failing_reads = False

    def on_give_up(self, index: int) -> None:
        if index < len(self.office.calls):
            self.office.calls[-1 - index].scope.cancel()

    def on_jump(self, seconds: int) -> None:
        self.office.jump += seconds * 1_000_000


async def played(plan: list[tuple[Any, ...]], path: str | None) -> None:
    async with an_office(path, max_open_prompts=3, max_open_commands=3) as office:
        play = Play(office)
        for what, *args in plan:
            if what == "restart":
                play.serving.clear()
                await office.restart()
            elif what == "sleep":
                await trio.sleep(args[0])
            elif what == "look":
                await office.check(TOPICS)
            else:
                await play.do(what, *args)
        office.store.mend()
        await trio.sleep(3)
        await office.check(TOPICS)
        await everything_ends(office, play)


async def everything_ends(office: Office, play: Play) -> None:
    """At the latest when all deadlines have passed; and what is told then is told after a restart."""
    for one, project in play.serving:
        office.hub.orchestrators.leave(one, [project])
    office.jump += 1_000 * 1_000_000
    await trio.sleep(60)
    await office.check(TOPICS)
    stored = await office.stored()
    assert all(kept.settled is not None for kept in stored.values())
    assert not list(office.hub.registry)
    await office.restart()
    await office.check(TOPICS)
    assert await office.stored() == stored
    for key, kept in stored.items():
        pending = await office.hub.interactions.find(kept.kind, kept.name, partial(eq, kept.topics))
        assert (pending.key, pending.outcome) == (key, office.outcomes[key])
    await wait_all_tasks_blocked()
    assert all(call.over for call in office.calls)


@example(plan=NAMESAKES[0])
@example(plan=NAMESAKES[1])
@example(plan=NAMESAKES[2])
@given(st.lists(steps, min_size=10, max_size=50))
def test_one_end_of_everything_in_memory(plan: list[tuple[Any, ...]]) -> None:
    async def body() -> None:
        await played(plan, None)

    run(body)


@example(plan=NAMESAKES[0])
@example(plan=NAMESAKES[1])
@example(plan=NAMESAKES[2])
@given(st.lists(steps, min_size=10, max_size=50))
def test_one_end_of_everything_in_sqlite(plan: list[tuple[Any, ...]]) -> None:
    async def body() -> None:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            await played(plan, f"{folder}/store.db")

    run(body)
