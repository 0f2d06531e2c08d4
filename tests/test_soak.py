"""The soak in small, and the slopes by which it judges."""

from __future__ import annotations

import random
from pathlib import Path

from tests.soak.run import Soak, soak
from tests.soak.slopes import judge, slope


def noisy(growth: float, count: int = 60) -> list[tuple[float, float]]:
    chance = random.Random(7)
    return [(float(at), 100 + growth * at + chance.gauss(0, 2)) for at in range(count)]


def test_the_interval_of_a_slope_holds_the_true_one_and_an_outlier_moves_it_little() -> None:
    points = noisy(0.5)
    points[30] = (30.0, 10_000.0)
    found = slope(points)
    assert found.low <= 0.5 <= found.high
    assert found.high - found.low < 0.1


def test_noise_is_flat_and_growth_is_not() -> None:
    assert judge("memory", "MB", noisy(0), 8).flat
    assert not judge("memory", "MB", noisy(0.5), 8).flat
    assert "GROWS" in str(judge("memory", "MB", noisy(0.5), 8))


def test_the_course_of_a_cache_that_fills_becomes_flat() -> None:
    found = Soak(began=10.0)
    found.samples["memory"] = [(float(at), min(100.0 + at, 150.0)) for at in range(90)]
    assert [round(one.estimate, 3) for one in found.course("memory")] == [1.0, 1.0, 0.0, 0.0]


async def test_a_short_soak_loses_nothing_over_restarts_churn_slow_readers_and_prompts(
    tmp_path: Path,
) -> None:
    found = await soak(
        tmp_path, 12, watchers=40, projects=4, rate=30, ramp=0, burst=20, burst_every=3, settle=120
    )
    assert not any(found.report["faults"].values()), found.report["examples"]
    assert found.report["interrupted"] == ""
    assert found.report["counts"]["left"] > 10
    assert found.report["counts"]["prompts"] > 0
    assert found.began > 0
    assert all(found.samples.values())
    assert found.samples["blocks"][-1][1] > 10
