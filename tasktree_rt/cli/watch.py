"""The command ``tasktree-rt watch``: show a project's tree, live."""

from __future__ import annotations

import sys
from typing import Final

import click
import trio
from attrs import define
from rich.console import Console
from rich.live import Live

from tasktree_rt.cli.access import access
from tasktree_rt.cli.remote import (
    checked_hub,
    checked_project,
    event_json,
    hub_option,
    patience_option,
    raise_if_refused,
)
from tasktree_rt.cli.running import Failed, reader_may_leave, run
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.cli.tree_drawing import draw
from tasktree_rt.client.watcher.messages import (
    Behind,
    Conflated,
    Connected,
    Disconnected,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    WatchMessage,
)
from tasktree_rt.client.watcher.watcher import Watcher, open_watcher
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.core.terminal import shown_text
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import InvalidInput

FRAME: Final = 0.25
"""Minimum seconds between two drawings."""


@click.command("watch")
@click.argument("project")
@hub_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print events, one JSON object a line, instead of a tree."
)
@click.option("--since", metavar="EPOCH:SEQ", help="Begin after this position; :0 is the beginning.")
@patience_option
def watch_command(project: str, hub: str, as_json: bool, since: str | None, patience: float) -> None:
    """Watch PROJECT live: its tree in the terminal, or its events as JSON; Ctrl+C ends it.

    Continues by itself after every outage of the hub. With --json it prints every event from --since on
    (default: from now on) once and in order, with its seq and epoch. If the hub no longer has these events,
    it prints one line {"type": "project_state", …} with the whole state instead. If standard output is no
    terminal, it prints a line for each node that is there (project_state), then a line for each event.

    \b
    Examples:
      tasktree-rt watch build-7
      tasktree-rt watch build-7 --json --since :0 >events.ndjson
    """
    name, url = checked_project(project), checked_hub(hub)
    if since is not None:
        _checked_since(since)
    plain = as_json or not sys.stdout.isatty()
    with reader_may_leave():
        run(_print if plain else _show, url, name, since, patience, as_json)


async def _print(url: str, project: str, since: str | None, patience: float, as_json: bool) -> None:
    # "disconnect": for a slow reader the hub closes and the watcher resumes; it never merges events.
    watching = open_watcher(
        url,
        project,
        since,
        policy="disconnect",
        state=not as_json,
        views=False,
        patience=patience,
        **access(),
    )
    async with watching as watcher:
        async for message in watcher:
            raise_if_refused(message)
            if isinstance(message, Disconnected):
                _say(f"{printable(message.reason)}; trying again")
            elif isinstance(message, Subscribed) and not message.position.epoch:
                _say(f"there is no project {project!r} yet; waiting for its first event")
            elif (shown := _as_json(message)) is not None:
                for line in [encode_json(shown)] if as_json else _as_lines(shown):
                    click.echo(line)


def _say(text: str) -> None:
    click.echo(f"tasktree-rt: {text}", err=True)


@define
class _Notice:
    text: str | None = "connecting"
    changed: bool = True


async def _show(url: str, project: str, since: str | None, patience: float, as_json: bool) -> None:
    console, notice = Console(), _Notice()
    watching = open_watcher(url, project, since, patience=patience, **access())
    with Live(console=console, screen=True, auto_refresh=False) as live:
        async with watching as watcher, trio.open_nursery() as nursery:
            nursery.start_soon(_redraw, live, console, watcher, project, notice)
            async for message in watcher:
                raise_if_refused(message)
                if isinstance(message, Disconnected):
                    notice.text = f"not connected: {message.reason}"
                elif isinstance(message, Behind):
                    notice.text = "behind the hub: asking again"
                elif isinstance(message, Connected) or not watcher.behind:
                    notice.text = None
                notice.changed = True


async def _redraw(live: Live, console: Console, watcher: Watcher, project: str, notice: _Notice) -> None:
    while True:
        if notice.changed:
            notice.changed = False
            live.update(draw(watcher.view(project), console.height, notice.text), refresh=True)
            watcher.ack(project)
        await trio.sleep(FRAME)


def _as_json(message: WatchMessage) -> Json | None:
    """Return what ``--json`` prints: the wire form."""
    match message:
        case ProjectEvent():
            return event_json(message.type, message)
        case ProjectDeleted():
            return event_json("project_deleted", message)
        case StateReplaced():
            data = {
                "state": message.state,
                "project": message.project,
                "orchestrator": message.orchestrator,
                "coordination": message.coordination,
                "prompts": message.prompts,
                "nodes": [{"node_id": node_id, **fields} for node_id, fields in message.nodes.items()],
            }
            return {"type": "project_state", **_place(message), "reason": message.reason, "data": data}
        case Conflated():
            nodes = [{"node_id": node_id, **fields} for node_id, fields in message.nodes.items()]
            merged = {"after": message.after, "removed": message.removed, "nodes": nodes, **message.top}
            return {"type": "conflated", **_place(message), **merged}
        case _:
            return None


def _place(message: StateReplaced | Conflated) -> Json:
    position = message.position
    return {"project_id": message.project_id, "seq": position.seq, "epoch": position.epoch}


def _as_lines(shown: Json) -> list[str]:
    """Return an event as a line, and a state as a line for each node."""
    if shown["type"] != "project_state":
        return [_as_line(shown)]
    return [_as_line({**shown, "data": node}) for node in shown["data"]["nodes"]]


def _as_line(shown: Json) -> str:
    data = shown.get("data", {})
    node = data.get("node_id") or data.get("task_id") or ""
    changes = data.get("changes", data)
    said = ", ".join(
        f"{name}={shown_text(value) if isinstance(value, str) else value}"
        for name, value in changes.items()
        if name != "node_id" and isinstance(value, (str, int, float))
    )
    return printable(f"{shown.get('timestamp', '')} {shown['seq']} {shown['type']} {node} {said}", 300)


def _checked_since(since: str) -> None:
    try:
        Position.parse(since, "--since")
    except InvalidInput as error:
        raise Failed(f'{error}, as in "4f2a9c:120", got {since!r}') from None
