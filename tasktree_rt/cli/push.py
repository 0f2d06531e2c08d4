"""The command ``tasktree-rt push``: publish events from arguments or standard input."""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import click
import trio
from attrs import define, frozen
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tasktree_rt.cli.access import access
from tasktree_rt.cli.events_input import BadInput, Batch, batches, content_id, read_items
from tasktree_rt.cli.remote import (
    checked_hub,
    checked_project,
    hub_option,
    outages_told,
    patience_option,
)
from tasktree_rt.cli.running import Failed, run
from tasktree_rt.client.producer.open_orchestrator import open_orchestrator
from tasktree_rt.client.producer.orchestrator import Orchestrator
from tasktree_rt.client.producer.receipt import Receipt
from tasktree_rt.core.events import ProjectId
from tasktree_rt.errors import PublishRefused
from tasktree_rt.settings import MOST

_IN_FLIGHT: Final = 64


@define
class Pushed:
    """The progress of a push."""

    events: int = 0
    duplicates: int = 0

    def __str__(self) -> str:
        again = f" ({self.duplicates} were there from an earlier push)" if self.duplicates else ""
        return f"{self.events} events acknowledged{again}"


@frozen
class Source:
    """The input of a push, and the producer's identity.

    Attributes:
        size: bytes of the input, if it has an end.
    """

    project: ProjectId
    batches: Iterator[Batch]
    producer_id: str
    size: int | None


@click.command("push")
@click.argument("project")
@click.argument("file", type=click.File("rb"), default="-")
@hub_option
@click.option("--producer-id", help="Instead of the one made from FILE's content.")
@patience_option
def push_command(project: str, file: BinaryIO, hub: str, producer_id: str | None, patience: float) -> None:
    """Push events of FILE, or of standard input, into PROJECT; ends when all are acknowledged.

    One JSON event a line, or one JSON array of events. The command waits through an outage of the hub.
    Pushing the same FILE again within 24 hours continues after the last acknowledged event and doubles
    nothing: the id of a publish is the hash of the whole FILE and a number. Standard input is pushed as it
    arrives, event by event; with --producer-id the same input can be resumed too. The first event that is
    invalid or refused ends the push, and the error names its line; the hub keeps the events before it.

    \b
    Examples:
      tasktree-rt push build-7 events.ndjson
      echo '{"type": "log", "data": {"level": "info", "message": "hi"}}' | tasktree-rt push build-7
    """
    source = _source(checked_project(project), file, producer_id)
    pushed = Pushed()
    console = Console(stderr=True)
    try:
        with outages_told(console):
            run(_push, checked_hub(hub), source, patience, console, pushed)
    except Failed as error:
        raise Failed(f"{error.message}; before that, {pushed}") from None
    click.echo(f"tasktree-rt: {source.project}: {pushed}")


def _source(project: ProjectId, file: BinaryIO, producer_id: str | None) -> Source:
    live = file is sys.stdin.buffer or not file.seekable()
    if live:
        events = batches(read_items(file, project), most=1)
        return Source(project, events, producer_id or f"push-{secrets.token_hex(8)}", None)
    named = content_id(file, project)
    size = file.tell()
    file.seek(0)
    return Source(project, batches(read_items(file, project)), producer_id or named, size)


async def _push(url: str, source: Source, patience: float, console: Console, pushed: Pushed) -> None:
    client = open_orchestrator(
        url,
        source.producer_id,
        **access(),
        max_node_size=MOST,  # the hub knows its own
        on_refused=lambda receipt, why: None,
        patience=patience,
    )
    sent, receipts = trio.open_memory_channel[tuple[Batch, Receipt]](_IN_FLIGHT)
    fault: BadInput | None = None
    async with client as orchestrator, trio.open_nursery() as nursery:
        nursery.start_soon(_confirm, receipts, source.size, console, pushed)
        async with sent:
            try:
                while batch := await trio.to_thread.run_sync(
                    next, source.batches, None, abandon_on_cancel=True
                ):
                    await sent.send((batch, await _publish(orchestrator, batch)))
            except BadInput as error:
                fault = error
    if fault is not None:
        raise Failed(str(fault))


async def _publish(orchestrator: Orchestrator, batch: Batch) -> Receipt:
    try:
        return await orchestrator.publish([item.event for item in batch.items], id=batch.id)
    except PublishRefused as error:
        raise BadInput(f"{_place(batch, error)}: {error.code}: {error.message}") from None


async def _confirm(
    receipts: trio.MemoryReceiveChannel[tuple[Batch, Receipt]],
    size: int | None,
    console: Console,
    pushed: Pushed,
) -> None:
    with _bar(console, size) as advance:
        async for batch, receipt in receipts:
            try:
                acked = await receipt.acked()
            except PublishRefused as error:
                raise Failed(f"{_place(batch, error)}: {error.code}: {error.message}") from None
            pushed.events += len(batch.items)
            pushed.duplicates += len(batch.items) if acked.duplicate else 0
            advance(batch.size)


@contextmanager
def _bar(console: Console, size: int | None) -> Iterator[Callable[[int], None]]:
    """Make a progress bar by bytes; no bar without a terminal."""
    columns = (TextColumn("pushing"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=size)
        yield lambda step: progress.advance(task, step)


def _place(batch: Batch, error: PublishRefused) -> str:
    """Return the line or item that a refusal names; for a whole publish, its first and last."""
    hit = re.match(r"events\[(\d+)\](?:\.(.+))?", error.field or "")
    if hit and int(hit[1]) < len(batch.items):
        return batch.items[int(hit[1])].place + (f": {hit[2]}" if hit[2] else "")
    first, last = batch.items[0].place, batch.items[-1].place
    return first if first == last else f"{first} to {last}"
