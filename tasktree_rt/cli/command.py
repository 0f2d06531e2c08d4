"""The command ``tasktree-rt command``: send a command to a project's orchestrator."""

from __future__ import annotations

from typing import Final

import click
import trio
from attrs import frozen
from rich.console import Console

from tasktree_rt.cli.access import access
from tasktree_rt.cli.ask import typed_value
from tasktree_rt.cli.log_lines import plain
from tasktree_rt.cli.remote import (
    checked_hub,
    checked_project,
    desk_at,
    hub_option,
    outages_told,
    patience_option,
)
from tasktree_rt.cli.running import Failed
from tasktree_rt.cli.waiting import NO, NO_ANSWER, YES, run_waiting, say, seconds
from tasktree_rt.client.interactions.api_client import ApiClient
from tasktree_rt.client.interactions.api_requests import LONGEST_WAIT, Outcome
from tasktree_rt.client.watcher.messages import (
    Conflated,
    ProjectDeleted,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    SubscriptionRefused,
    WatchMessage,
)
from tasktree_rt.client.watcher.watcher import Watcher, open_watcher
from tasktree_rt.core.events import Json

CODES: Final = {"done": YES, "sent": YES, "refused": NO, "cancelled": NO}
"""Exit codes by the command's outcome; `NO_ANSWER` for the rest."""
_LOOKED_BACK: Final = 1_000


@frozen
class NewCommand:
    """The command to send: its name, its node and its arguments."""

    project: str
    name: str
    node: str | None
    args: Json | None


@click.command("command")
@click.argument("project")
@click.argument("name")
@click.option("--node", metavar="ID", help="What it is about; default: the whole project.")
@click.option(
    "--arg",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="An argument; VALUE is JSON or text. Repeatable.",
)
@click.option(
    "--wait",
    is_flag=False,
    flag_value="60s",
    callback=seconds,
    metavar="[TIME]",
    help="Wait until it is settled, at most so long (60s).",
)
@hub_option
@patience_option
def command_command(
    project: str,
    name: str,
    node: str | None,
    given: tuple[str, ...],
    wait: float | None,
    hub: str,
    patience: float,
) -> None:
    """Tell the orchestrator of PROJECT to do NAME: cancel, retry, pause, resume, or whatever it understands.

    Prints the outcome: sent, or with --wait done, refused, timeout (the orchestrator did not answer),
    cancelled (the project was deleted) or pending, and the orchestrator's message.

    \b
    Exit codes:
      0    done; without --wait: the hub has stored it and will send it to the orchestrator
      1    refused, or cancelled
      2    an error, such as a PROJECT without an orchestrator
      3    timeout, or still pending after --wait
      130  interrupted; the command stays open

    \b
    Examples:
      tasktree-rt command build-7 cancel
      tasktree-rt command build-7 retry --node compile --wait 5m
      tasktree-rt command build-7 scale --arg workers=4 --wait
    """
    command = NewCommand(checked_project(project), name, node, dict(map(_argument, given)) or None)
    with outages_told(Console(stderr=True)):
        found = run_waiting(_command, checked_hub(hub), command, wait, patience)
    click.echo(found.status if found.message is None else f"{found.status}: {plain(found.message)}")
    raise SystemExit(CODES.get(found.status, NO_ANSWER))


def _argument(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Failed(f"--arg {text}: expected KEY=VALUE, as in workers=4")
    return name, typed_value(value, {})


async def _command(url: str, command: NewCommand, wait: float | None, patience: float) -> Outcome:
    async with desk_at(url, patience) as desk:
        if wait is None:
            sent = await _send(desk, command, 0.0)
            return Outcome(sent.command_id, "sent")
        watching = open_watcher(url, command.project, state=False, views=False, patience=patience, **access())
        async with watching as watcher:
            return await _see(desk, watcher, command, wait)


async def _send(desk: ApiClient, command: NewCommand, wait: float) -> Outcome:
    return await desk.command(
        command.project, command.name, node_id=command.node, args=command.args, wait=min(wait, LONGEST_WAIT)
    )


async def _see(desk: ApiClient, watcher: Watcher, command: NewCommand, wait: float) -> Outcome:
    """Send the command and watch its events: a watcher survives a restart of the hub, a waiting request does
    not."""
    async for message in watcher:
        if isinstance(message, SubscriptionRefused):
            return await _send(desk, command, wait)  # may command, but not watch
        if isinstance(message, Subscribed):
            break
    sent = await _send(desk, command, 0.0)
    with trio.move_on_after(wait):
        async for message in watcher:
            if isinstance(message, ProjectDeleted):
                return Outcome(sent.command_id, "cancelled")
            for data in await _results(desk, message):
                if data.get("command_id") != sent.command_id:
                    continue
                if data["status"] != "accepted":
                    return Outcome(sent.command_id, data["status"], data.get("message"))
                say("accepted" + (f": {plain(data['message'])}" if data.get("message") else ""))
    return Outcome(sent.command_id, "pending")


async def _results(desk: ApiClient, message: WatchMessage) -> list[Json]:
    """Return the results of commands that a message of the hub carries."""
    match message:
        case ProjectEvent(type="command_result"):
            return [message.data]
        case Conflated():
            return [event.data for event in message.events if event.type == "command_result"]
        case StateReplaced():
            page = await desk.events(
                message.project_id, before="end", limit=_LOOKED_BACK, type="command_result"
            )
            return [event["data"] for event in page.events]
        case _:
            return []
