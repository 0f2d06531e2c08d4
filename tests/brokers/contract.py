"""What every broker must do: one suite, run against each of them (`test_memory`, `test_sqlite`).

A subclass of `Contract` says how to make an open broker.
"""

from __future__ import annotations

import trio

from tasktree_rt.brokers.base import (
    Retention,
)
from tasktree_rt.core.log import BEGINNING, Position
from tests.brokers.contract_access import AccessKept
from tests.brokers.contract_base import E1, at
from tests.brokers.contract_damage import Damaged
from tests.brokers.contract_interactions import Matters
from tests.brokers.contract_keeping import Keeping
from tests.brokers.contract_publishing import Publishing
from tests.brokers.contract_search import Searching
from tests.brokers.history import Operation, Run
from tests.brokers.making import (
    NOW,
    checkpoint,
    entry,
    fill,
    seqs,
    seqs_back,
)


class Contract(Publishing, Keeping, Matters, Searching, Damaged, AccessKept):
    """The whole suite: reading, and all of the parts."""

    async def test_reading_goes_on_exactly_after_a_position(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            assert await seqs(broker, at(2)) == [3, 4, 5]
            assert await seqs(broker, at(5)) == []
            assert await seqs(broker, BEGINNING) == [1, 2, 3, 4, 5]

    async def test_what_cannot_be_read_is_a_gap_that_says_why(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            assert await seqs(broker, at(6)) == "ahead"
            assert await seqs(broker, Position("other", 1)) == "epoch"
            assert await seqs(broker, Position("other", 0)) == "epoch"
            await checkpoint(broker, 3)
            await broker.trim(Retention(2, 1e9), NOW)
            assert await seqs(broker, at(2)) == "trimmed"
            assert await seqs(broker, BEGINNING) == "trimmed"
            assert await seqs(broker, at(3)) == [4, 5]

    async def test_a_project_without_a_log_has_only_a_beginning(self) -> None:
        async with self.broker() as broker:
            assert await seqs(broker, BEGINNING) == []
            assert await seqs(broker, E1) == "epoch"

    async def test_a_limit_gives_the_oldest(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            assert await seqs(broker, at(1), limit=2) == [2, 3]

    async def test_bytes_are_bounded_but_one_event_always_comes(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", "x" * 100, "y" * 100, "z" * 100)])
            assert await seqs(broker, E1, max_bytes=250) == [1, 2]
            assert await seqs(broker, E1, max_bytes=10) == [1]

    async def test_a_filter_looks_at_type_and_node(self) -> None:
        async with self.broker() as broker:
            for kind, node in (("log", "n1"), ("log", None), ("node_update", "n1"), ("log", "n1")):
                await broker.append([entry("p", kind=kind, node=node)])
            assert await seqs(broker, E1, type="log") == [1, 2, 4]
            assert await seqs(broker, E1, node_id="n1") == [1, 3, 4]
            assert await seqs(broker, at(1), type="log", node_id="n1", limit=1) == [4]
            assert await seqs(broker, E1, type="other") == []

    async def test_a_filter_finds_one_event_behind_very_many(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 45_000)
            await broker.append([entry("p", kind="rare", node="n"), entry("p"), entry("p", kind="rare")])
            assert await seqs(broker, E1, type="rare") == [45_001, 45_003]
            assert await seqs(broker, E1, type="rare", limit=1) == [45_001]
            assert await seqs(broker, E1, node_id="n", max_bytes=0) == [45_001]

    async def test_reading_back_gives_the_newest_before_a_position_the_oldest_first(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            assert await seqs_back(broker, at(5), limit=2) == [4, 5]
            assert await seqs_back(broker, at(3)) == [1, 2, 3]
            assert await seqs_back(broker, E1) == []

    async def test_reading_back_ends_quietly_where_the_log_was_trimmed(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            await checkpoint(broker, 3)
            await broker.trim(Retention(2, 1e9), NOW)
            assert await seqs_back(broker, at(5)) == [4, 5]
            assert await seqs_back(broker, at(3)) == await seqs_back(broker, at(2)) == []

    async def test_what_cannot_be_read_back_is_a_gap_that_says_why(self) -> None:
        async with self.broker() as broker:
            assert await seqs_back(broker, at(1)) == "epoch"
            await fill(broker, 5)
            assert await seqs_back(broker, at(6)) == "ahead"
            assert await seqs_back(broker, Position("other", 1)) == "epoch"
            assert await seqs_back(broker, BEGINNING) == "epoch"

    async def test_reading_back_bounds_bytes_but_one_event_always_comes(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", "x" * 100, "y" * 100, "z" * 100)])
            assert await seqs_back(broker, at(3), max_bytes=250) == [2, 3]
            assert await seqs_back(broker, at(3), max_bytes=10) == [3]

    async def test_reading_back_filters_and_looks_past_very_many(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", kind="rare", node="n"), entry("p"), entry("p", kind="rare")])
            await fill(broker, 45_000)
            head = at(45_003)
            assert await seqs_back(broker, head, type="rare") == [1, 3]
            assert await seqs_back(broker, head, type="rare", limit=1) == [3]
            assert await seqs_back(broker, head, type="rare", max_bytes=0) == [3]
            assert await seqs_back(broker, head, node_id="n", type="rare") == [1]
            assert await seqs_back(broker, head, type="other") == []

    def live_through(self, operations: list[Operation]) -> None:
        """Any history is as if everything were kept for ever and looked through anew for each answer.

        Each suite gives it to hypothesis itself: one test must not run under two classes.
        """

        async def run() -> None:
            async with self.broker() as broker:
                history = Run(broker)
                for operation in operations:
                    await history.do(operation)
                await history.compare()

        trio.run(run)
