"""Conditions under which a test fails: ``p99 > 200ms``.

::

    condition  = metric operator value
    operator   = ">" | ">=" | "<" | "<=" | "==" | "!="
    metric     = [latency "."] statistic          a time; without a latency it is that of deliveries
               | "lost" | "doubled" | "out_of_order" | "wrong" | "trees_differ" | "faults"
               | "errors" | "published" | "acked" | "delivered" | "delivered_per_second"
               | "merged" | "states" | "gaps"     numbers
               | "generator.lag"                  a time: how late the generator's own loop was (p99)
               | "generator.busy"                 a share: of a core that the generator used, mean
    latency    = "connect" | "ack" | "delivery" | "caught_up" | "slow"
    statistic  = "p" number up to 100 | "mean" | "max"
    value      = number, with "us", "ms" or "s" (times; "ms" if left out) or "%" (shares)
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from tasktree_rt.errors import ClientError
from tasktree_rt.load.account import FAULTS
from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.tally import DELIVERY, LATENCIES
from tasktree_rt.load.units import read_duration

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_SHAPE: Final = re.compile(
    r"\s*([\w.]+)\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-zµ%]*)\s*", re.IGNORECASE
)
_STATISTIC: Final = re.compile(r"p(\d{1,3}(?:\.\d+)?)|mean|max")
_FAULTS: Final = (*FAULTS, "trees_differ")
_COUNTS: Final = ("merged", "states", "gaps")
_TOP: Final = ("published", "acked", "delivered", "delivered_per_second")
_TIMES: Final = ("us", "µs", "ms", "s", "")

Report = Mapping[str, Any]


@frozen
class Threshold:
    """One condition; a test in which it holds has failed. `value`: in ms if it is a time."""

    text: str
    metric: str
    sign: str
    value: float

    def judge(self, report: Report) -> str:
        """Return what is wrong in a report; "" if the condition does not hold."""
        found = measured(report, self.metric)
        if found is None:
            return f"{self.text}: there is no value of {self.metric}"
        if _OPERATORS[self.sign](found, self.value):
            return f"{self.text}: it is {found:,.3f}".rstrip("0").rstrip(".")
        return ""


def read_threshold(text: str) -> Threshold:
    """Read a condition.

    Raises:
        ClientError: it is none; the message says what was expected.
    """
    hit = _SHAPE.fullmatch(text)
    if hit is None:
        raise ClientError(f'--fail-if: expected a condition like "p99 > 200ms" or "lost > 0", got {text!r}')
    metric, sign, number, unit = hit.groups()
    if _is_time(metric):
        if unit not in _TIMES:
            raise ClientError(f"--fail-if: {text!r}: expected us, ms or s after {number}, got {unit!r}")
        return Threshold(text.strip(), metric, sign, read_duration(f"{number}{unit or 'ms'}") * 1000)
    if metric == "generator.busy":
        if unit not in ("%", ""):
            raise ClientError(f"--fail-if: {text!r}: expected % or nothing after {number}, got {unit!r}")
        return Threshold(text.strip(), metric, sign, float(number) / (100 if unit else 1))
    if metric not in (*_FAULTS, "faults", "errors", *_COUNTS, *_TOP):
        names = ", ".join((*_FAULTS, "faults", "errors", *_COUNTS, *_TOP, "generator.lag", "generator.busy"))
        latencies = ", ".join(LATENCIES)
        raise ClientError(
            f"--fail-if: {text!r}: unknown metric {metric!r}; expected p50, p99, …, mean or max, of "
            f"{latencies} (as in ack.p99), or {names}"
        )
    if unit:
        raise ClientError(f"--fail-if: {text!r}: expected a plain number, got {number}{unit}")
    return Threshold(text.strip(), metric, sign, float(number))


def _is_time(metric: str) -> bool:
    return metric == "generator.lag" or _latency(metric) is not None


def _latency(metric: str) -> tuple[str, str] | None:
    """Return the latency and the statistic that a metric names; None if it names none."""
    latency, _, statistic = metric.partition(".")
    if latency not in LATENCIES:
        latency, statistic = DELIVERY, metric
    hit = _STATISTIC.fullmatch(statistic)
    return None if hit is None or float(hit[1] or 0) > 100 else (latency, statistic)


def measured(report: Report, metric: str) -> float | None:
    """Return a metric's value in a report: times in ms; None if there is none.

    Raises:
        KeyError, TypeError, ValueError: it is no report.
    """
    if _is_time(metric):
        return _time(report, metric)
    if metric == "generator.busy":
        busy = report["generator"]["busy"]
        return sum(busy) / len(busy) if busy else None
    if metric == "faults":
        return float(sum(report["faults"].values()))
    if metric == "errors":
        return float(sum(report["errors"].values()))
    if metric in _FAULTS:
        return float(report["faults"][metric])
    return float(report["counts"].get(metric, 0) if metric in _COUNTS else report[metric])


def _time(report: Report, metric: str) -> float | None:
    if metric == "generator.lag":
        return _statistic(Histogram.read(report["generator"]["loop_lag"]), "p99")
    named = _latency(metric)
    assert named is not None
    return _statistic(Histogram.read(report["latency"][named[0]]["histogram"]), named[1])


def _statistic(histogram: Histogram, name: str) -> float | None:
    if not histogram.count:
        return None
    if name == "mean":
        return histogram.mean / 1000
    return (histogram.max if name == "max" else histogram.percentile(float(name[1:]))) / 1000
