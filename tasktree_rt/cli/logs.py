"""The command ``tasktree-rt logs``: print a project's log lines, and follow them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Final

import click
from attrs import define

from tasktree_rt.cli.access import access
from tasktree_rt.cli.log_lines import Printer
from tasktree_rt.cli.remote import (
    checked_hub,
    checked_project,
    desk_at,
    event_json,
    hub_option,
    patience_option,
    raise_if_refused,
)
from tasktree_rt.cli.running import reader_may_leave, run
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.cli.waiting import say
from tasktree_rt.client.interactions.api_client import ApiClient
from tasktree_rt.client.watcher.messages import (
    Behind,
    Conflated,
    Disconnected,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    WatchMessage,
)
from tasktree_rt.client.watcher.watcher import open_watcher
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import RequestRefused

PAGE: Final = 1_000
END: Final = "end"


@click.command("logs")
@click.argument("project")
@click.argument("node", required=False)
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=100, show_default=True, help="So many, the newest."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl+C.")
@click.option("--json", "as_json", is_flag=True, help="Print the events, one JSON object a line.")
@hub_option
@patience_option
def logs_command(
    project: str, node: str | None, lines: int, follow: bool, as_json: bool, hub: str, patience: float
) -> None:
    """Print the newest lines of output of PROJECT, or of one NODE of it.

    A terminal shows their colours; a pipe gets none. With --follow the command continues live, through any
    restart of the hub. For a slow reader the hub skips lines, and does not slow down others that
    watch: the command prints the number of skipped lines on standard error and fetches them.

    \b
    Examples:
      tasktree-rt logs build-7 compile --follow
      tasktree-rt logs build-7 -n 1000 --json | jq -r .data.message
    """
    name, url = checked_project(project), checked_hub(hub)
    with reader_may_leave():
        run(_logs, url, Tail(name, node, None if as_json else _printer(node)), lines, follow, patience)


def _printer(node: str | None) -> Printer:
    return Printer(colours=sys.stdout.isatty(), named=node is None)


async def _logs(url: str, tail: Tail, lines: int, follow: bool, patience: float) -> None:
    async with desk_at(url, patience) as desk:
        if not follow:
            await tail.newest(desk, lines, END)
            return
        watching = open_watcher(url, tail.project, state=False, views=False, patience=patience, **access())
        async with watching as watcher:
            async for message in watcher:
                await tail.take(desk, message, lines)


@define
class Tail:
    """The state of a followed log.

    Attributes:
        printer: None to print JSON.
        at: the position up to which everything is printed; None before the beginning.
    """

    project: str
    node: str | None
    printer: Printer | None
    at: Position | None = None

    async def newest(self, desk: ApiClient, lines: int, before: str) -> None:
        """Print the newest lines before a position, at most `lines`."""
        pages: list[list[Json]] = []
        place: str | None = before
        while place is not None and lines > 0:
            page = await desk.events(
                self.project, before=place, limit=min(lines, PAGE), type="log", node_id=self.node
            )
            pages.append(page.events)
            lines -= len(page.events)
            place = page.next
        for events in reversed(pages):
            self._print(events)

    async def take(self, desk: ApiClient, message: WatchMessage, lines: int) -> None:
        """Print the lines of a message of the hub."""
        raise_if_refused(message)
        match message:
            case Disconnected():
                say(f"{printable(message.reason)}; trying again")
            case Behind():
                say(f"{self.project} stands still here although the hub is further; asking again")
            case Subscribed() if self.at is None:
                self.at = message.position
                if message.position.epoch:
                    await self.newest(desk, lines, str(message.position))
            case Subscribed(recovered=None) | StateReplaced():
                await self._catch_up(desk, message.position)
            case Conflated():
                skipped = sum(count for node, count in message.logs_skipped.items() if self._wants(node))
                await self._catch_up(desk, message.position, skipped)
            case ProjectEvent():
                self.at = message.position
                if message.type == "log" and self._wants(message.data.get("node_id")):
                    self._print([event_json(message.type, message)])
            case ProjectDeleted():
                self.at = message.position
                say(f"{self.project} was deleted")
            case _:
                pass

    def _wants(self, node: object) -> bool:
        return self.node is None or node == self.node

    async def _catch_up(self, desk: ApiClient, to: Position, skipped: int | None = None) -> None:
        """Fetch and print the lines from the last printed one to `to`; `skipped` is their number, if
        known."""
        after, self.at = self.at, to
        if after is None or after == to or skipped == 0:
            return
        if skipped is not None:
            say(
                f"{skipped} lines were skipped, since they came faster than they are read here; fetching them"
            )
        since = after if after.epoch == to.epoch else Position(to.epoch, 0)
        try:
            async for events in self._between(desk, since, to):
                self._print(events)
        except RequestRefused as error:
            if error.code != "gone":
                raise
            say(f"lines between {since} and {to} are lost: the hub does not have them any more")

    async def _between(self, desk: ApiClient, since: Position, to: Position) -> AsyncIterator[list[Json]]:
        place: str | None = str(since)
        while place is not None and Position.parse(place).seq < to.seq:
            page = await desk.events(self.project, since=place, limit=PAGE, type="log", node_id=self.node)
            yield [event for event in page.events if event["seq"] <= to.seq]
            place = page.next

    def _print(self, events: list[Json]) -> None:
        if events:
            shown = (
                encode_json(event).decode() if self.printer is None else self.printer.text(event)
                for event in events
            )
            click.echo("\n".join(shown))
