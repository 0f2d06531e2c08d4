"""Live progress: a table on a terminal, a line a second in a pipe."""

from __future__ import annotations

from rich.table import Table

from tasktree_rt.load.plan import Plan
from tasktree_rt.load.series import Sample


def line(phase: str, sample: Sample | None) -> str:
    """Return progress as one line."""
    if sample is None:
        return phase
    return (
        f"{sample.seconds:6.0f} s  {sample.live} watchers  {sample.published:,.0f} published/s  "
        f"{sample.delivered:,.0f} delivered/s  p50 {sample.p50:.1f} ms  p99 {sample.p99:.1f} ms  "
        f"{sample.errors} errors  {sample.faults} faults  generator {sample.busy:.0%}"
    )


def table(plan: Plan, phase: str, sample: Sample | None) -> Table:
    """Return progress as a table."""
    found = Table(title=f"{phase}", title_justify="left", show_header=False, box=None)
    found.add_column(justify="right", style="cyan")
    found.add_column()
    if sample is None:
        found.add_row("watchers", f"{plan.watchers}")
        return found
    rows = {
        "time": f"{sample.seconds:.0f} of {plan.duration:.0f} s",
        "watchers": f"{sample.live} of {plan.watchers}",
        "published": f"{sample.published:,.0f}/s",
        "delivered": f"{sample.delivered:,.0f}/s",
        "delivery": f"p50 {sample.p50:.1f} ms, p99 {sample.p99:.1f} ms",
        "ack": f"p99 {sample.ack_p99:.1f} ms",
        "ended": f"{sample.errors} connections",
        "faults": f"{sample.faults}",
        "generator": f"{sample.busy:.0%} of a core",
    }
    for name, text in rows.items():
        found.add_row(name, text)
    return found
