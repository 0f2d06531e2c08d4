"""Conditions under which a test fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from tasktree_rt.brokers.base import Append, Outcome
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.errors import ClientError
from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.tally import LATENCIES
from tasktree_rt.load.thresholds import read_threshold
from tests.load.running import load
from tests.web.realhub import real_hub


def made(**values: int) -> dict[str, Any]:
    """A report whose deliveries took 1 to 100 ms."""
    histogram, empty = Histogram(), Histogram()
    for number in range(1, 101):
        histogram.record(number * 1000)
    latencies = {
        name: {"histogram": (histogram if name == "delivery" else empty).to_json()} for name in LATENCIES
    }
    return {
        "latency": latencies,
        "faults": {"lost": 0, "doubled": 2, "out_of_order": 0, "wrong": 0, "trees_differ": 0},
        "errors": {"HTTP 403": 3},
        "counts": {"gaps": 1},
        "published": 10,
        "acked": 10,
        "delivered": 100,
        "delivered_per_second": 50.0,
        "generator": {"busy": [0.5, 0.7], "loop_lag": histogram.to_json()},
        **values,
    }


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("p99 > 200ms", False),
        ("p99 > 50", True),
        ("p99.9>0.05s", True),
        ("delivery.p50 >= 50ms", True),
        ("delivery.p99.9 < 1s", True),
        ("mean > 51ms", False),
        ("max > 99000us", True),
        ("doubled > 1", True),
        ("lost != 0", False),
        ("faults == 2", True),
        ("errors > 2", True),
        ("gaps > 0", True),
        ("merged > 0", False),
        ("delivered_per_second < 60", True),
        ("generator.busy > 55%", True),
        ("generator.lag > 150ms", False),
        ("ack.p99 > 1s", True),  # there is no value
    ],
)
def test_a_condition_holds_or_does_not(text: str, holds: bool) -> None:
    assert bool(read_threshold(text).judge(made())) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p99", '--fail-if: expected a condition like "p99 > 200ms"'),
        ("p99 > fast", "--fail-if: expected a condition like"),
        ("p101 > 5ms", "--fail-if: 'p101 > 5ms': unknown metric 'p101'"),
        (
            "speed > 5",
            "--fail-if: 'speed > 5': unknown metric 'speed'; expected p50, p99, …, mean or max, of connect",
        ),
        ("p99 > 5MB", "--fail-if: 'p99 > 5MB': expected us, ms or s after 5, got 'MB'"),
        ("lost > 5ms", "--fail-if: 'lost > 5ms': expected a plain number, got 5ms"),
        ("p99 => 5ms", "--fail-if: expected a condition like"),
    ],
)
def test_a_condition_that_is_none_is_refused_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        read_threshold(text)
    assert str(caught.value).startswith(message)


class SlowBroker(MemoryBroker):
    """A store whose every commit takes a quarter of a second."""

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        await trio.sleep(0.25)
        return await super().append(batch)


async def test_a_hub_made_slow_on_purpose_breaks_the_threshold() -> None:
    async with real_hub(SlowBroker()) as hub:
        found = await load(hub.url, rate=10)
    assert not any(found["faults"].values())
    assert read_threshold("p50 > 200ms").judge(found).startswith("p50 > 200ms: it is ")
    assert read_threshold("ack.p50 > 200ms").judge(found)
