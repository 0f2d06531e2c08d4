"""Buckets of many callers: as if all were remembered, in bounded memory."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tasktree_rt.hub.limits.accounts import LOOKS, Accounts, Kind
from tasktree_rt.hub.limits.token_bucket import TokenBucket

RATES = (1.0, 0.0, 2.0, 10.0, 0.0)
BURST = 3.0


class Ideal:
    """Buckets that are never forgotten, by the definition: what was spent, less what came back."""

    def __init__(self) -> None:
        self.spent: dict[tuple[str, Kind], tuple[float, float]] = {}

    def wait(self, key: str, kind: Kind, now: float, cost: float = 0.0) -> float:
        """The seconds to wait; then counts the cost."""
        rate = RATES[kind]
        most = rate * BURST
        spent, at = self.spent.get((key, kind), (0.0, now))
        spent = max(0.0, spent - (now - at) * rate)
        left = most - spent
        wait = 0.0 if left >= 1 - 1e-6 else (1 - left) / rate
        self.spent[key, kind] = (spent + cost, now)
        return wait


def wait(accounts: Accounts, key: str, kind: Kind, now: float, cost: float) -> float:
    bucket = accounts.bucket(key, kind, now)
    assert bucket is not None
    found = bucket.wait(now)
    bucket.charge(now, cost)
    return found


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", "e", "f"]),
        st.sampled_from([Kind.MESSAGES, Kind.EVENTS, Kind.COST]),
        st.sampled_from([0.0, 1.0, 2.5, 40.0]),
        st.sampled_from([0.0, 0.1, 1.0, 5.0]),
    ),
    max_size=60,
)


@given(STEPS)
def test_a_caller_waits_as_if_nobody_were_ever_forgotten(steps: list[tuple[str, Kind, float, float]]) -> None:
    """While there is a place for each that is at work: six callers, six places; those at rest come and go."""
    accounts, ideal, now = Accounts(RATES, BURST, most=6), Ideal(), 100.0
    for number, (key, kind, cost, later) in enumerate(steps):
        now += later
        accounts.bucket(f"passing {number}", Kind.MESSAGES, now)  # a caller that spends nothing
        assert abs(wait(accounts, key, kind, now, cost) - ideal.wait(key, kind, now, cost)) < 1e-6
        assert len(accounts) <= 6


@example([("a", Kind.MESSAGES, 1.0, 0.0), ("b", Kind.MESSAGES, 40.0, 0.0), ("b", Kind.MESSAGES, 0.0, 5.0)], 1)
@given(STEPS, st.integers(1, 3))
def test_too_many_at_work_wait_at_least_as_long_and_take_no_more_room(
    steps: list[tuple[str, Kind, float, float]], most: int
) -> None:
    accounts, ideal, now = Accounts(RATES, BURST, most=most), Ideal(), 100.0
    for key, kind, cost, later in steps:
        now += later
        assert wait(accounts, key, kind, now, cost) >= ideal.wait(key, kind, now, cost) - 1e-6
        assert len(accounts) <= most


def test_a_flood_of_addresses_neither_takes_memory_nor_frees_one_that_is_at_its_limit() -> None:
    accounts, now = Accounts(RATES, BURST, most=100), 0.0
    assert wait(accounts, "greedy", Kind.MESSAGES, now, 1_000) == 0
    for number in range(10_000):
        now += 0.01
        wait(accounts, f"address {number}", Kind.COST, now, 0.05)
    assert len(accounts) == 100
    assert wait(accounts, "greedy", Kind.MESSAGES, now, 0) > 800
    assert wait(accounts, "neighbour", Kind.MESSAGES, now, 1) == 0


def test_those_that_wait_long_do_not_keep_new_callers_from_a_place() -> None:
    accounts = Accounts(RATES, BURST, most=4 * LOOKS)
    for number in range(3 * LOOKS):
        wait(accounts, f"at work {number}", Kind.MESSAGES, 0.0, 1_000)
    for number in range(LOOKS):
        wait(accounts, f"at rest {number}", Kind.MESSAGES, 0.0, 1)
    for number in range(50):
        wait(accounts, f"new {number}", Kind.MESSAGES, 10.0, 1)
    own: Any = accounts.bucket("new 49", Kind.MESSAGES, 10.0)
    assert isinstance(own, TokenBucket)
    assert own is accounts.bucket("new 49", Kind.MESSAGES, 10.0)
    for number in range(3 * LOOKS):
        bucket = accounts.bucket(f"at work {number}", Kind.MESSAGES, 10.0)
        assert bucket is not None
        assert bucket.wait(10.0) > 900


def test_what_has_no_limit_has_no_bucket() -> None:
    accounts = Accounts(RATES, BURST)
    assert accounts.bucket("a", Kind.BYTES, 0.0) is None
    assert len(accounts) == 0


def test_who_waits_as_long_as_told_goes_on() -> None:
    bucket = TokenBucket(rate=3.0, burst=1, tokens=1, at=0.1)
    now = 0.1
    for _ in range(1_000):
        now += bucket.wait(now)
        assert bucket.wait(now) == 0
        bucket.charge(now, 0.7)
