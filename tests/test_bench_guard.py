"""A burst costs at most an eighth of the FastAPI loop's; `just bench` has the whole figures."""

from __future__ import annotations

from tests.bench.guard import LEAST, TRIES, burst_ratio


def test_a_burst_costs_less_than_an_eighth_of_fastapis() -> None:
    # CPU time, not wall-clock time; still, whoever shares the caches moves it: one good run is enough.
    ratios: list[float] = []
    while len(ratios) < TRIES and not any(ratio >= LEAST for ratio in ratios):
        ratios.append(burst_ratio())
    assert max(ratios) >= LEAST, f"FastAPI's cost over ours, of each run: {ratios}"
