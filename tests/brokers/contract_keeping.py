"""The contract of what is kept: lives, checkpoints, trimming, snapshots, lists."""

from __future__ import annotations

from tasktree_rt.brokers.base import (
    Append,
    Appended,
    Checkpoint,
    Death,
    Draft,
    Duplicate,
    Life,
    Retention,
    Snapshot,
    Summary,
    Trimmed,
)
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Position
from tests.brokers.contract_base import KEEP_ALL, Suite, at
from tests.brokers.making import (
    DAY,
    HOUR,
    NOW,
    append_one,
    checkpoint,
    entry,
    events,
    fill,
    seqs,
)


class Keeping(Suite):
    """How lives begin, are cut short, are listed and end."""

    async def test_a_deleted_project_leaves_only_its_death(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 3)
            await checkpoint(broker, 2)
            snapshot = Snapshot("s1", "p", "before", "e1", 2, NOW)
            await broker.save_snapshot(snapshot, (b"x",))
            await broker.append([entry("p", "bye", ends=True, kind="project_deleted", at=NOW + 1)])
            death = Death("e1", Record(4, "project_deleted", None, NOW + 1, b"bye"))
            assert await broker.load("p") == Life("", 0, 0, NOW + 1, None, (), death)
            assert await seqs(broker, at(3)) == "epoch"
            assert await seqs(broker, BEGINNING) == []
            assert await broker.checkpoint_at("p", at(3)) is None
            assert await broker.snapshots("p") == []
            assert await broker.snapshot("p", "s1") is None
            assert await broker.projects() == []
            assert await broker.count_projects() == 0

    async def test_a_later_event_begins_a_new_life_and_the_newest_death_is_remembered(self) -> None:
        async with self.broker() as broker:
            await broker.append([entry("p", "1"), entry("p", "2", ends=True)])
            outcome = await append_one(broker, entry("p", "3", epoch="e2", at=NOW - 9))
            assert outcome == Appended("e2", 1, NOW)
            life = await broker.load("p")
            assert (life.epoch, life.head, life.death and life.death.epoch) == ("e2", 1, "e1")
            await broker.append([entry("p", "4", ends=True)])
            death = (await broker.load("p")).death
            assert death is not None
            assert (death.epoch, death.record.seq) == ("e2", 2)

    async def test_a_life_may_end_and_another_begin_within_one_batch(self) -> None:
        async with self.broker() as broker:
            outcomes = await broker.append(
                [
                    entry("p", "1", key="1"),
                    entry("p", "2", ends=True, key="2"),
                    entry("p", "3", epoch="e2", ends=True),
                    entry("p", "4", epoch="e3", key="1"),
                    entry("p", "5", epoch="e3"),
                ]
            )
            assert outcomes == [
                Appended("e1", 1, NOW),
                Appended("e1", 2, NOW),
                Appended("e2", 1, NOW),
                Duplicate("p", "e1", 1, 1),
                Appended("e3", 1, NOW),
            ]
            assert [record.body for record in await events(broker)] == [b"5"]

    async def test_a_new_life_sees_nothing_of_the_old_one(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            await checkpoint(broker, 4)
            await broker.append([entry("p", ends=True), entry("p", "new", epoch="e2")])
            await broker.trim(KEEP_ALL, NOW)
            await broker.trim(KEEP_ALL, NOW + 10 * DAY)
            life = await broker.load("p")
            assert (life.epoch, life.head, life.checkpoint) == ("e2", 1, None)
            assert [record.body for record in life.tail] == [b"new"]

    async def test_a_life_loads_as_its_newest_checkpoint_and_the_events_after_it(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 9)
            newest = await checkpoint(broker, 7, b"part 1", b"", b"part 3" * 100_000)
            await checkpoint(broker, 3)
            life = await broker.load("p")
            assert life.checkpoint == newest
            assert [record.seq for record in life.tail] == [8, 9]
            assert (life.head, life.floor) == (9, 0)

    async def test_the_checkpoint_before_a_position_is_found(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 9)
            third, sixth = await checkpoint(broker, 3), await checkpoint(broker, 6)
            found = [await broker.checkpoint_at("p", at(seq)) for seq in (2, 3, 5, 6, 9)]
            assert found == [None, third, third, sixth, sixth]
            assert await broker.checkpoint_at("p", Position("e2", 5)) is None
            assert await broker.checkpoint_at("q", at(5)) is None

    async def test_a_checkpoint_at_the_same_position_replaces_the_first(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            await checkpoint(broker, 5, b"first", b"of two")
            second = await checkpoint(broker, 5, b"second")
            assert (await broker.load("p")).checkpoint == second
            await broker.trim(KEEP_ALL, NOW)
            assert await broker.checkpoint_at("p", at(5)) == second

    async def test_a_checkpoint_of_a_life_that_is_over_is_ignored(self) -> None:
        async with self.broker() as broker:
            await checkpoint(broker, 0)
            await broker.append([entry("p"), entry("p", ends=True), entry("p", epoch="e2")])
            await checkpoint(broker, 1)
            assert (await broker.load("p")).checkpoint is None

    async def test_trimming_keeps_the_newest_events_that_retention_asks_for(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5_000)
            for seq in (4_990, 4_991, 5_000):
                await checkpoint(broker, seq)
            assert await broker.trim(Retention(10, 1e9), NOW) == {"p": at(4_990)}
            assert await broker.trim(Retention(10, 1e9), NOW) == {}
            life = await broker.load("p")
            assert (life.floor, life.head) == (4_990, 5_000)
            assert [record.seq for record in await events(broker)] == list(range(4_991, 5_001))

    async def test_the_bytes_of_each_log_are_counted_and_trimmed(self) -> None:
        async with self.broker() as broker:
            assert await broker.stored_bytes() == {}
            bodies = [b"x" * (100 + number) for number in range(30)]
            for number, body in enumerate(bodies, 1):
                owner = "ada" if number % 2 else "bob"  # only the first one's counts
                drafts = [Draft("log", None, body)]
                await broker.append([Append("p", drafts, NOW, "e1", owner=owner)])
                if number % 10 == 0:
                    await broker.save_checkpoint("p", Checkpoint("e1", number, (b"{}",)))
            await broker.append([Append("q", [Draft("log", None, b"12345")], NOW, "e2", owner="bob")])
            whole = sum(map(len, bodies))
            assert await broker.stored_bytes() == {"ada": whole, "bob": 5}
            assert (await broker.load("p")).bytes == (await broker.outline("p")).life.bytes == whole

            told: list[Trimmed] = []
            most = sum(map(len, bodies[15:]))
            retention = Retention(1_000, 1e9, most)
            assert await broker.trim(retention, NOW, trimmed=told.append) == {"p": Position("e1", 10)}
            assert {(one.project_id, one.epoch, one.owner) for one in told} == {("p", "e1", "ada")}
            left = whole - sum(one.bytes for one in told)
            assert left == sum(map(len, bodies[10:]))
            assert await broker.stored_bytes() == {"ada": left, "bob": 5}
            assert (await broker.load("p")).bytes == left

            assert await broker.recover("p", Position("e1", 20), "e3")
            assert (await broker.load("p")).bytes == sum(map(len, bodies[20:]))
            ends = Append("p", [Draft("project_deleted", None, b"{}")], NOW, "e4", ends=True)
            await broker.append([ends])
            assert await broker.stored_bytes() == {"bob": 5}

    async def test_trimming_drops_what_is_too_old(self) -> None:
        async with self.broker() as broker:
            for hour in range(6):
                await fill(broker, 10, at=NOW + hour * HOUR)
            for seq in (20, 21, 60):
                await checkpoint(broker, seq)
            floors = await broker.trim(Retention(1_000, 3 * 3_600.0), NOW + 5 * HOUR)
            assert floors == {"p": at(20)}

    async def test_events_after_the_newest_checkpoint_are_never_trimmed(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 20)
            assert await broker.trim(Retention(1, 1.0), NOW + DAY) == {}
            await checkpoint(broker, 15)
            assert await broker.trim(Retention(1, 1.0), NOW + DAY) == {"p": at(15)}
            life = await broker.load("p")
            assert life.checkpoint is not None
            assert [record.seq for record in life.tail] == [16, 17, 18, 19, 20]

    async def test_checkpoints_are_kept_as_far_back_as_the_log(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 40)
            for seq in (10, 20, 30, 40):
                await checkpoint(broker, seq)
            assert await broker.trim(Retention(15, 1e9), NOW) == {"p": at(20)}
            found = [await broker.checkpoint_at("p", at(seq)) for seq in (19, 20, 25, 35, 40)]
            assert [made and made.seq for made in found] == [None, 20, 20, 30, 40]

    async def test_no_position_is_left_whose_state_cannot_be_told(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 20)
            await checkpoint(broker, 20)
            assert await broker.trim(Retention(1, 1e9), NOW) == {}
            await checkpoint(broker, 12)
            assert await broker.trim(Retention(1, 1e9), NOW) == {"p": at(12)}
            assert await seqs(broker, at(12)) == list(range(13, 21))

    async def test_quiet_projects_with_events_behind_their_checkpoint_are_found(self) -> None:
        async with self.broker() as broker:
            for project, when in (("a", NOW), ("b", NOW), ("c", NOW + 1), ("d", NOW), ("gone", NOW)):
                await fill(broker, 5, project, at=when)
            await checkpoint(broker, 5, project="b")
            await checkpoint(broker, 4, project="d")
            await broker.append([entry("gone", ends=True)])
            assert sorted(await broker.uncovered(NOW + 1, 10)) == ["a", "d"]
            assert await broker.uncovered(NOW, 10) == []
            assert len(await broker.uncovered(NOW + 2, 2)) == 2

    async def test_trimming_tells_only_of_projects_that_lost_events(self) -> None:
        async with self.broker() as broker:
            for project in ("a", "b", "c"):
                await fill(broker, 10, project)
            await checkpoint(broker, 7, project="a")
            await checkpoint(broker, 4, project="c")
            floors = await broker.trim(Retention(3, 1e9), NOW)
            assert floors == {"a": Position("e1", 7), "c": Position("e1", 4)}

    async def test_projects_are_listed_by_id_and_in_pages(self) -> None:
        async with self.broker() as broker:
            for project in ("b", "a", "C", "a-1"):
                await broker.append([entry(project, state="running", nodes=3, at=NOW + 7)])
            listed = await broker.projects()
            assert [one.project_id for one in listed] == ["C", "a", "a-1", "b"]
            assert listed[0] == Summary("C", "e1", 1, "running", 3, NOW + 7)
            assert await broker.projects("a", 1) == [listed[2]]
            assert await broker.count_projects() == 4

    async def test_the_summary_is_that_of_the_newest_event(self) -> None:
        async with self.broker() as broker:
            await broker.append(
                [
                    entry("p", state="running", nodes=1, about=b"{1}"),
                    entry("p", state=None, nodes=2, at=NOW + 1, about=b"{2}"),
                ]
            )
            assert await broker.projects() == [Summary("p", "e1", 2, None, 2, NOW + 1, b"{2}")]

    async def test_snapshots_are_kept_under_their_names(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            newer = Snapshot("s1", "p", "newer", "e1", 4, NOW + 2)
            older = Snapshot("s2", "p", "older", "e1", 3, NOW + 1)
            await broker.save_snapshot(newer, (b"1", b"2"))
            await broker.save_snapshot(older, ())
            assert await broker.snapshots("p") == [older, newer]
            assert await broker.snapshot("p", "s1") == (newer, (b"1", b"2"))
            assert await broker.snapshot("p", "s2") == (older, ())
            assert await broker.snapshot("p", "s3") is None
            assert await broker.snapshot("q", "s1") is None
            assert (await broker.load("p")).checkpoint is None

    async def test_a_snapshot_outlives_trimming_and_is_replaced_by_its_like(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            await checkpoint(broker, 5)
            await broker.save_snapshot(Snapshot("s", "p", "first", "e1", 1, NOW), (b"first",))
            second = Snapshot("s", "p", "second", "e1", 2, NOW + 1)
            await broker.save_snapshot(second, (b"second",))
            await broker.trim(Retention(1, 1.0), NOW + DAY)
            assert await broker.snapshots("p") == [second]
            assert await broker.snapshot("p", "s") == (second, (b"second",))

    async def test_a_snapshot_of_a_life_that_is_over_is_ignored(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 1, epoch="e2")
            await broker.save_snapshot(Snapshot("s", "p", "late", "e1", 1, NOW), (b"x",))
            assert await broker.snapshots("p") == []

    async def test_a_snapshot_that_is_deleted_is_gone_and_no_other_is(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 5)
            await fill(broker, 1, "q")
            first, second = (Snapshot(one, "p", one, "e1", 4, NOW) for one in ("s1", "s2"))
            other = Snapshot("s1", "q", "other", "e1", 1, NOW)
            for one in (first, second, other):
                await broker.save_snapshot(one, (b"x" * 100,))
            await checkpoint(broker, 3)
            assert await broker.delete_snapshot("p", "s1") is True
            assert await broker.snapshots("p") == [second]
            assert await broker.snapshot("p", "s1") is None
            assert await broker.snapshot("q", "s1") == (other, (b"x" * 100,))
            for project, name in (("p", "s1"), ("p", "s3"), ("none", "s1")):
                assert await broker.delete_snapshot(project, name) is False
            assert (await broker.load("p")).checkpoint is not None
            await broker.trim(KEEP_ALL, NOW)
            assert await broker.snapshots("p") == [second]
            await broker.save_snapshot(first, (b"again",))
            assert await broker.snapshot("p", "s1") == (first, (b"again",))

    async def test_all_snapshots_are_told_with_whose_they_are(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 1)
            await fill(broker, 1, "q")
            kept = {Snapshot(one, one, one, "e1", 1, NOW, f"sub:{one}") for one in ("p", "q")}
            for one in kept:
                await broker.save_snapshot(one, (b"x",))
            assert set(await broker.snapshots(None)) == kept
            await broker.append([entry("q", ends=True)])
            assert [one.owner for one in await broker.snapshots(None)] == ["sub:p"]

    async def test_a_log_is_whose_it_began_as_until_its_end(self) -> None:
        async with self.broker() as broker:
            assert (await broker.load("p")).owner == ""
            await broker.append([entry("p", owner="sub:ada"), entry("p", owner="sub:bob")])
            await broker.append([entry("q", owner="sub:bob"), entry("@ada", owner="sub:ada"), entry("r")])
            assert (await broker.load("p")).owner == "sub:ada"
            assert await broker.owned() == {
                ("sub:ada", False): 1,
                ("sub:bob", False): 1,
                ("sub:ada", True): 1,
                ("", False): 1,
            }
            await broker.append([entry("p", ends=True, owner="sub:bob")])
            assert (await broker.load("p")).owner == ""
            await broker.append([entry("p", epoch="e2", owner="sub:bob")])
            assert (await broker.load("p")).owner == "sub:bob"
            assert (await broker.owned())["sub:bob", False] == 2

    async def test_how_a_project_ended_is_known_for_two_days_and_as_long_as_events_are_kept(self) -> None:
        async with self.broker() as broker:
            for project in ("p", "again"):
                await fill(broker, 2, project)
                await broker.append([entry(project, "bye", ends=True)])
            await broker.append([entry("again", "new", epoch="e2")])
            for max_age, later, known in (
                (1.0, 2 * DAY, True),
                (3 * 86_400.0, 3 * DAY, True),
                (3 * 86_400.0, 3 * DAY + 1, False),
            ):
                await broker.trim(Retention(1_000, max_age), NOW + later)
                life, again = await broker.load("p"), await broker.load("again")
                assert (life.death is not None, life.received) == (known, NOW if known else 0)
                assert (again.death is not None, again.epoch, again.head) == (known, "e2", 1)

    async def test_a_probe_passes_and_changes_nothing(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 2)
            before = await broker.load("p")
            await broker.probe()
            assert await broker.load("p") == before

    async def test_looking_for_what_is_kept_finds_it_and_changes_nothing(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 2)
            before = await broker.load("p")
            await broker.verify()
            assert await broker.load("p") == before

    async def test_closing_twice_is_fine(self) -> None:
        async with self.broker() as broker:
            await broker.aclose()
            await broker.aclose()
