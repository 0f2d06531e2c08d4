"""The registry of what waits: by id, by topic, by deadline; and that it keeps nothing."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Interaction
from tasktree_rt.errors import Refused
from tasktree_rt.hub.interactions.registry import COMMAND, PROMPT, InteractionRegistry, OpenInteraction
from tasktree_rt.hub.projects.quotas import Quotas
from tasktree_rt.settings import Limits


def waiting(name: str, *topics: str, kind: str = PROMPT, deadline: int = 100) -> OpenInteraction:
    matter = Interaction(name, kind, topics or ("p",), 0, deadline, b"", b"{}")
    return OpenInteraction(matter, {}, deadline)


def test_home_is_the_first_topic_and_all_topics_count() -> None:
    matters = InteractionRegistry(Quotas(Limits()))
    one, two, three = waiting("1", "p", "@a"), waiting("2", "p", kind=COMMAND), waiting("3", "@a")
    for pending in (one, two, three):
        matters.add(pending)
    assert matters.of("p") == [one, two]
    assert matters.of("p", PROMPT) == [one]
    assert matters.of("@a") == [three]
    assert (matters.count("@a", PROMPT), matters.count("p", PROMPT), matters.count("p", COMMAND)) == (2, 1, 1)
    for pending in (one, two, three):
        matters.remove(pending)
        matters.remove(pending)
    assert not len(matters)
    assert not matters._by_topic


def test_each_deadline_is_told_once_and_only_the_newest() -> None:
    matters = InteractionRegistry(Quotas(Limits()))
    one, two = waiting("1", deadline=10), waiting("2", deadline=20)
    matters.add(one)
    matters.add(two)
    matters.expect(one, 30)
    assert matters.due(9) == []
    assert matters.due(25) == [two]
    assert matters.due(25) == []
    matters.expect(one, None)
    assert matters.due(1_000) == []
    matters.expect(two, 5)
    assert matters.next_deadline == 5
    matters.remove(two)
    assert matters.due(1_000) == []


expectations = st.lists(
    st.one_of(
        st.tuples(st.just("expect"), st.integers(0, 4), st.none() | st.integers(0, 50)),
        st.tuples(st.just("remove"), st.integers(0, 4)),
        st.tuples(st.just("due"), st.integers(0, 50)),
    ),
    max_size=300,
)


@given(expectations)
def test_deadlines_are_as_the_naive_ones_and_their_heap_stays_small(plan: list[tuple[Any, ...]]) -> None:
    matters = InteractionRegistry(Quotas(Limits()))
    all_of_them = [waiting(str(n)) for n in range(5)]
    expected: dict[int, int] = {}
    for n, one in enumerate(all_of_them):
        matters.add(one)
        expected[n] = 100
    here = set(range(5))
    for what, *args in plan * 3:
        if what == "expect" and args[0] in here:
            matters.expect(all_of_them[args[0]], args[1])
            expected.pop(args[0], None)
            if args[1] is not None:
                expected[args[0]] = args[1]
        elif what == "remove":
            matters.remove(all_of_them[args[0]])
            here.discard(args[0])
            expected.pop(args[0], None)
        elif what == "due":
            due = {n for n, at in expected.items() if at <= args[0]}
            told = {int(one.id) for one in matters.due(args[0])}
            assert due <= told  # one that is due may be told again after a tidying
            assert all(at is not None and at <= args[0] for at in (all_of_them[n].deadline for n in told))
            for n in due:
                expected.pop(n)
        assert len(matters._deadlines) <= 2 * len(here) + 65


def test_a_nearer_deadline_wakes() -> None:
    matters = InteractionRegistry(Quotas(Limits()))
    matters.add(waiting("1"))
    assert matters.woken.is_set()


async def test_who_waits_for_the_end_is_told_of_it(autojump_clock: MockClock) -> None:
    one, ends = waiting("1"), []
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            ends.append(await one.end())

        nursery.start_soon(end)
        nursery.start_soon(end)
        for _ in range(3):
            await wait_all_tasks_blocked()
            one.changed()
        assert ends == []
        one.outcome = {"how": "answered"}
        one.changed()
    assert ends == [{"how": "answered"}] * 2
    assert one._changed is None


async def test_what_was_never_kept_has_no_end_and_nobody_waits_for_it(autojump_clock: MockClock) -> None:
    matters, one = InteractionRegistry(Quotas(Limits())), waiting("1")
    matters.add(one)
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            with pytest.raises(Refused) as caught:
                await one.end()
            assert caught.value.code == "not_found"

        nursery.start_soon(end)
        await wait_all_tasks_blocked()
        matters.remove(one)
    assert not await one.is_kept()


async def test_only_one_at_a_time_looks_whether_there_is_one(autojump_clock: MockClock) -> None:
    matters, inside = InteractionRegistry(Quotas(Limits())), []

    async def look(name: str) -> None:
        async with matters.alone("m"):
            inside.append(name)
            await trio.sleep(1)
            assert inside[-1] == name

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(look, name)
        await wait_all_tasks_blocked()
        async with matters.alone("other"):
            assert len(inside) == 1
    assert sorted(inside) == ["a", "b", "c"]
    assert not matters._alone


async def test_who_is_cancelled_while_looking_lets_the_next_one_look(autojump_clock: MockClock) -> None:
    matters = InteractionRegistry(Quotas(Limits()))
    with trio.move_on_after(1):
        async with matters.alone("m"):
            await trio.sleep_forever()
    with trio.fail_after(1):
        async with matters.alone("m"):
            pass
