"""The contract of what is left of a damaged log, and how it goes on.

Nothing is damaged here: each broker has tests of its own for that.
"""

from __future__ import annotations

from tasktree_rt.brokers.base import (
    Appended,
    Checkpoint,
    Duplicate,
    Life,
    Outline,
    Retention,
    Salvaged,
    Summary,
)
from tasktree_rt.core.log import Position
from tests.brokers.contract_base import E1, KEEP_ALL, Suite, at
from tests.brokers.making import NOW, append_one, checkpoint, entry, events, fill, seqs


class Damaged(Suite):
    """An outline, what can be salvaged, and a life that goes on under another epoch."""

    async def test_an_outline_says_all_but_what_is_in_the_log(self) -> None:
        async with self.broker() as broker:
            nothing = Life("", 0, 0, 0, None, (), None)
            assert await broker.outline("p") == Outline(nothing, None, 0)
            await broker.append([entry("p", "1", "2", state="running", nodes=2, about=b"{}", at=NOW + 5)])
            await checkpoint(broker, 1)
            life = Life("e1", 2, 0, NOW + 5, None, (), None)
            summary = Summary("p", "e1", 2, "running", 2, NOW + 5, b"{}")
            assert await broker.outline("p") == Outline(life, summary, 2)

    async def test_an_outline_of_a_project_that_is_gone_knows_how_it_ended(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", ends=True)])
            found = await broker.outline("p")
            assert (found.life, found.summary) == (await broker.load("p"), None)

    async def test_checkpoints_are_listed_from_the_newest(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 9)
            for seq in (3, 9, 6, 6):
                await checkpoint(broker, seq)
            assert await broker.checkpoints("p") == [9, 6, 3]
            assert await broker.checkpoints("q") == []

    async def test_what_can_be_read_is_salvaged_piece_by_piece(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 7)
            whole = await events(broker)
            found = await broker.salvage("p", 0, limit=3)
            assert found == Salvaged(whole[:3], 3)
            assert await broker.salvage("p", found.reached, limit=3) == Salvaged(whole[3:6], 6)
            assert await broker.salvage("p", 6, limit=3) == Salvaged(whole[6:], 7)
            assert await broker.salvage("p", 7, limit=3) == Salvaged((), 7)
            assert await broker.salvage("q", 0, limit=3) == Salvaged((), 0)

    async def test_what_was_trimmed_is_not_salvaged(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 9)
            await checkpoint(broker, 6)
            await broker.trim(Retention(3, 1e9), NOW)
            found = await broker.salvage("p", 0, limit=100)
            assert ([one.seq for one in found.records], found.reached) == ([7, 8, 9], 9)

    async def test_a_life_goes_on_from_a_checkpoint_under_another_epoch(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 9)
            for seq in (3, 6, 8):
                await checkpoint(broker, seq)
            tail = (await events(broker))[6:]
            assert await broker.recover("p", at(6), "e2")
            kept = Checkpoint("e2", 6, (b"state at 6",))
            assert await broker.load("p") == Life("e2", 9, 6, NOW, kept, tail, None)
            assert await broker.checkpoints("p") == [6]
            assert await seqs(broker, at(6)) == "epoch"
            assert await seqs(broker, Position("e2", 6)) == [7, 8, 9]
            assert await seqs(broker, Position("e2", 5)) == "trimmed"
            assert [one.epoch for one in await broker.projects()] == ["e2"]
            assert await append_one(broker, entry("p", epoch="e3")) == Appended("e2", 10, NOW)
            await broker.trim(KEEP_ALL, NOW)
            assert await broker.checkpoint_at("p", Position("e2", 10)) == kept

    async def test_a_life_goes_on_from_nothing_with_all_its_events(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 4)
            await checkpoint(broker, 2)
            whole = await events(broker)
            assert await broker.recover("p", E1, "e2")
            assert await broker.load("p") == Life("e2", 4, 0, NOW, None, whole, None)

    async def test_a_publish_from_before_is_known_under_the_new_epoch(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", "1", "2", key="k"), entry("q", key="l")])
            await broker.recover("p", E1, "e2")
            assert await append_one(broker, entry("q", key="l")) == Duplicate("q", "e1", 1, 1)
            found = await append_one(broker, entry("p", "1", "2", key="k"))
            assert isinstance(found, Duplicate)
            assert (found.project_id, found.first, found.count) == ("p", 1, 2)

    async def test_a_life_that_is_over_does_not_go_on(self) -> None:
        async with self.broker() as broker:
            assert not await broker.recover("p", E1, "e2")
            await broker.append([entry("p"), entry("p", ends=True), entry("p", epoch="e2")])
            assert not await broker.recover("p", E1, "e3")
            assert (await broker.load("p")).epoch == "e2"

    async def test_logs_that_are_spared_are_not_trimmed(self) -> None:
        async with self.broker() as broker:
            for project in ("a", "b"):
                await fill(broker, 9, project)
                await checkpoint(broker, 9, project=project)
            floors = await broker.trim(Retention(1, 1.0), NOW * 2, spared={"a"})
            assert floors == {"b": Position("e1", 9)}
            assert len(await events(broker, "a")) == 9
