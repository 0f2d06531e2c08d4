"""Positions and the bounded log."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.events import Record
from tasktree_rt.core.log import BEGINNING, Gap, Log, Position, Recovered
from tasktree_rt.errors import InvalidInput
from tests.model import NaiveLog


def record(seq: int, size: int = 1, received: int = 0) -> Record:
    return Record(seq, "log", None, received, b"x" * size)


operations = st.lists(
    st.tuples(st.just("append"), st.integers(0, 40))
    | st.tuples(st.just("append"), st.integers(0, 40))
    | st.tuples(st.just("trim"), st.integers(-1, 45)),
    max_size=30,
)


@given(st.integers(0, 9), st.integers(1, 8), st.integers(1, 90), operations)
def test_since_is_exactly_what_came_after_or_says_why_not(
    head: int, most: int, most_bytes: int, steps: list[tuple[str, int]]
) -> None:
    log = Log("e", head, max_events=most, max_bytes=most_bytes)
    naive = NaiveLog("e", head)
    for step, number in steps:
        if step == "append":
            log.append(record(log.head + 1, number))
            naive.append(b"x" * number, most, most_bytes)
        else:
            log.trim(number)
            naive.trim(number)
        assert (log.head, log.floor, len(log)) == (naive.head, naive.floor, len(naive.kept))
        assert log.size == sum(len(body) for _, body in naive.kept)
        assert log.position == Position("e", naive.head)
        assert_answers_alike(log, naive)


def assert_answers_alike(log: Log, naive: NaiveLog) -> None:
    for epoch in ("e", "", "other"):
        for seq in range(log.head + 3):
            answer, expected = log.since(Position(epoch, seq)), naive.since(epoch, seq)
            if isinstance(answer, Gap):
                assert answer.why == expected
            else:
                assert [one.seq for one in answer.records] == expected
            few = log.since(Position(epoch, seq), limit=2)
            if isinstance(answer, Recovered):
                assert few == Recovered(answer.records[:2])
            else:
                assert few == answer


def test_the_newest_event_is_held_even_if_it_alone_is_too_large() -> None:
    log = Log("e", max_events=5, max_bytes=10)
    log.extend([record(1, 3), record(2, 99)])
    assert log.since(Position("e", 1)) == Recovered((record(2, 99),))
    assert log.since(Position("e", 0)) == Gap("trimmed")


def test_an_event_out_of_order_is_refused_and_nothing_changes() -> None:
    log = Log("e", 4, max_events=5, max_bytes=10)
    for seq in (4, 6, 0):
        with pytest.raises(ValueError, match=f"expected seq 5, got {seq}"):
            log.append(record(seq))
    assert (log.head, len(log)) == (4, 0)


def test_the_beginning_is_answered_in_any_life_while_the_log_reaches_it() -> None:
    log = Log("e", max_events=5, max_bytes=99)
    assert log.since(BEGINNING) == Recovered(())
    log.append(record(1))
    assert log.since(BEGINNING) == Recovered((record(1),))
    log.trim(1)
    assert log.since(BEGINNING) == Gap("trimmed")


def test_a_position_without_epoch_other_than_the_beginning_is_another_life() -> None:
    log = Log("e", max_events=5, max_bytes=99)
    log.append(record(1))
    assert log.since(Position("", 1)) == Gap("epoch")


# --- positions


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (":0", BEGINNING),
        ("e:0", Position("e", 0)),
        ("A-z_9:123456789012345678", Position("A-z_9", 123456789012345678)),
        (":5", Position("", 5)),
    ],
)
def test_a_position_is_read_and_written_alike(text: str, position: Position) -> None:
    assert Position.parse(text) == position
    assert str(position) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "e",
        "e:",
        "5",
        "e:-1",
        "e:01",
        "e:+1",
        "e: 1",
        "e:1 ",
        "e:1\n",
        "é:1",
        "e:٣",
        "e:1:1",
        "e:1.0",
        "e" * 65 + ":1",
        "e:1234567890123456789",
        None,
        5,
        ["e", 1],
        {"epoch": "e"},
        b"e:1",
    ],
)
def test_what_is_no_position_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        Position.parse(text, "since.p1")
    assert (caught.value.code, caught.value.field) == ("invalid_position", "since.p1")


@given(st.from_regex(r"[A-Za-z0-9_-]{0,64}", fullmatch=True), st.integers(0, 10**18 - 1))
def test_every_position_survives_being_written(epoch: str, seq: int) -> None:
    assert Position.parse(str(Position(epoch, seq))) == Position(epoch, seq)


@given(st.text() | st.integers() | st.none())
def test_reading_a_position_raises_nothing_else(text: Any) -> None:
    try:
        position = Position.parse(text)
    except InvalidInput:
        return
    assert str(position) == text
