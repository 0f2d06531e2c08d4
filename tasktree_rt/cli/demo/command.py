"""``tasktree-rt demo``: the command, with the hub it starts or the one it is pointed at."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import trio
from attrs import evolve, frozen
from rich.console import Console

from tasktree_rt.cli.access import access
from tasktree_rt.cli.demo.agent import agent_run
from tasktree_rt.cli.demo.names import project_id
from tasktree_rt.cli.demo.obey_commands import ANNOUNCED, KNOWN, CommandHandler
from tasktree_rt.cli.demo.report import Afterwards, reporting
from tasktree_rt.cli.demo.run import Job, Totals
from tasktree_rt.cli.demo.sinks import ClientSink, HubSink, open_client_sink
from tasktree_rt.cli.flags import hub_flags, load_flags
from tasktree_rt.cli.logging_setup import configure_logging
from tasktree_rt.cli.remote import checked_hub, checked_project, outages_told, patience_option
from tasktree_rt.cli.running import Failed, run
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.cli.serve import announce
from tasktree_rt.cli.settings_sources import DEFAULT, Loaded
from tasktree_rt.cli.signals import stopping
from tasktree_rt.composition.compose import Running, start_hub
from tasktree_rt.core.events import ProjectId
from tasktree_rt.settings import Settings

ASKED: Final = 60.0
"""Seconds for which the agent asks a person …"""
ASKED_ONCE: Final = 2.0
"""… with ``--once``."""
LAST_WORDS: Final = 5.0
"""Seconds for an interrupted run to mark all unfinished nodes as cancelled."""


@frozen
class Options:
    """The command's options."""

    root: bytes
    project: ProjectId
    pace: float | None
    once: bool
    everything: bool
    agent: bool


@click.command("demo")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=bytes), default=".")
@click.option(
    "--pace", type=click.FloatRange(min=0.1), metavar="EVENTS/S", help="Default: quick but watchable."
)
@click.option("--once", is_flag=True, help="Exit when done; default: keep serving and obeying commands.")
@click.option("--all", "everything", is_flag=True, help="Leave nothing out, also not what git ignores.")
@click.option("--agent", is_flag=True, help="Beside it, do a run like an agent's: models, tools, a question.")
@click.option("--project", metavar="ID", help="Project to push into; default: made from the folder's name.")
@click.option("--hub", metavar="URL", help="Push to this running hub instead of starting one.")
@patience_option
@hub_flags
def demo_command(
    folder: bytes,
    pace: float | None,
    once: bool,
    everything: bool,
    agent: bool,
    project: str | None,
    hub: str | None,
    patience: float,
    **flags: Any,
) -> None:
    """Show a hub at work on a real folder: FOLDER, or the current one.

    Starts a hub, pushes every folder and file as a node, and does real work on each: the SHA-256 of every
    file, and whether every .py compiles. A file that fails says why. Open the address it prints to watch.
    Links to folders are not followed; sockets, pipes and devices are not opened. What git ignores is left
    out; where there is no git, what tools keep (.git, .venv, node_modules, __pycache__ …). A new run of the
    same folder replaces the tree of the run before.

    With --hub it starts none and pushes to that one, through any restart of it. Ctrl+C breaks the work off
    and marks what is not over as cancelled.

    It logs what it does, and obeys commands, also after the run: pause and resume; cancel, the whole run or
    one --node; retry, of everything that failed or of one --node, which is read again as it is on disk now.

    With --agent another project appears too: a run like an agent's, which reads the folder with tools, fails
    once and tries again, asks a person, and says what it used. A script stands in place of the model. It
    publishes the beginning of the largest Python file. Each such run is one of the series demo-agent.

    \b
    Examples:
      tasktree-rt demo
      tasktree-rt demo --agent
      tasktree-rt demo ~/src --once --pace 500
      tasktree-rt demo . --hub http://127.0.0.1:8000
      tasktree-rt command src retry --node lib/broken.py --wait
    """
    root = os.path.realpath(folder)
    name = checked_project(project) if project else project_id(os.path.basename(root))
    options = Options(root, name, pace, once, everything, agent)
    if hub is not None:
        _refuse_hub_flags(flags)
        run(_elsewhere, options, checked_hub(hub), patience)
        return
    settings = _quieter(load_flags(**flags))
    if agent and settings.auth.on:
        raise Failed(
            "--agent: expected a hub without tokens here; for one with tokens start it, and use --hub"
        )
    configure_logging(settings.log)
    run(_here, options, settings)


def _refuse_hub_flags(flags: dict[str, Any]) -> None:
    given = [name for name, value in flags.items() if value not in (None, ()) and name != "config"]
    if given:
        name = {"assignments": "--set"}.get(
            given[0], "--" + given[0].removeprefix("tls__").replace("__", "-")
        )
        raise Failed(f"{name}: is for the hub that demo starts; with --hub it starts none")


def _quieter(loaded: Loaded) -> Settings:
    """Raise the log level to warnings: a line for each connection would break up the progress bar."""
    if loaded.origins["log.level"] != DEFAULT:
        return loaded.settings
    return evolve(loaded.settings, log=evolve(loaded.settings.log, level="warning"))


async def _here(options: Options, settings: Settings) -> None:
    asked, shutdown = trio.Event(), trio.Event()
    with stopping(asked):
        async with trio.open_nursery() as nursery:
            running: Running = await nursery.start(partial(start_hub, settings, shutdown))
            announce(running)
            click.echo(_open_hint(running.address, options.project))
            await _work(options, HubSink(running.hub), asked, partial(_agent, options, running.address, {}))
            shutdown.set()


async def _elsewhere(options: Options, url: str, patience: float) -> None:
    asked = trio.Event()
    with stopping(asked), outages_told(Console(stderr=True)):
        click.echo(_open_hint(url, options.project))
        async with open_client_sink(url, options.project, patience, access()) as sink:
            await _work(options, sink, asked, partial(_agent, options, url, access()))


async def _agent(options: Options, url: str, access: dict[str, Any]) -> None:
    """Do the agent's run, if it is wished."""
    if options.agent:
        root = Path(os.fsdecode(options.root))
        patience = ASKED_ONCE if options.once else ASKED
        await agent_run(url, options.project, root, pace=options.pace, patience=patience, access=access)


async def _work(
    options: Options, sink: HubSink | ClientSink, asked: trio.Event, agent: Callable[[], Awaitable[None]]
) -> None:
    """Run the job until it is done or `asked` to stop; then, if wished, go on until `asked`.

    `agent` runs beside it; with ``--once`` its end is waited for too.
    """
    console = Console(soft_wrap=True)
    folder = printable(options.root.decode("utf-8", "replace"))
    click.echo(
        f"tasktree-rt: {folder}: SHA-256 of every file, compile() of every .py, as project {options.project}"
    )
    job = Job(options.root, options.project, sink, Afterwards(console), options.pace, options.everything)
    async with trio.open_nursery() as nursery:
        handler = CommandHandler(job, stays=not options.once)
        nursery.start_soon(handler.run, sink.commands(options.project, ANNOUNCED))
        beside = await nursery.start(_beside, agent)
        with reporting(console) as job.report:
            totals = await _run(job, asked)
        job.report = Afterwards(console)
        click.echo("tasktree-rt: broken off" if totals is None else _summary(totals))
        if not options.once and not asked.is_set():
            click.echo(f"tasktree-rt: still serving, and obeying {', '.join(KNOWN)}; Ctrl+C ends it")
            await _go_on(job, asked)
        elif not asked.is_set():
            await _either(beside, asked)
        with trio.move_on_after(LAST_WORDS):
            await handler.idle()
        nursery.cancel_scope.cancel()


async def _beside(agent: Callable[[], Awaitable[None]], task_status: trio.TaskStatus[trio.Event]) -> None:
    """Run the agent; the event says that it is over."""
    over = trio.Event()
    task_status.started(over)
    await agent()
    over.set()


async def _either(one: trio.Event, other: trio.Event) -> None:
    """Wait for one of two events."""
    async with trio.open_nursery() as nursery:

        async def ends(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(ends, one)
        nursery.start_soon(ends, other)


async def _run(job: Job, asked: trio.Event) -> Totals | None:
    """Run the job; return its totals, or None if `asked` or a command ended it early."""

    async def watch() -> None:
        await asked.wait()
        job.break_off()
        bound.deadline = trio.current_time() + LAST_WORDS

    with trio.CancelScope() as bound:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            totals = await job.run()
            nursery.cancel_scope.cancel()
            if not job.broken_off:
                return totals
    return None


async def _go_on(job: Job, asked: trio.Event) -> None:
    """Retry the files that commands name, until `asked` is set."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(job.go_on)
        await asked.wait()
        job.break_off()
        with trio.move_on_after(LAST_WORDS):
            await job.rest.wait()
        nursery.cancel_scope.cancel()


def _open_hint(address: str, project: ProjectId) -> str:
    return f"tasktree-rt: open {address}/p/{project}/tree in a browser"


def _summary(totals: Totals) -> str:
    done = totals.files - totals.failed - totals.vanished - totals.cancelled
    gone = f", {totals.cancelled} cancelled" if totals.cancelled else ""
    gone += f", {totals.vanished} vanished meanwhile" if totals.vanished else ""
    return (
        f"tasktree-rt: done: {totals.folders} folders, {done} files completed, {totals.failed} failed{gone}"
    )
