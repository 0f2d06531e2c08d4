"""A state in parts that its readers share: what it remembers of them is bounded by number and by bytes."""

from __future__ import annotations

import pytest

from tasktree_rt.core.tree import Tree
from tasktree_rt.hub.projects import shared_snapshot
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot


def planned() -> SharedSnapshot:
    return SharedSnapshot("p", Tree("e").snapshot())


def known(snapshot: SharedSnapshot) -> list[int]:
    return [index for index in range(200) if snapshot.recall(("native", "initial", index)) is not None]


def test_the_newest_encodings_are_remembered_as_long_as_they_are_not_too_many_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_snapshot, "REMEMBERED_BYTES", 1_000)
    snapshot = planned()
    for index in range(10):
        snapshot.remember(("native", "initial", index), b"x" * 300)
    assert known(snapshot) == [7, 8, 9]
    snapshot.remember(("native", "initial", 10), b"x" * 5_000)
    assert known(snapshot) == [10], "the newest is kept, however large"
    for index in range(11, 14):
        snapshot.remember(("native", "initial", index), b"x" * 300)
    assert known(snapshot) == [11, 12, 13]


def test_a_part_that_is_remembered_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_snapshot, "REMEMBERED_BYTES", 1_000)
    snapshot = planned()
    snapshot.remember(("native", "initial", 0), b"x" * 300)
    for _ in range(10):
        snapshot.remember(("native", "initial", 1), b"x" * 600)
    assert known(snapshot) == [0, 1]


def test_what_has_no_encoding_is_bounded_by_number() -> None:
    snapshot = planned()
    for index in range(200):
        snapshot.remember(("plain", "initial", index), None)
    for index in range(200):
        snapshot.remember(("native", "initial", index), b"x")
    assert known(snapshot) == list(range(200 - shared_snapshot.REMEMBERED, 200))
