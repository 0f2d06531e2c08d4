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
    interaction = Interaction(name, kind, topics or ("p",), 0, deadline, b"", b"{}")
    return OpenInteraction(interaction, {}, deadline)


def test_home_is_the_first_topic_and_all_topics_count() -> None:
    registry = InteractionRegistry(Quotas(Limits()))
    one, two, three = waiting("1", "p", "@a"), waiting("2", "p", kind=COMMAND), waiting("3", "@a")
    for pending in (one, two, three):
        registry.add(pending)
    assert registry.of("p") == [one, two]
    assert registry.of("p", PROMPT) == [one]
    assert registry.of("@a") == [three]
    assert (registry.count("@a", PROMPT), registry.count("p", PROMPT), registry.count("p", COMMAND)) == (
        2,
        1,
        1,
    )
    for pending in (one, two, three):
        registry.remove(pending)
        registry.remove(pending)
    assert not len(registry)
    assert not registry._by_topic


def test_each_deadline_is_told_once_and_only_the_newest() -> None:
    registry = InteractionRegistry(Quotas(Limits()))
    one, two = waiting("1", deadline=10), waiting("2", deadline=20)
    registry.add(one)
    registry.add(two)
    registry.expect(one, 30)
    assert registry.due(9) == []
    assert registry.due(25) == [two]
    assert registry.due(25) == []
    registry.expect(one, None)
    assert registry.due(1_000) == []
    registry.expect(two, 5)
    assert registry.next_deadline == 5
    registry.remove(two)
    assert registry.due(1_000) == []


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
    registry = InteractionRegistry(Quotas(Limits()))
    all_of_them = [waiting(str(n)) for n in range(5)]
    expected: dict[int, int] = {}
    for n, one in enumerate(all_of_them):
        registry.add(one)
        expected[n] = 100
    here = set(range(5))
    for what, *args in plan * 3:
        if what == "expect" and args[0] in here:
            registry.expect(all_of_them[args[0]], args[1])
            expected.pop(args[0], None)
            if args[1] is not None:
                expected[args[0]] = args[1]
        elif what == "remove":
            registry.remove(all_of_them[args[0]])
            here.discard(args[0])
            expected.pop(args[0], None)
        elif what == "due":
            due = {n for n, at in expected.items() if at <= args[0]}
            told = {int(one.id) for one in registry.due(args[0])}
            assert due <= told  # one that is due may be told again after a tidying
            assert all(at is not None and at <= args[0] for at in (all_of_them[n].deadline for n in told))
            for n in due:
                expected.pop(n)
        assert len(registry._deadlines) <= 2 * len(here) + 65


def test_a_nearer_deadline_wakes() -> None:
    registry = InteractionRegistry(Quotas(Limits()))
    registry.add(waiting("1"))
    assert registry.woken.is_set()


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
    registry, one = InteractionRegistry(Quotas(Limits())), waiting("1")
    registry.add(one)
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            with pytest.raises(Refused) as caught:
                await one.end()
            assert caught.value.code == "not_found"

        nursery.start_soon(end)
        await wait_all_tasks_blocked()
        registry.remove(one)
    assert not await one.is_kept()


async def test_only_one_at_a_time_looks_whether_there_is_one(autojump_clock: MockClock) -> None:
    registry, inside = InteractionRegistry(Quotas(Limits())), []

    async def look(name: str) -> None:
        async with registry.alone("m"):
            inside.append(name)
            await trio.sleep(1)
            assert inside[-1] == name

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(look, name)
        await wait_all_tasks_blocked()
        async with registry.alone("other"):
            assert len(inside) == 1
    assert sorted(inside) == ["a", "b", "c"]
    assert not registry._alone


async def test_who_is_cancelled_while_looking_lets_the_next_one_look(autojump_clock: MockClock) -> None:
    registry = InteractionRegistry(Quotas(Limits()))
    with trio.move_on_after(1):
        async with registry.alone("m"):
            await trio.sleep_forever()
    with trio.fail_after(1):
        async with registry.alone("m"):
            pass
