"""Two hubs with one store open: what each is told of the other's appends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from os import getpid
from pathlib import Path

import trio
from attrs import evolve

from tasktree_rt.brokers.base import (
    Append,
    Appended,
    Draft,
    Duplicate,
    Following,
    Foreign,
    Interaction,
    Moved,
    Settled,
)
from tasktree_rt.brokers.redis.store import RedisBroker
from tasktree_rt.core.log import Position
from tests.brokers.making import NOW, append_one, entry
from tests.brokers.redis.redisserver import NEEDED, Waiter

pytestmark = NEEDED
_numbers = count()
NOTHING = Position("", 0)


@asynccontextmanager
async def two(path: Path) -> AsyncIterator[tuple[RedisBroker, RedisBroker]]:
    prefix = f"s{getpid()}-{next(_numbers)}"
    one, other = (RedisBroker(f"unix://{path}", prefix=prefix) for _ in range(2))
    await one.open()
    await other.open()
    try:
        yield one, other
    finally:
        await one.aclose()
        await other.aclose()


def seen(made: Append, at: Position, *, conditional: bool = False, once: bool = False) -> Append:
    return evolve(made, seen=at, conditional=conditional, once=once)


def seqs(found: Foreign | None) -> list[int]:
    return [] if found is None else [one.seq for one in found.records]


async def test_an_append_is_told_what_the_other_hub_appended_since(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        await append_one(one, seen(entry("p"), NOTHING))
        await append_one(other, seen(entry("p", "a", "b"), Position("e1", 1)))
        outcome = await append_one(one, seen(entry("p"), Position("e1", 1)))
        assert isinstance(outcome, Appended)
        assert (outcome.first, seqs(outcome.missed)) == (4, [2, 3])
        outcome = await append_one(one, seen(entry("p"), Position("e1", 4)))
        assert outcome == Appended("e1", 5, NOW)


async def test_own_appends_under_way_are_not_missed(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, _):
        for first in (1, 2, 3):
            assert await append_one(one, seen(entry("p"), NOTHING, conditional=True)) == Appended(
                "e1", first, NOW
            )


async def test_what_is_missed_is_told_once_in_a_batch(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        await append_one(other, entry("p"))
        outcomes = await one.append(
            [seen(entry("p"), NOTHING), seen(entry("q"), NOTHING), seen(entry("p"), NOTHING)]
        )
        assert [seqs(each.missed) for each in outcomes if isinstance(each, Appended)] == [[1], [], []]


async def test_much_that_is_missed_is_read_from_the_log(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        for _ in range(10):
            await append_one(other, entry("p", *["x" * 20_000] * 2))
        outcome = await append_one(one, seen(entry("p"), NOTHING))
        assert isinstance(outcome, Appended)
        assert seqs(outcome.missed) == list(range(1, 21))


async def test_a_conditional_append_is_refused_if_the_other_hub_was_first(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        await append_one(one, entry("p"))
        await append_one(other, entry("p"))
        at = Position("e1", 1)
        first, behind, elsewhere = await one.append(
            [
                seen(entry("p"), at, conditional=True),
                seen(entry("p"), at, conditional=True),
                seen(entry("q", epoch="e2"), NOTHING, conditional=True),
            ]
        )
        assert isinstance(first, Moved)
        assert seqs(first.missed) == [2]
        assert isinstance(behind, Moved)
        assert elsewhere == Appended("e2", 1, NOW)
        again = await append_one(one, seen(entry("p"), Position("e1", 2), conditional=True))
        assert again == Appended("e1", 3, NOW)


async def test_a_known_id_comes_before_a_condition(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        await append_one(one, entry("p", key="k"))
        await append_one(other, entry("p"))
        again = await append_one(one, seen(entry("p", key="k"), NOTHING, conditional=True))
        assert again == Duplicate("p", "e1", 1, 1)


async def test_a_life_that_the_other_hub_ended_refuses_a_condition_and_takes_the_rest(
    redis_socket: Path,
) -> None:
    async with two(redis_socket) as (one, other):
        await append_one(one, entry("p"))
        await append_one(other, entry("p", ends=True, kind="project_deleted"))
        at = Position("e1", 1)
        assert await append_one(one, seen(entry("p", epoch="e2"), at, conditional=True)) == Moved(None, {})
        assert await append_one(one, seen(entry("p", epoch="e2"), at)) == Appended("e2", 1, NOW)


async def test_a_prompt_is_settled_once(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        prompt = Interaction("i", "prompt", ("p",), NOW, NOW, b"", b"{}")
        opening = seen(evolve(entry("p"), opens=[prompt]), NOTHING, once=True)
        await append_one(one, opening)
        assert isinstance(await append_one(other, opening), Moved)
        settles = [
            seen(evolve(entry("p"), settles=[Settled("i", text)]), NOTHING, once=True)
            for text in (b"1", b"2")
        ]
        assert isinstance(await append_one(other, settles[0]), Appended)
        late = await append_one(one, settles[1])
        assert isinstance(late, Moved)
        assert late.settled == {"i": b"1"}


async def test_what_is_joined_to_a_refused_append_is_refused(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        await append_one(other, entry("p"))
        home = seen(entry("p"), NOTHING, conditional=True)
        mirror = evolve(entry("@u", epoch="e2"), seen=NOTHING, joined=True)
        refused, joined = await one.append([home, mirror])
        assert isinstance(refused, Moved)
        assert isinstance(joined, Moved)
        assert (await one.load("@u")).epoch == ""


class Ears(Waiter):
    """Writes down what a hub hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def note(self, what: str) -> None:
        self.heard.append(what)
        self.change()

    def records(self, found: Foreign) -> None:
        for one in found.records:
            self.note(f"{found.topic} {found.epoch}:{one.seq} {found.owner}")

    def behind(self, topic: str) -> None:
        self.note(f"behind {topic}")

    def interaction(self, interaction_id: str) -> None:
        self.note(f"interaction {interaction_id}")

    def up(self) -> None:
        self.note("up")

    def down(self, reason: str) -> None:
        self.note("down")

    async def room(self) -> None:
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def listening(following: Following | None, topics: Sequence[str]) -> AsyncIterator[Ears]:
    assert following is not None
    ears = Ears()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(following.run, ears)
        await ears.until(lambda: "up" in ears.heard)
        for topic in topics:
            await following.follow(topic)
        yield ears
        nursery.cancel_scope.cancel()


async def test_a_hub_hears_what_the_other_appends_to_followed_logs_only(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other), listening(one.following, ["p", "q:h}"]) as ears:
        await append_one(one, entry("p"))
        await append_one(other, entry("unknown"))
        await append_one(other, entry("p", "a", "b", owner="ada lovelace"))
        await append_one(other, entry("q:h}", "x" * 70_000, epoch="e2"))
        await append_one(other, evolve(entry("p"), settles=[Settled("some id", b"")]))
        await ears.until(lambda: "interaction some id" in ears.heard)
        mine = [each for each in ears.heard if each not in ("up", "down")]
        assert mine == ["p e1:2 ", "p e1:3 ", "behind q:h}", "p e1:4 ", "interaction some id"]


async def test_a_hub_hears_no_more_of_a_log_that_it_left(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other), listening(one.following, ["p", "q"]) as ears:
        assert one.following is not None
        one.following.leave("p")
        await append_one(other, entry("p"))
        await append_one(other, entry("q", epoch="e2", owner="ada"))
        await ears.until(lambda: "q e2:1 ada" in ears.heard)
        assert not any(each.startswith("p ") for each in ears.heard)


async def test_positions_are_those_of_the_store(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        await append_one(one, Append("p", (Draft("log", None, b"{}"),) * 3, NOW, "e1"))
        assert other.following is not None
        found = await other.following.positions(["p", "none"])
        assert found == {"p": Position("e1", 3), "none": NOTHING}


async def test_the_commands_of_a_hub_that_ended_are_taken_by_one_other(redis_socket: Path) -> None:
    async with two(redis_socket) as (one, other):
        assert one.following is not None
        assert other.following is not None
        prefix = other._engine.prefix
        third = RedisBroker(f"unix://{redis_socket}", prefix=prefix)
        await third.open()
        command = Interaction("c", "command", ("p",), NOW, NOW, b"", b"{}")
        await append_one(third, evolve(entry("p"), opens=[command]))
        assert await one.following.take_commands() == []
        await third.aclose()
        assert await one.following.take_commands() == ["c"]
        assert await other.following.take_commands() == []
        await append_one(other, evolve(entry("p"), settles=[Settled("c", b"")]))
        assert await one.following.take_commands() == []
