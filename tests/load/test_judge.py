"""Merged messages and whole states: each must be what the published events make."""

from __future__ import annotations

from typing import Any

import pytest

from tasktree_rt.core.events import Json
from tasktree_rt.load.account import Account
from tasktree_rt.load.judge import Judge
from tasktree_rt.load.languages.base import Event, Merged, StatePart
from tasktree_rt.load.languages.tasktree import TaskTree
from tasktree_rt.load.shared_stream import SharedStream
from tasktree_rt.load.tally import CAUGHT_UP, DELIVERY, SLOW, Tally
from tasktree_rt.load.watcher import Kind, Topic, Watcher
from tasktree_rt.load.workload import Workload, tree_hash
from tests.model import NaiveTree

WORK = Workload(nodes=5, size=0)


def at(number: int) -> tuple[Judge, Watcher]:
    """A watcher that has event `number`, whose position is one more."""
    topic = Topic("p", TaskTree(WORK, native=True), 1, 0, "e", SharedStream(contiguous=True))
    return Judge(WORK, Tally()), Watcher(0, topic, Kind.NORMAL, Account(number + 2, number))


def merged(begin: int, number: int, **changes: Any) -> Merged:
    """The right message from event `begin` to event `number`, unless `changes` spoil it."""
    nodes = {one: WORK.tree(number)[one] for one in WORK.changed(begin, number)}
    given: dict[str, Any] = {
        "after": begin + 1,
        "position": number + 1,
        "epoch": "e",
        "nodes": nodes,
        "removed": (),
    }
    return Merged(**{**given, **changes})


def without(nodes: dict[str, Json]) -> dict[str, Json]:
    return {name: fields for name, fields in nodes.items() if name != "n4"}


def test_the_tree_of_a_workload_is_that_of_a_naive_reducer() -> None:
    naive = NaiveTree("p")
    for number in range(13):
        event = WORK.event("p", number, 1)
        naive.apply(event["type"], event["data"])
        assert tree_hash(WORK.tree(number)) == tree_hash(naive.picture()["nodes"])


@pytest.mark.parametrize(("after", "number"), [(0, 1), (3, 6), (4, 30)])
def test_a_right_merged_message_moves_the_watcher(after: int, number: int) -> None:
    judge, watcher = at(after)
    judge.merged(watcher, merged(after, number))
    assert not judge.tally.faults, judge.tally.examples
    assert (watcher.account.next, watcher.account.number) == (number + 2, number)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"after": 3}, "merged after 3, but it is at 4"),
        ({"nodes": without(merged(3, 6).nodes)}, "is missing"),
        ({"nodes": {**merged(3, 6).nodes, "n4": WORK.changes(99)}}, "it holds 96 events"),
        (
            {"nodes": {**merged(3, 6).nodes, "n4": {"number": 4}}},
            "the fields of n4 are not those after event 6",
        ),
        ({"nodes": {**merged(3, 6).nodes, "other": {}}}, "the fields of other are not those"),
        ({"removed": ("n1",)}, "it removes 1 nodes"),
    ],
)
def test_a_wrong_merged_message_is_a_fault(changes: dict[str, Any], problem: str) -> None:
    judge, watcher = at(3)
    judge.merged(watcher, merged(3, 6, **changes))
    assert judge.tally.faults["wrong"] >= 1
    assert problem in " ".join(judge.tally.examples)


def parts(number: int, nodes: dict[str, Json]) -> list[StatePart]:
    listed = list(nodes.items())
    return [
        StatePart(
            number + 1,
            "e",
            part,
            2,
            "gap",
            dict(listed[2 * part - 2 : 2 * part] if part == 1 else listed[2:]),
        )
        for part in (1, 2)
    ]


def test_a_state_in_parts_moves_the_watcher_at_its_last_part() -> None:
    judge, watcher = at(3)
    done = [judge.state(watcher, part) for part in parts(9, WORK.tree(9))]
    assert done == [False, True]
    assert (watcher.account.next, watcher.account.number) == (11, 9)
    assert not judge.tally.faults
    assert judge.tally.counts["gaps"] == 1


@pytest.mark.parametrize(
    ("number", "nodes", "problem"),
    [
        (9, without(WORK.tree(9)), "is not the tree after event"),
        (2, WORK.tree(2), "is older than event 3"),
    ],
)
def test_a_wrong_state_is_a_fault(number: int, nodes: dict[str, Json], problem: str) -> None:
    judge, watcher = at(3)
    for part in parts(number, nodes):
        judge.state(watcher, part)
    assert judge.tally.faults["wrong"] >= 1
    assert problem in " ".join(judge.tally.examples)


def test_a_merged_message_without_the_newest_change_is_found_by_the_next_event() -> None:
    judge, watcher = at(3)
    nodes = {name: fields for name, fields in merged(3, 6).nodes.items() if fields["number"] != 6}
    judge.merged(watcher, merged(3, 6, nodes=nodes))
    judge.event(watcher, Event(8, 7, 0, "e"), b"")
    assert judge.tally.faults == {"wrong": 1}


def test_an_event_of_another_epoch_is_a_fault() -> None:
    judge, watcher = at(3)
    judge.event(watcher, Event(5, 4, 0, "another"), b"")
    assert judge.tally.faults == {"wrong": 1}


@pytest.mark.parametrize(
    ("kind", "due", "counted"),
    [
        (Kind.NORMAL, 60, DELIVERY),
        (Kind.NORMAL, 40, CAUGHT_UP),
        (Kind.HALF_OPEN, 40, CAUGHT_UP),
        (Kind.SLOW, 40, SLOW),
        (Kind.STALLED, 60, None),
        (Kind.STALLED, 40, None),
    ],
)
def test_a_stalled_reader_is_not_timed_and_others_are_by_when_they_came(
    kind: Kind, due: int, counted: str | None
) -> None:
    judge, watcher = at(3)
    watcher.kind, watcher.live_since = kind, 50
    judge.event(watcher, Event(5, 4, due, "e"), b"")
    assert judge.tally.counts["delivered"] == 1
    found = {name: one.count for name, one in judge.tally.latencies.items() if one.count}
    assert found == ({counted: 1} if counted else {})
