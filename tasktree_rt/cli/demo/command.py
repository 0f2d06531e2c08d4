"""``tasktree-rt demo``: the command, with the hub it starts or the one it is pointed at."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import click
import trio
from attrs import evolve, frozen
from rich.console import Console

from tasktree_rt.cli.compose import Running, start_hub
from tasktree_rt.cli.demo.feed import Sink
from tasktree_rt.cli.demo.names import project_id
from tasktree_rt.cli.demo.report import reporting
from tasktree_rt.cli.demo.run import Job, Totals
from tasktree_rt.cli.demo.sinks import HubSink, open_client_sink
from tasktree_rt.cli.flags import hub_flags, load_flags
from tasktree_rt.cli.logs import configure_logging
from tasktree_rt.cli.remote import checked_hub, checked_project, outages_told, patience_option, token
from tasktree_rt.cli.running import Failed, run
from tasktree_rt.cli.serve import announce
from tasktree_rt.cli.sources import DEFAULT, Loaded
from tasktree_rt.cli.stopping import stopping
from tasktree_rt.cli.text import printable
from tasktree_rt.core.events import ProjectId
from tasktree_rt.settings import Settings

LAST_WORDS: Final = 2.0
"""Seconds that an interrupted run has to say so."""


@frozen
class Wish:
    """What the command line asks for."""

    root: bytes
    project: ProjectId
    pace: float | None
    once: bool


@click.command("demo")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=bytes), default=".")
@click.option(
    "--pace", type=click.FloatRange(min=0.1), metavar="EVENTS/S", help="Default: quick but watchable."
)
@click.option("--once", is_flag=True, help="Exit when done; default: keep serving.")
@click.option("--project", metavar="ID", help="Project to push into; default: made from the folder's name.")
@click.option("--hub", metavar="URL", help="Push to this running hub instead of starting one.")
@patience_option
@hub_flags
def demo_command(
    folder: bytes,
    pace: float | None,
    once: bool,
    project: str | None,
    hub: str | None,
    patience: float,
    **flags: Any,
) -> None:
    """Show a hub at work on a real folder: FOLDER, or the current one.

    Starts a hub, pushes every folder and file as a node, and does real work on each: the SHA-256 of every
    file, and whether every .py compiles. A file that fails says why. Open the address it prints to watch.
    Links to folders are not followed; sockets, pipes and devices are not opened. A new run of the same
    folder replaces the tree of the run before.

    With --hub it starts none and pushes to that one, through any restart of it, and ends when done.

    \b
    Examples:
      tasktree-rt demo
      tasktree-rt demo ~/src --once --pace 500
      tasktree-rt demo . --hub http://127.0.0.1:8000
    """
    root = os.path.realpath(folder)
    name = checked_project(project) if project else project_id(os.path.basename(root))
    wish = Wish(root, name, pace, once or hub is not None)
    if hub is not None:
        _refuse_hub_flags(flags)
        run(_elsewhere, wish, checked_hub(hub), patience)
        return
    settings = _quieter(load_flags(**flags))
    configure_logging(settings.log)
    run(_here, wish, settings)


def _refuse_hub_flags(flags: dict[str, Any]) -> None:
    given = [name for name, value in flags.items() if value not in (None, ()) and name != "config"]
    if given:
        name = {"assignments": "--set"}.get(given[0], "--" + given[0].replace("__", "-"))
        raise Failed(f"{name}: is for the hub that demo starts; with --hub it starts none")


def _quieter(loaded: Loaded) -> Settings:
    """A line for each connection would break up the progress bar; whoever wants them says so."""
    if loaded.origins["log.level"] != DEFAULT:
        return loaded.settings
    return evolve(loaded.settings, log=evolve(loaded.settings.log, level="warning"))


async def _here(wish: Wish, settings: Settings) -> None:
    asked, shutdown = trio.Event(), trio.Event()
    with stopping(asked):
        async with trio.open_nursery() as nursery:
            running: Running = await nursery.start(partial(start_hub, settings, shutdown))
            announce(running)
            click.echo(_open_hint(running.address, wish.project))
            await _work(wish, HubSink(running.hub), asked)
            if not wish.once and not asked.is_set():
                click.echo("tasktree-rt: still serving; Ctrl+C ends it")
                await asked.wait()
            shutdown.set()


async def _elsewhere(wish: Wish, url: str, patience: float) -> None:
    asked = trio.Event()
    with stopping(asked), outages_told(Console(stderr=True)):
        click.echo(_open_hint(url, wish.project))
        async with open_client_sink(url, token(), patience) as sink:
            await _work(wish, sink, asked)


async def _work(wish: Wish, sink: Sink, asked: trio.Event) -> None:
    """Run the job until it is done or `asked` to stop."""
    console = Console(soft_wrap=True)
    folder = printable(wish.root.decode("utf-8", "replace"))
    click.echo(
        f"tasktree-rt: {folder}: SHA-256 of every file, compile() of every .py, as project {wish.project}"
    )

    with reporting(console) as report:
        job = Job(wish.root, wish.project, sink, report, wish.pace)
        async with _until(asked) as scope:
            totals = await job.run()
    if scope.cancelled_caught:
        with trio.move_on_after(LAST_WORDS):
            await job.give_up()
        click.echo("tasktree-rt: broken off")
    else:
        click.echo(_summary(totals))


@asynccontextmanager
async def _until(event: trio.Event) -> AsyncIterator[trio.CancelScope]:
    """Cancels its body when `event` is set."""

    async def watch() -> None:
        await event.wait()
        scope.cancel()

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            yield scope
            nursery.cancel_scope.cancel()


def _open_hint(address: str, project: ProjectId) -> str:
    return f"tasktree-rt: open {address}/ in a browser (project {project})"


def _summary(totals: Totals) -> str:
    done = totals.files - totals.failed - totals.vanished
    gone = f", {totals.vanished} vanished meanwhile" if totals.vanished else ""
    return (
        f"tasktree-rt: done: {totals.folders} folders, {done} files completed, {totals.failed} failed{gone}"
    )
