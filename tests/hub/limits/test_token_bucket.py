"""How fast a peer may send."""

from __future__ import annotations

from tasktree_rt.hub.limits.token_bucket import TokenBucket


def test_a_bucket_allows_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3, tokens=3, at=0.0)
    assert [bucket.take(0.0) for _ in range(5)] == [True, True, True, False, False]
    assert bucket.refused == 2
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert bucket.refused == 1
    assert [bucket.take(1_000.0) for _ in range(4)] == [True, True, True, False]
