"""The command ``tasktree-rt export``: write a project's events to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import click

from tasktree_rt import private
from tasktree_rt.brokers.base import Life
from tasktree_rt.brokers.sqlite.archive import Archive
from tasktree_rt.cli.flags import load_flags
from tasktree_rt.cli.remote import checked_project
from tasktree_rt.cli.running import Failed, reader_may_leave
from tasktree_rt.composition.stores import store_path
from tasktree_rt.core.events import Event, Json, Record
from tasktree_rt.core.log import Position
from tasktree_rt.core.reserved_names import RESERVED
from tasktree_rt.dialects.base import decode_body, decode_json, encode_json, with_position
from tasktree_rt.errors import InvalidInput, StoreUnusable
from tasktree_rt.hub.projects.large_values import WHOLE
from tasktree_rt.web.state_response import nodes_in, state_pieces

LOST: Final = "events_lost"
STATE: Final = "project_state"
INCOMPLETE: Final = 3
"""Exit code for an incomplete export."""
_READ: Final = 1_000


@click.command("export")
@click.argument("project")
@click.option("--store", metavar="STORE", help="sqlite:PATH; default: the store that `serve` would use here.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="TASKTREE_RT_CONFIG",
    metavar="PATH",
    help="Settings file (TOML).",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to FILE (mode 0600) in place of standard output.",
)
@click.option(
    "--pushable",
    is_flag=True,
    help="Leave out what `push` would refuse (the state, what only a hub says), and the project.",
)
def export_command(
    project: str, store: str | None, config: Path | None, output: Path | None, pushable: bool
) -> None:
    """Write what the store has of PROJECT, damaged or not, as JSON: one event a line, the oldest first.

    Reads the store's file itself, also while a hub has it open, and also where no hub can open it any more.
    If the log was trimmed, the first line is the state before the other lines (type "project_state"). For
    events that cannot be read a line takes their place: {"type": "events_lost", "data": {"first", "last",
    "why"}}, with the seqs of the events. Exit code 0 if complete, 3 if incomplete, 2 if nothing can be read.

    \b
    Examples:
      tasktree-rt export build-7 > build-7.jsonl
      tasktree-rt export build-7 --store sqlite:/var/lib/tasktree-rt/hub.db -o build-7.jsonl
      tasktree-rt export build-7 --pushable | tasktree-rt push build-7-again
    """
    name = checked_project(project)
    path = store_path(load_flags(config=config, assignments=(), store=store).settings.store)
    if path is None:
        raise Failed("expected --store sqlite:PATH: this command reads the file of a store")
    try:
        archive = Archive(str(path))
        try:
            export = Export(archive, name, pushable=pushable)
            with reader_may_leave(), _opened(output) as file:
                file.writelines(export.lines())
        finally:
            archive.close()
    except (StoreUnusable, OSError) as error:
        raise Failed(str(error)) from None
    click.echo(f"tasktree-rt: {export.events} events, {export.lost} lost", err=True)
    sys.exit(INCOMPLETE if export.lost else 0)


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, private.FILE)
    private.tighten(descriptor)
    with open(descriptor, "wb") as file:
        yield file


class Export:
    """The export of one project. `events` and `lost` count the written and the lost events."""

    def __init__(self, archive: Archive, project: str, *, pushable: bool) -> None:
        outline = archive.outline(project)
        if outline.summary is None:
            raise Failed(f"there is no project {project!r} in the store")
        self._archive = archive
        self._project = project
        self._pushable = pushable
        self._life = outline.life
        self._newest = outline.newest
        self.events = 0
        self.lost = 0

    def lines(self) -> Iterator[bytes]:
        """Yield every line of the export, in order."""
        if self._life.floor:
            yield from self._state(self._life)
        at = self._life.floor
        while at < self._newest:
            found = self._archive.salvage(self._project, at, _READ)
            for record in found.records:
                yield from self._gap(at + 1, record.seq - 1, "missing")
                yield from self._event(record)
                at = record.seq
            reached = max(found.reached, at) if found.reached > at or found.records else self._newest
            yield from self._gap(at + 1, reached, "missing")
            at = reached

    def _event(self, record: Record) -> Iterator[bytes]:
        try:
            event = decode_body(record.body)
        except Exception as error:  # whatever the codec says of bytes that it did not write
            yield from self._gap(record.seq, record.seq, f"cannot be read: {type(error).__name__}")
            return
        if self._pushable and event.type in RESERVED:
            return
        self.events += 1
        yield (self._bare(event) if self._pushable else with_position(record, self._life.epoch)) + b"\n"

    @staticmethod
    def _bare(event: Event) -> bytes:
        """Return the event without its project, ready to push to any project."""
        return encode_json({"type": event.type, "data": event.data, "timestamp": event.timestamp})

    def _gap(self, first: int, last: int, why: str) -> Iterator[bytes]:
        if first > last:
            return
        self.lost += last - first + 1
        said: Json = {"type": LOST, "data": {"first": first, "last": last, "why": why}}
        yield encode_json(said if self._pushable else {**said, "project_id": self._project}) + b"\n"

    def _state(self, life: Life) -> Iterator[bytes]:
        """Return the oldest readable state; without one the trimmed events are lost."""
        for seq in reversed(self._archive.checkpoints(self._project)):
            with suppress(InvalidInput, TypeError, ValueError, KeyError):
                line = self._state_at(Position(life.epoch, seq)) if seq >= life.floor else None
                if line is not None:
                    if not self._pushable:
                        yield line
                    return
        yield from self._gap(1, life.floor, "trimmed, and no stored state can be read")

    def _state_at(self, position: Position) -> bytes | None:
        found = self._archive.checkpoint(self._project, position)
        if found is None or not found.parts:
            return None
        top, *nodes = found.parts
        head = {"type": STATE, "project_id": self._project, "epoch": position.epoch, "seq": position.seq}
        said = state_pieces(head, self._project, decode_json(top, ours=True), nodes_in(nodes, WHOLE))
        return b"".join(said) + b"\n"
