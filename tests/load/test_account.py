"""The account of one watcher."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.load.account import DOUBLED, OUT_OF_ORDER, WRONG, Account


def taken(positions: list[int], *, merges: bool = False) -> tuple[Account, Counter[str]]:
    account, faults = Account(1), Counter[str]()
    for position in positions:
        account.take(position, None, faults, merges=merges)
    return account, faults


@given(st.lists(st.integers(1, 30), max_size=60))
def test_what_is_lost_and_doubled_is_what_a_naive_count_says(positions: list[int]) -> None:
    account, faults = taken(positions)
    assert account.missing(30) == 30 - len(set(positions))
    assert faults[DOUBLED] == len(positions) - len(set(positions))
    higher = [max(positions[:at], default=0) for at in range(len(positions))]
    late = {one for one, before in zip(positions, higher, strict=True) if one < before}
    first_time_late = [one for at, one in enumerate(positions) if one in late and one not in positions[:at]]
    assert faults[OUT_OF_ORDER] == len([one for one in first_time_late if one < higher[positions.index(one)]])


def test_a_merging_server_may_leave_out_but_not_go_back() -> None:
    account, faults = taken([1, 5, 9, 4], merges=True)
    assert account.missing(9) == 0
    assert faults == {DOUBLED: 1}


def test_an_event_that_the_server_left_out_of_its_log_is_wrong() -> None:
    account, faults = Account(1, number=0), Counter[str]()
    account.take(1, 1, faults)
    assert account.take(2, 3, faults) == "event 3 follows event 1 at the next position"
    assert faults == {WRONG: 1}


def test_an_event_of_another_program_has_a_position_and_no_number() -> None:
    account, faults = Account(1, number=0), Counter[str]()
    for position, number in ((1, 1), (2, None), (3, 2)):
        account.take(position, number, faults)
    assert not faults


def test_the_account_of_a_watcher_that_was_never_told_where_it_begins_begins_with_its_first_event() -> None:
    account, faults = Account(None), Counter[str]()
    account.take(7, None, faults)
    assert (account.next, account.missing(9), faults) == (8, 2, Counter())
