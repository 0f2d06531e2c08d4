"""Turns by cost: order within a flow, fairness between flows, nothing lost, nothing kept."""

from __future__ import annotations

from collections import Counter, deque

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tasktree_rt.hub.fair_turns import KEPT, MESSAGE, TURN, FairQueue, FairTurns

flows = st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3)
moves: st.SearchStrategy[tuple[str, int, set[str]]] = st.one_of(
    st.tuples(st.just("push"), st.integers(1, 50), flows),
    st.tuples(st.just("push"), st.integers(1, 50), flows),
    st.tuples(st.just("pop"), st.just(0), st.just(set())),
    st.tuples(st.just("oldest"), st.just(0), st.just(set())),
)


class Model:
    """What waits, in the order in which it came."""

    def __init__(self) -> None:
        self.queue: FairQueue[int] = FairQueue()
        self.waiting: dict[int, set[str]] = {}
        self.count = 0

    def push(self, cost: int, flows: set[str]) -> int:
        self.count += 1
        self.waiting[self.count] = set(flows)
        self.queue.push(self.count, cost, flows)
        return self.count

    def take(self, *, oldest: bool) -> int:
        found = self.queue.pop_oldest() if oldest else self.queue.pop()
        assert not oldest or found == min(self.waiting)
        mine = self.waiting.pop(found)
        assert not [one for one, theirs in self.waiting.items() if one < found and theirs & mine]
        assert len(self.queue) == len(self.waiting)
        return found


@given(st.lists(moves, max_size=80))
def test_the_order_within_each_flow_is_kept_and_nothing_is_lost_or_doubled(
    plan: list[tuple[str, int, set[str]]],
) -> None:
    model = Model()
    for what, cost, named in plan:
        if what == "push":
            model.push(cost, named)
        elif model.waiting:
            model.take(oldest=what == "oldest")
    while model.waiting:
        model.take(oldest=False)
    assert not model.queue
    assert model.queue.known == 0


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 100)), min_size=1, max_size=60),
    st.integers(0, 30),
    st.integers(1, 20),
)
def test_before_a_newcomer_goes_one_of_each_flow_and_no_more_than_the_newcomer_costs(
    flood: list[tuple[int, int]], taken: int, cost: int
) -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for flow, size in flood:
        queue.push((flow, size), size, [flow])
    for _ in range(min(taken, len(flood) - 1)):
        queue.pop()
    queue.push((0, cost), cost, ["new"])
    before: dict[int, list[int]] = {}
    while (found := queue.pop()) != (0, cost):
        before.setdefault(found[0], []).append(found[1])
    assert all(sum(sizes[1:]) <= cost for sizes in before.values())


def test_two_flows_that_always_have_something_get_the_same_by_cost() -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    sizes = {"large": 100, "small": 1}
    for flow, size in sizes.items():
        for _ in range(3):
            queue.push((flow, size), size, [flow])
    had: Counter[str] = Counter()
    for _ in range(2_000):
        flow, size = queue.pop()
        had[flow] += size
        queue.push((flow, size), size, [flow])
    assert abs(had["large"] - had["small"]) <= 300


def test_new_flows_without_end_keep_nothing_waiting_for_ever() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(3):
        queue.push(-number, 100, ["old"])
    queue.pop()
    for number in range(1, 10):
        queue.push(number, 1, [number])
        queue.push(number, 1, [-number])
        queue.pop()
        if queue.pop_oldest() == -2:
            break
    assert number == 2


def test_what_is_kept_of_what_was_taken_is_bounded() -> None:
    queue: FairQueue[int] = FairQueue()
    queue.push(0, 10**9, ["stays"])
    queue.push(0, 10**9, ["stays"])
    queue.pop()
    for number in range(20_000):
        queue.push(number, 1, [number])
        assert queue.pop() == number
    assert queue.known < 4 * KEPT


async def test_large_messages_are_read_one_in_a_turn_of_the_loop_however_many_send_them(
    autojump_clock: MockClock,
) -> None:
    turns = FairTurns()
    reads: deque[int] = deque()
    size, loop = 10 * TURN, 0

    async def flood(who: int) -> None:
        while True:
            await turns.take(who, size)
            reads.append(loop)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        for who in range(8):
            nursery.start_soon(flood, who)
        for _ in range(500):
            await trio.lowlevel.checkpoint()
            loop += 1
        nursery.cancel_scope.cancel()
    apart = [later - earlier for earlier, later in zip(reads, list(reads)[1:], strict=False)]
    assert len(apart) > 20
    assert min(apart) >= size // TURN - 1, "what was read too much is waited for"


async def test_a_small_message_does_not_wait_for_the_large_ones_of_others(autojump_clock: MockClock) -> None:
    turns = FairTurns()
    reads = 0
    waits: list[int] = []

    async def flood(who: int) -> None:
        nonlocal reads
        while True:
            await turns.take(who, 10 * TURN)
            reads += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        for who in range(8):
            nursery.start_soon(flood, who)
        for _ in range(30):
            for _ in range(7):
                await trio.lowlevel.checkpoint()
            before = reads
            await turns.take("quiet", 100)
            waits.append(reads - before)
        nursery.cancel_scope.cancel()
    assert max(waits) <= 2, "one that had its turn already, and one in the same turn"


async def test_alone_a_producer_is_read_without_waiting(autojump_clock: MockClock) -> None:
    turns = FairTurns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        count = TURN // (100 + MESSAGE)
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(count):
            coroutine = turns.take("x", 100)
            try:
                coroutine.send(None)
            except StopIteration:
                continue
            raise AssertionError("it waited")
        assert trio.lowlevel.current_statistics().tasks_living == before
        nursery.cancel_scope.cancel()
