from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.client.transport.backoff import Backoff, Retry

draws = st.floats(0, 1, exclude_max=True)


def test_the_bound_doubles_up_to_the_cap() -> None:
    retry = Retry(Backoff(base=1.0, cap=5.0), draw=lambda: 1.0)
    assert [retry.delay() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_success_begins_anew() -> None:
    retry = Retry(Backoff(base=1.0, cap=60.0), draw=lambda: 1.0)
    assert [retry.delay(), retry.delay()] == [1.0, 2.0]
    retry.reset()
    assert retry.delay() == 1.0


def test_jitter_is_full_from_nothing_to_the_bound() -> None:
    fractions = iter([0.0, 0.5])
    retry = Retry(Backoff(base=8.0, cap=60.0), draw=lambda: next(fractions))
    assert [retry.delay(), retry.delay()] == [0.0, 8.0]


@given(st.integers(0, 5_000), st.none() | st.floats(0, 100), draws)
def test_a_delay_is_never_below_the_advice_nor_above_the_cap_over_it(
    failures: int, advised: float | None, draw: float
) -> None:
    delay = Retry(Backoff(0.25, 30.0), lambda: draw, failures).delay(advised)
    assert (advised or 0) <= delay <= (advised or 0) + 30.0
