"""The contract of prompts and commands: opened and settled together with the events that tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve

from tasktree_rt.brokers.base import Append, Appended, Broker, Duplicate, Interaction, Retention, Settled
from tests.brokers.contract_base import KEEP_ALL, Suite
from tests.brokers.making import DAY, NOW, append_one, entry, fill


def an_interaction(name: str, *topics: str, kind: str = "prompt", at: int = NOW) -> Interaction:
    return Interaction(name, kind, topics or ("p",), at, at + DAY, b"digest of " + name.encode(), b'{"m":1}')


def opening(*opened: Interaction, **asked: Any) -> Append:
    """An entry of the first one's home that opens them all."""
    return evolve(entry(opened[0].topics[0], **asked), opens=opened)


def settling(*names: str, project: str = "p", outcome: bytes = b"yes", **asked: Any) -> Append:
    return evolve(entry(project, **asked), settles=[Settled(name, outcome) for name in names])


async def listed(broker: Broker, **asked: Any) -> list[str]:
    return [one.id for one in await broker.interactions(**asked)]


class Matters(Suite):
    """What waits for somebody, and what waits no more."""

    async def test_a_matter_is_there_as_it_was_opened_and_then_as_it_was_settled(self) -> None:
        async with self.broker() as broker:
            asked = evolve(an_interaction("m", "p", "@anna"), owner="sub:ada")
            await broker.append([opening(asked)])
            found = await broker.interaction("m")
            assert found is not None
            assert evolve(found, place=0) == asked
            await broker.append([settling("m", at=NOW + 5, outcome=b"how")])
            assert await broker.interaction("m") == evolve(found, settled=NOW + 5, outcome=b"how")

    async def test_of_an_owner_as_many_settled_ones_are_kept_as_events_of_a_project(self) -> None:
        async with self.broker() as broker:
            for owner, names in (("sub:ada", "abcde"), ("sub:bob", "xy"), ("", "1234")):
                for name in names:
                    await broker.append([opening(evolve(an_interaction(name), owner=owner))])
            await broker.append([settling(*"abde", *"xy", *"1234")])
            await broker.trim(Retention(3, 1e9), NOW)
            assert await listed(broker) == ["b", "c", "d", "e", "x", "y", "2", "3", "4"]
            assert await listed(broker, open=True) == ["c"]
            await broker.trim(Retention(1, 1e9), NOW)
            assert await listed(broker) == ["c", "e", "y", "4"]

    async def test_of_what_was_never_opened_there_is_nothing(self) -> None:
        async with self.broker() as broker:
            assert await broker.interaction("m") is None
            assert await broker.interactions() == []
            await broker.append([settling("m")])
            assert await broker.interaction("m") is None

    async def test_only_the_first_settlement_counts(self) -> None:
        async with self.broker() as broker:
            await broker.append([opening(an_interaction("m"))])
            await broker.append([settling("m", outcome=b"first"), settling("m", outcome=b"same batch")])
            await broker.append([settling("m", outcome=b"later", at=NOW + 9)])
            found = await broker.interaction("m")
            assert found is not None
            assert (found.outcome, found.settled) == (b"first", NOW)

    async def test_opened_and_settled_in_one_batch(self) -> None:
        async with self.broker() as broker:
            await broker.append([opening(an_interaction("m")), settling("m")])
            assert await listed(broker, open=True) == []
            assert await listed(broker, open=False) == ["m"]

    async def test_one_event_may_open_and_settle_many(self) -> None:
        async with self.broker() as broker:
            await broker.append([opening(*(an_interaction(f"m{n}") for n in range(5)))])
            await broker.append([settling("m1", "m3")])
            assert await listed(broker, open=True) == ["m0", "m2", "m4"]
            assert await listed(broker, open=False) == ["m1", "m3"]

    async def test_they_are_listed_in_the_order_of_opening_by_kind_and_topic(self) -> None:
        async with self.broker() as broker:
            await broker.append(
                [opening(an_interaction("z", "p", "@anna")), opening(an_interaction("y", kind="command"))]
            )
            await broker.append(
                [opening(an_interaction("x", "q", "@anna")), opening(an_interaction("w", "@anna"))]
            )
            await broker.append([settling("x", project="q")])
            assert await listed(broker) == ["z", "y", "x", "w"]
            assert await listed(broker, kind="prompt") == ["z", "x", "w"]
            assert await listed(broker, topic="p") == ["z", "y"]
            assert await listed(broker, topic="@anna") == ["z", "x", "w"]
            assert await listed(broker, topic="@anna", open=True) == ["z", "w"]
            assert await listed(broker, kind="command", topic="@anna") == []

    async def test_a_place_goes_on_where_a_page_ended_also_after_settlements(self) -> None:
        async with self.broker() as broker:
            await broker.append([opening(*(an_interaction(f"m{n}") for n in range(7)))])
            page = await broker.interactions(open=True, limit=3)
            assert [one.id for one in page] == ["m0", "m1", "m2"]
            await broker.append([settling("m0", "m3")])
            assert await listed(broker, open=True, after=page[-1].place, limit=2) == ["m4", "m5"]
            places = [one.place for one in await broker.interactions()]
            assert places == sorted(set(places))

    async def test_before_a_place_the_newest_come_first(self) -> None:
        async with self.broker() as broker:
            await broker.append(
                [opening(*(an_interaction(f"m{n}", "p" if n % 2 else "q") for n in range(7)))]
            )
            await broker.append([settling("m1", "m2", "m5")])
            page = await broker.interactions(before=1 << 53, limit=3)
            assert [one.id for one in page] == ["m6", "m5", "m4"]
            assert await listed(broker, before=page[-1].place) == ["m3", "m2", "m1", "m0"]
            assert await listed(broker, before=1 << 53, open=False) == ["m5", "m2", "m1"]
            assert await listed(broker, before=1 << 53, open=True, topic="p") == ["m3"]
            assert await listed(broker, before=page[-1].place, kind="command") == []

    async def test_a_publish_that_comes_twice_opens_and_settles_once(self) -> None:
        async with self.broker() as broker:
            first = opening(an_interaction("m"), key="k")
            assert await append_one(broker, first) == Appended("e1", 1, NOW)
            assert await append_one(broker, first) == Duplicate("p", "e1", 1, 1)
            assert await listed(broker) == ["m"]
            await broker.append([settling("m", key="l")])
            await broker.append([opening(an_interaction("n")), settling("n", key="l")])
            assert await listed(broker, open=True) == ["n"]

    async def test_a_project_that_ends_settles_with_its_last_event_and_keeps_the_others(self) -> None:
        async with self.broker() as broker:
            await broker.append([opening(an_interaction("m")), opening(an_interaction("n"))])
            await broker.append([settling("m", ends=True, kind="project_deleted")])
            assert await listed(broker, open=False) == ["m"]
            assert await listed(broker, open=True) == ["n"]

    async def test_the_settled_go_with_the_events_and_the_open_stay(self) -> None:
        async with self.broker() as broker:
            names = [f"m{n}" for n in range(5_000)]
            await broker.append(
                [opening(*map(an_interaction, names), an_interaction("new"), an_interaction("open"))]
            )
            await broker.append([settling(*names)])
            await broker.append([settling("new", at=NOW + DAY)])
            await broker.trim(KEEP_ALL, NOW + 10 * DAY)
            assert len(await listed(broker, limit=10_000)) == 5_002
            await broker.trim(Retention(10, DAY / 1e6), NOW + 2 * DAY)
            assert await listed(broker, limit=10_000) == ["new", "open"]
            assert await broker.interaction("m0") is None
            await broker.trim(Retention(10, DAY / 1e6), NOW + 99 * DAY)
            assert await listed(broker) == ["open"]

    async def test_a_name_can_be_used_again_once_it_is_forgotten(self) -> None:
        async with self.broker() as broker:
            await broker.append([opening(an_interaction("m")), settling("m")])
            await broker.trim(Retention(10, 1.0), NOW + DAY)
            await broker.append(
                [opening(an_interaction("other")), opening(an_interaction("m", at=NOW + DAY))]
            )
            assert await listed(broker, open=True) == ["other", "m"]

    async def test_users_logs_are_logs_but_no_projects(self) -> None:
        async with self.broker() as broker:
            await fill(broker, 2, "@anna")
            await fill(broker, 1)
            assert [one.project_id for one in await broker.projects()] == ["p"]
            assert await broker.count_projects() == 1
            assert (await broker.load("@anna")).head == 2

    async def test_names_are_any_text(self) -> None:
        names: Sequence[str] = ("a\x00b", "a", "ä", "'", "@x", "m" * 128)
        async with self.broker() as broker:
            await broker.append([opening(an_interaction(name)) for name in names])
            assert await listed(broker) == list(names)
            for name in names:
                found = await broker.interaction(name)
                assert found is not None
                assert found.id == name
