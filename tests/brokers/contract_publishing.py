"""The contract of `append`: positions, and publishes that come twice."""

from __future__ import annotations

import pytest
import trio

from tasktree_rt.brokers.base import (
    Appended,
    Conflict,
    Duplicate,
    Key,
    Life,
)
from tasktree_rt.core.events import Record
from tests.brokers.contract_base import KEEP_ALL, Suite
from tests.brokers.making import (
    DAY,
    HOUR,
    NOW,
    append_one,
    entry,
    events,
    numbered,
)


class Publishing(Suite):
    """Appending, and idempotency."""

    async def test_a_project_without_events_has_no_life(self) -> None:
        async with self.broker() as broker:
            assert await broker.load("p") == Life("", 0, 0, 0, None, (), None)
            assert await broker.projects() == []
            assert await broker.count_projects() == 0

    async def test_events_are_numbered_from_one_in_each_project(self) -> None:
        async with self.broker() as broker:
            outcomes = await broker.append(
                [entry("p", "1", "2"), entry("q", "3", epoch="e2"), entry("p", "4", epoch="unused")]
            )
            assert outcomes == [Appended("e1", 1, NOW), Appended("e2", 1, NOW), Appended("e1", 3, NOW)]
            assert [record.body for record in await events(broker)] == [b"1", b"2", b"4"]
            assert [record.seq for record in await events(broker, "q")] == [1]

    async def test_every_field_of_an_event_comes_back(self) -> None:
        body = '{"type":"node_update","data":"\\u0000 ä"}'
        async with self.broker() as broker:
            await broker.append([entry("p", body, kind="node_update", node="nöde")])
            expected = Record(1, "node_update", "nöde", NOW, body.encode())
            assert await events(broker) == (expected,)
            assert (await broker.load("p")).tail == (expected,)

    async def test_the_time_of_receipt_never_decreases_in_a_project(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", at=NOW), entry("p", at=NOW - 5), entry("q", at=NOW - 5)])
            outcome = await append_one(broker, entry("p", at=NOW - 1))
            assert outcome == Appended("e1", 3, NOW)
            assert [record.received for record in await events(broker)] == [NOW] * 3
            assert (await broker.load("q")).received == NOW - 5

    async def test_an_empty_batch_is_nothing(self) -> None:
        async with self.broker() as broker:
            assert await broker.append([]) == []

    async def test_an_entry_without_events_is_a_mistake_of_the_caller_and_nothing_is_kept(self) -> None:
        async with self.broker() as broker:
            with pytest.raises(ValueError, match="at least one draft"):
                await broker.append([entry("q"), entry("p").__class__("p", (), NOW, "e1")])
            assert await broker.count_projects() == 0

    async def test_a_cancelled_append_that_has_not_begun_keeps_nothing(self) -> None:
        async with self.broker() as broker:
            with trio.CancelScope() as scope:
                scope.cancel()
                await broker.append([entry("p")])
            assert scope.cancelled_caught
            assert (await broker.load("p")).head == 0

    async def test_appends_at_once_are_all_kept_without_a_hole(self) -> None:
        async with self.broker() as broker:
            firsts: list[int] = []

            async def append() -> None:
                outcome = await append_one(broker, entry("p", "1", "2"))
                assert isinstance(outcome, Appended)
                firsts.append(outcome.first)

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(append)
            assert sorted(firsts) == list(range(1, 21, 2))
            assert [record.seq for record in await events(broker)] == list(range(1, 21))

    # --- idempotency ----------------------------------------------------------------------------------

    async def test_the_same_publish_again_gets_the_first_answer_and_stores_nothing(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p"), entry("p", "1", "2", key="k")])
            again = await broker.append([entry("p", "1", "2", key="k"), entry("p", "3", key="l")])
            assert again == [Duplicate("p", "e1", 2, 2), Appended("e1", 4, NOW)]

    async def test_the_second_of_two_in_one_batch_is_the_duplicate(self) -> None:
        async with self.broker() as broker:
            outcomes = await broker.append([entry("p", key="k"), entry("p", key="k"), entry("p", key="l")])
            assert outcomes == [Appended("e1", 1, NOW), Duplicate("p", "e1", 1, 1), Appended("e1", 2, NOW)]

    async def test_the_same_key_with_another_digest_is_a_conflict_that_concerns_nobody_else(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", key="k")])
            other = entry("p", key="k", digest=b"other")
            outcomes = await broker.append(
                [entry("p", "a"), other, entry("q", key="k", digest=b"x"), entry("p", "b")]
            )
            assert outcomes == [Appended("e1", 2, NOW), Conflict(), Conflict(), Appended("e1", 3, NOW)]

    async def test_keys_differ_in_subject_producer_and_kind_of_id(self) -> None:
        keys = [Key(s, p, i) for s in ("s", "t") for p in ("p", "q") for i in ("1", '"1"')]
        async with self.broker() as broker:
            batch = [entry("p").__class__("p", entry("p").drafts, NOW, "e1", key=key) for key in keys]
            outcomes = await broker.append(batch)
            assert all(isinstance(outcome, Appended) for outcome in outcomes)
            assert await broker.append(batch) == [Duplicate("p", "e1", n, 1) for n in range(1, 9)]

    async def test_recorded_tells_what_a_publish_would_get(self) -> None:
        key = Key("subject", "producer", "k")
        async with self.broker() as broker:
            assert await broker.recorded(key, b"digest") is None
            await broker.append([entry("p", "1", "2", key="k")])
            assert await broker.recorded(key, b"digest") == Duplicate("p", "e1", 1, 2)
            assert await broker.recorded(key, b"other") == Conflict()

    async def test_the_ids_of_a_producer_come_oldest_first(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", key="b"), entry("q", key="a")])
            await broker.append([entry("p", key="c"), entry("p", key="d", producer="other")])
            assert await broker.producer_ids("subject", "producer") == ["b", "a", "c"]
            assert await broker.producer_ids("subject", "nobody") == []

    async def test_a_publish_is_known_when_its_project_has_ended(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", key="1"), entry("p", key="2", ends=True)])
            await broker.append([entry("p", key="3", epoch="e2")])
            await broker.trim(KEEP_ALL, NOW)
            again = await broker.append([entry("p", key=key, epoch="e3") for key in "123"])
            assert again == [
                Duplicate("p", "e1", 1, 1),
                Duplicate("p", "e1", 2, 1),
                Duplicate("p", "e2", 1, 1),
            ]

    async def test_a_publish_is_known_for_a_day(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", key="old", at=NOW)])
            await broker.append([entry("p", key="new", at=NOW + HOUR)])
            await broker.trim(KEEP_ALL, NOW + DAY)
            assert await broker.producer_ids("subject", "producer") == ["old", "new"]
            await broker.trim(KEEP_ALL, NOW + DAY + 1)
            assert await broker.producer_ids("subject", "producer") == ["new"]
            await broker.trim(KEEP_ALL, NOW + 2 * DAY)
            assert await broker.producer_ids("subject", "producer") == []
            outcome = await append_one(broker, entry("p", key="old", at=NOW + 2 * DAY))
            assert outcome == Appended("e1", 3, NOW + 2 * DAY)

    async def test_a_publish_is_known_among_the_newest_ten_thousand_of_its_producer(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", key="other", producer="other")])
            await broker.append([entry("p", key=str(n)) for n in range(12_003)])
            await broker.trim(KEEP_ALL, NOW)
            assert await broker.producer_ids("subject", "producer") == [str(n) for n in range(2_003, 12_003)]
            assert await broker.producer_ids("subject", "other") == ["other"]

    async def test_bodies_come_back_in_order_over_many_batches(self) -> None:
        bodies = numbered(300)
        async with self.broker() as broker:
            for first in range(0, 300, 30):
                await broker.append([entry("p", body) for body in bodies[first : first + 30]])
            assert [record.body.decode() for record in await events(broker)] == bodies
