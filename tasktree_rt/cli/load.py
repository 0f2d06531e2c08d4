"""The command ``tasktree-rt load``: a load test on any hub, or on any WebSocket broadcast server."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import trio
from rich.console import Console
from rich.live import Live

from tasktree_rt.cli.access import TOKEN_VARIABLE, access, tls_options
from tasktree_rt.cli.running import Failed, run
from tasktree_rt.client.transport.tls import tls_context
from tasktree_rt.client.urls import DEFAULT_HUB
from tasktree_rt.errors import ClientError, HubError
from tasktree_rt.load.compare import compare as compare_reports
from tasktree_rt.load.compare import differing_plans, read_report
from tasktree_rt.load.conduct import Conductor, Outcome
from tasktree_rt.load.html import page
from tasktree_rt.load.plan import Plan, plan_fields, read_plan
from tasktree_rt.load.progress import line, table
from tasktree_rt.load.report import faults, report, summary
from tasktree_rt.load.series import Sample
from tasktree_rt.load.target import Target, resolve, split
from tasktree_rt.load.thresholds import read_threshold
from tasktree_rt.load.workers import Worker, forked

FAULTY: Final = 1
INTERRUPTED: Final = 130
"""Exit codes: a fault was found; interrupted without a fault."""


def _plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add a flag for each field of a plan; `plan.read_plan` checks the values."""
    for name, metavar, text in reversed(_FLAGS):
        command = click.option(f"--{name.replace('_', '-')}", name, metavar=metavar, help=text)(command)
    return command


_FLAGS: Final = (
    ("dialect", "NAME[:WEIGHT],…", "tasktree.v1, plain, sse; execution, autogpt, aiecs; broadcast."),
    ("watchers", "N", "How many watch. Default 100."),
    ("projects", "N", "How many projects they watch. Default 1."),
    ("spread", "HOW", "even, or skewed: few projects have most of the watchers."),
    ("policy", "NAME", "For slow readers: conflate, resync or disconnect."),
    ("ramp", "TIME", "Over which the watchers connect. Default: at once."),
    ("rate", "N", "Events a second, over all projects. Default 10."),
    ("size", "BYTES", "Of an event, about. Default 512."),
    ("nodes", "N", "Of each project. Default 100."),
    ("burst", "N", "So many events at once …"),
    ("burst_every", "TIME", "… each so often."),
    ("slow", "SHARE", "Of the watchers that read slowly, like 5%."),
    ("slow_rate", "BYTES", "That they read a second."),
    ("stalled", "SHARE", "Of the watchers that read nothing."),
    ("half_open", "SHARE", "Of the watchers that answer nothing."),
    ("churn", "N", "Watchers a second that leave and come back."),
    ("storms", "TIME,…", "Moments at which all watchers reconnect at once."),
    ("restart_command", "COMMAND", "Restarts (a part of) the server …"),
    ("restart_every", "TIME", "… each so often."),
    ("prompts", "N", "A second, opened and answered."),
    ("duration", "TIME", "Of publishing. Default 30s."),
    ("settle", "TIME", "How long the last deliveries may take. Default 10s."),
    ("processes", "N", "That read. Default: this one."),
    (
        "publish_url",
        "URL",
        "broadcast: where to publish (ws, wss: a message each; http, https: a POST each).",
    ),
    ("publish_command", "COMMAND", "broadcast: reads one message a line and publishes it."),
    ("message", "TEXT", "broadcast: what is published, with {n}, {t} and {pad}."),
    ("hello", "TEXT", "broadcast: what each watcher sends first."),
    ("number", "PATH|/REGEX/", "broadcast: where the number is in a message. Default n."),
    ("time", "PATH|/REGEX/", "broadcast: where the time is. Default t."),
)


@click.command("load")
@click.argument("url", default=DEFAULT_HUB)
@click.option(
    "--plan", "plan_name", metavar="NAME|FILE", help="dashboard, storm, slow-readers, soak, or a TOML file."
)
@_plan_options
@click.option("--token", metavar="TOKEN", help=f"Default: {TOKEN_VARIABLE}, which `ps` does not show.")
@click.option(
    "--token-file", type=click.Path(dir_okay=False, path_type=Path), help="One token a line, used in turn."
)
@tls_options
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help='Fail if it holds, like "p99 > 200ms", "ack.p99.9 > 1s", "errors > 0"; repeatable.',
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="A.json B.json",
    help="Run no test: say what became worse from report A to report B.",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page with plots here.",
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every figure here."
)
def load_command(
    url: str,
    plan_name: str | None,
    token: str | None,
    token_file: Path | None,
    conditions: tuple[str, ...],
    compare: tuple[Path, Path] | None,
    html_file: Path | None,
    json_file: Path | None,
    **flags: str | None,
) -> int:
    """Test the hub, or another WebSocket server, at URL under load; reconcile every delivery.

    Ends with a report, also after Ctrl+C. Flags take precedence over the fields of --plan.

    \b
    Exit codes: 0 no fault; 1 a delivery was lost, doubled, out of order or wrong, a tree is not the hub's, a
    condition of --fail-if holds, or with --compare something became worse; 2 the test could not begin;
    130 interrupted, without a fault.

    \b
    Examples:
      tasktree-rt load http://127.0.0.1:8000 --watchers 1000 --rate 100 --duration 30s --json report.json
      tasktree-rt load https://hub.example.org --plan storm --token-file tokens.txt
      tasktree-rt load ws://127.0.0.1:9000/feed --dialect broadcast --publish-url ws://127.0.0.1:9000/push
    """
    try:
        if compare is not None:
            return _compare(*compare)
        thresholds = [read_threshold(one) for one in conditions]
        plan = _plan(plan_name, flags)
    except ClientError as error:
        raise Failed(str(error)) from None
    target = _target(url, _tokens(token, token_file))
    with forked(plan, target) as workers:
        found = report(run(_conduct, plan, target, workers))
    found["thresholds"] = [{"text": one.text, "broken": one.judge(found)} for one in thresholds]
    if json_file is not None:
        _write(json_file, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    if html_file is not None:
        _write(html_file, page(found))
    broken = [one["broken"] for one in found["thresholds"] if one["broken"]]
    for text in (*summary(found), *(f"FAILED: {one}" for one in broken)):
        click.echo(text)
    if faults(found) or broken:
        return FAULTY
    return INTERRUPTED if found["interrupted"] else 0


def _compare(first: Path, second: Path) -> int:
    before, after = read_report(first), read_report(second)
    if differing := differing_plans(before, after):
        click.echo(f"the plans differ in {', '.join(differing)}")
    rows = list(compare_reports(before, after))
    for row in sorted(rows, key=lambda one: ("worse", "better", "same").index(one.verdict)):
        click.echo(str(row))
    return FAULTY if any(row.verdict == "worse" for row in rows) else 0


def _plan(name: str | None, flags: dict[str, str | None]) -> Plan:
    given, place = plan_fields(name) if name else ({}, "")
    read_plan(given, place)  # so that an error of the file names the file
    own = {key: _value(key, value) for key, value in flags.items() if value is not None}
    return read_plan({**given, **own})


_NUMBERS: Final = frozenset(
    ["watchers", "projects", "rate", "nodes", "burst", "churn", "prompts", "processes"]
)


def _value(name: str, text: str) -> object:
    if name == "storms":
        return [one.strip() for one in text.split(",")]
    if name in _NUMBERS:
        try:
            return float(text) if "." in text else int(text.replace(",", "").replace("_", ""))
        except ValueError:
            return text
    return text


def _tokens(token: str | None, file: Path | None) -> tuple[str, ...]:
    if token and file:
        raise Failed("--token: expected no --token-file beside it")
    if file is None:
        found = token or os.environ.get(TOKEN_VARIABLE)
        return (found,) if found else ()
    try:
        lines = tuple(one.strip() for one in file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"--token-file: {file}: {getattr(error, 'strerror', None) or error}") from None
    if not any(lines):
        raise Failed(f"--token-file: {file}: expected one token a line, found none")
    return tuple(filter(None, lines))


def _target(url: str, tokens: tuple[str, ...]) -> Target:
    try:
        secure = split(url).scheme in ("https", "wss")
        context = tls_context(url, access().get("verify", True), None) if secure else None
        return resolve(url, context=context, tokens=tokens)
    except HubError as error:
        raise Failed(str(error)) from None


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Failed(f"{file}: {error.strerror or error}") from None


async def _conduct(plan: Plan, target: Target, workers: list[Worker]) -> Outcome:
    console = Console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(phase: str, sample: Sample | None) -> None:
            if console.is_terminal:
                live.update(table(plan, phase, sample), refresh=True)
            else:
                click.echo(line(phase, sample), err=True)

        conductor = Conductor(plan, target, show, workers)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, conductor)
            outcome = await conductor.run()
            nursery.cancel_scope.cancel()
    return outcome


async def _stop_on_signal(conductor: Conductor) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if conductor.outcome.interrupted:
                sys.exit(INTERRUPTED)
            conductor.stop(signal.Signals(number).name)
