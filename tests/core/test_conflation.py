"""What a conflated message shows beside the tree, against a naive model."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core import conflation as shown
from tasktree_rt.core.conflation import ConflatedEvents
from tasktree_rt.core.events import NOT_KEPT, Record

KINDS = ["log", "log", "node_update", "state_transition", "own_type"]
steps = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from([None, "a", "b"]), st.integers(0, 9)), max_size=40
)


def record(seq: int, kind: str, node_id: str | None = None, size: int = 1) -> Record:
    return Record(seq, kind, node_id, 0, b"x" * size)


@given(st.integers(0, 5), steps, st.integers(1, 6), st.integers(2, 40), st.integers(2, 12))
def test_above_its_floor_every_stretch_is_told_exactly(
    start: int,
    sequence: list[tuple[str, str | None, int]],
    max_events: int,
    max_bytes: int,
    max_lines: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown, "MAX_EVENTS", max_events)
        patch.setattr(shown, "MAX_BYTES", max_bytes)
        patch.setattr(shown, "MAX_LINES", max_lines)
        kept = ConflatedEvents(start)
        records = [record(start + n, *step) for n, step in enumerate(sequence, 1)]
        for one in records:
            kept.note(one)
            assert_exact(kept, records[: one.seq - start])


def assert_exact(kept: ConflatedEvents, records: list[Record]) -> None:
    head = records[-1].seq
    assert kept.floor <= head
    for seq in range(head + 2):
        answer = kept.since(seq)
        assert (answer is None) == (seq < kept.floor)
        if answer is not None:
            after = [one for one in records if one.seq > seq]
            lines = Counter(one.node_id or "" for one in after if one.type == "log")
            assert answer == (tuple(one for one in after if one.type not in NOT_KEPT), lines)


def test_the_floor_rises_only_when_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MAX_EVENTS", 2)
    monkeypatch.setattr(shown, "MAX_BYTES", 10)
    kept = ConflatedEvents(0)
    floors = []
    sizes = [("x", 1), ("x", 1), ("node_update", 99), ("x", 1), ("x", 50), ("x", 1), ("x", 1)]
    for seq, (kind, size) in enumerate(sizes, 1):
        kept.note(record(seq, kind, None, size))
        floors.append(kept.floor)
    assert floors == [0, 0, 0, 1, 4, 5, 5]


def test_half_of_the_lines_is_kept_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MAX_LINES", 10)
    kept = ConflatedEvents(0)
    floors = []
    for seq in range(1, 18):
        kept.note(record(seq, "log", "a" if seq < 11 else "b"))
        floors.append(kept.floor)
    assert floors == [0] * 10 + [6] * 6 + [12]
    assert kept.since(12) == ((), {"b": 5})


def test_forgetting_lines_does_not_lower_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MAX_EVENTS", 1)
    monkeypatch.setattr(shown, "MAX_LINES", 10)
    kept = ConflatedEvents(0)
    for seq, kind in enumerate(["log"] * 10 + ["x"] * 3 + ["log"], 1):
        kept.note(record(seq, kind))
    assert kept.floor == 12
