"""The report of a test: one JSON object with every figure, and the lines that a person reads first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from tasktree_rt import __version__
from tasktree_rt.load.account import FAULTS
from tasktree_rt.load.conduct import Outcome
from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.languages.base import METHODS
from tasktree_rt.load.layout import language
from tasktree_rt.load.server_figures import CPU, TIMINGS
from tasktree_rt.load.tally import LATENCIES

FORMAT: Final = 1
PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9)


def report(outcome: Outcome) -> dict[str, Any]:
    """Return everything that a test found."""
    plan, tally = outcome.plan, outcome.tally
    trees_differ = sum(one["expected"] != one["found"] for one in outcome.trees)
    delivered = tally.counts["delivered"]
    return {
        "format": FORMAT,
        "tool": f"tasktree-rt {__version__}",
        "started": datetime.fromtimestamp(outcome.started, UTC).isoformat(timespec="seconds"),
        "target": outcome.target.url,
        "plan": plan.to_json(),
        "seconds": round(outcome.seconds, 3),
        "interrupted": outcome.interrupted,
        "methods": {one: METHODS[language(plan, one).traits.method] for one in plan.dialect},
        "published": outcome.published,
        "acked": tally.counts["acked"],
        "delivered": delivered,
        "delivered_per_second": round(delivered / outcome.seconds, 1) if outcome.seconds else 0.0,
        "faults": {**{name: tally.faults[name] for name in FAULTS}, "trees_differ": trees_differ},
        "examples": tally.examples,
        "counts": {name: tally.counts[name] for name in sorted(tally.counts)},
        "errors": dict(tally.errors.most_common()),
        "latency": {name: _latency(tally.latencies[name]) for name in LATENCIES},
        "trees": outcome.trees,
        "series": outcome.series.to_json(),
        "generator": outcome.watch.to_json(),
        "server": outcome.server.to_json(),
        "server_cpu_seconds": outcome.server.growth(CPU),
        "server_ms": {name: outcome.server.mean_ms(name) for name in TIMINGS},
    }


def _latency(histogram: Histogram) -> dict[str, Any]:
    found: dict[str, Any] = {"count": histogram.count, "mean_ms": round(histogram.mean / 1000, 3)}
    for share in PERCENTILES:
        found[f"p{share:g}_ms"] = round(histogram.percentile(share) / 1000, 3)
    return {**found, "max_ms": round(histogram.max / 1000, 3), "histogram": histogram.to_json()}


def faults(found: dict[str, Any]) -> int:
    """Return how many faults a report has."""
    return sum(found["faults"].values())


def summary(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that a person reads."""
    plan, counts = found["plan"], found["counts"]
    yield f"{found['target']}: {plan['watchers']} watchers, {found['seconds']:.1f} s"
    if found["interrupted"]:
        yield f"ended early: {found['interrupted']}"
    yield (
        f"published {found['published']:,} events, delivered {found['delivered']:,} "
        f"({found['delivered_per_second']:,.0f}/s)" + _more(counts)
    )
    for name, explained in LATENCIES.items():
        one = found["latency"][name]
        if one["count"]:
            yield (
                f"{name:10} p50 {_ms(one['p50_ms'])}  p90 {_ms(one['p90_ms'])}  p99 {_ms(one['p99_ms'])}  "
                f"p99.9 {_ms(one['p99.9_ms'])}  max {_ms(one['max_ms'])}   ({explained})"
            )
    yield from _reconciled(found)
    if found["errors"]:
        yield "connections ended: " + ", ".join(f"{kind} ×{count}" for kind, count in found["errors"].items())
    yield from _server(found)
    if found["generator"]["bottleneck"]:
        yield f"warning: {found['generator']['bottleneck']}"


def _more(counts: dict[str, int]) -> str:
    names = {
        "merged": "merged",
        "states": "whole states",
        "gaps": "gaps that the hub reported",
        "left": "left",
    }
    return "".join(f", {counts[name]:,} {text}" for name, text in names.items() if counts.get(name))


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _reconciled(found: dict[str, Any]) -> Iterator[str]:
    for dialect, method in found["methods"].items():
        yield f"{dialect}: reconciled {method}"
    wrong = {name.replace("_", " "): count for name, count in found["faults"].items() if count}
    if not wrong:
        trees = f"; {len(found['trees'])} trees have the hash of the hub's" if found["trees"] else ""
        watchers = found["counts"].get("reconciled", 0)
        yield f"no fault: every delivery of {watchers} watchers is accounted for{trees}"
        return
    yield "FAULTS: " + ", ".join(f"{count:,} {name}" for name, count in wrong.items())
    yield from (f"  {one}" for one in found["examples"])


def _server(found: dict[str, Any]) -> Iterator[str]:
    means = [
        f"{TIMINGS[name]} took {_ms(value)} (mean)" for name, value in found["server_ms"].items() if value
    ]
    if (cpu := found["server_cpu_seconds"]) is not None and found["seconds"]:
        means.append(f"{cpu / found['seconds']:.0%} of a core")
    if means:
        yield "the server's own figures: " + ", ".join(means)
