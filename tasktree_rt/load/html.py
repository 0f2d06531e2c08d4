"""The report as one HTML file that needs nothing else: no script, no font, no picture, no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any, Final

from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.plots import Points, plot
from tasktree_rt.load.report import PERCENTILES, faults, summary
from tasktree_rt.load.tally import DELIVERY, LATENCIES

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #8884}td.n,th.n{text-align:right}
svg{width:100%;height:auto;font-size:11px;margin:.6rem 0}
svg{fill:currentColor}svg .title{font-weight:600}
.grid{stroke:#8884;stroke-width:1}.good{color:#059669}.bad{color:#dc2626;font-weight:600}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
"""


def page(found: dict[str, Any]) -> str:
    """Return a report as a page."""
    failed = [one for one in found.get("thresholds", []) if one["broken"]]
    good = not faults(found) and not failed
    verdict = "no fault" if good else f"{faults(found)} faults, {len(failed)} thresholds broken"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>Load test of {escape(found['target'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Load test of {escape(found['target'])}</h1>",
        f'<p class="{"good" if good else "bad"}">{escape(verdict)}</p>',
        f"<p>{escape(found['started'])}, {escape(found['tool'])}</p>",
        f"<pre>{escape(chr(10).join(summary(found)))}</pre>",
        "<h2>Latency (ms)</h2>",
        _table(["", "count", *(f"p{one:g}" for one in PERCENTILES), "max"], _latencies(found)),
        *_plots(found),
        "<h2>Thresholds</h2>" if found.get("thresholds") else "",
        *_thresholds(found),
        "<h2>Plan</h2>",
        _table(["field", "value"], ([name, str(value)] for name, value in found["plan"].items())),
        "<h2>The server's own figures</h2>" if found["server"] else "",
        _table(["metric", "before", "after"], _server(found)) if found["server"] else "",
        "</body></html>\n",
    ]
    return "".join(parts)


def _plots(found: dict[str, Any]) -> Iterator[str]:
    series = found["series"]

    def line(name: str, factor: float = 1.0) -> Points:
        return [(one["seconds"], one[name] * factor) for one in series]

    if series:
        yield "<h2>Over time</h2>"
        yield plot("Deliveries a second", "s", "/s", {"delivered": line("delivered")})
        yield plot("Latency", "s", "ms", {"p50": line("p50"), "p99": line("p99"), "ack p99": line("ack_p99")})
        yield plot("Watchers", "s", "", {"live": line("live")})
        yield plot("Published a second", "s", "/s", {"published": line("published")})
        yield plot(
            "Connections that ended, faults", "s", "", {"ended": line("errors"), "faults": line("faults")}
        )
        yield plot("The generator's core", "s", "%", {"busy": line("busy", 100)})
    histogram = Histogram.read(found["latency"][DELIVERY]["histogram"])
    if histogram.count:
        yield "<h2>Deliveries by percentile</h2>"
        nines = [(share, histogram.percentile(share) / 1000) for share in [*range(1, 100), 99.5, 99.9, 100]]
        yield plot("Latency of a delivery", "%", "ms", {"delivery": nines})


def _latencies(found: dict[str, Any]) -> Iterator[list[str]]:
    for name in LATENCIES:
        one = found["latency"][name]
        if one["count"]:
            shares = [f"{one[f'p{share:g}_ms']:,.2f}" for share in PERCENTILES]
            yield [name, f"{one['count']:,}", *shares, f"{one['max_ms']:,.2f}"]


def _thresholds(found: dict[str, Any]) -> Iterator[str]:
    for one in found.get("thresholds", []):
        kind = "bad" if one["broken"] else "good"
        yield f'<p class="{kind}">{escape(one["broken"] or one["text"] + ": does not hold")}</p>'


def _server(found: dict[str, Any]) -> Iterator[list[str]]:
    for name, one in found["server"].items():
        yield [name, f"{one['before']:,.6g}", f"{one['after']:,.6g}"]


def _table(heads: list[str], rows: Iterable[list[str]]) -> str:
    kinds = ["" if not number else ' class="n"' for number in range(len(heads))]
    head = "".join(f"<th{kind}>{escape(one)}</th>" for kind, one in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(one)}</td>" for kind, one in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
