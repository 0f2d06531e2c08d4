"""The command ``tasktree-rt recover``: recover a damaged project or user's log."""

from __future__ import annotations

import click
from rich.console import Console

from tasktree_rt.cli.remote import (
    checked_hub,
    checked_project,
    desk_at,
    hub_option,
    outages_told,
    patience_option,
)
from tasktree_rt.cli.running import Failed, run
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.core.events import Json


@click.command("recover")
@click.argument("project", required=False)
@click.option("--user", metavar="USER", help="In place of PROJECT: a user's own log.")
@hub_option
@patience_option
def recover_command(project: str | None, user: str | None, hub: str, patience: float) -> None:
    """Recover a damaged PROJECT from its readable part; with authentication it needs an administrator's
    token.

    The running hub builds the state from the newest good stored state and the readable events after it. The
    project continues in a new epoch, and watchers get the state. Prints the lost events and the new position.
    Run `export` first: the hub does not keep the events up to the last lost one. An undamaged project stays
    as it is.

    \b
    Examples:
      tasktree-rt export build-7 > build-7.jsonl; tasktree-rt recover build-7
      tasktree-rt recover --user ada --hub https://hub.example.org
    """
    if (project is None) == (user is None):
        raise Failed("expected PROJECT or --user USER")
    if project is not None:
        checked_project(project)
    with outages_told(Console(stderr=True)):
        found: Json = run(_recover, checked_hub(hub), project, user, patience)
    for one in found["lost"]:
        click.echo(f"lost: {one['first']}-{one['last']} ({printable(str(one['why']))})")
    click.echo(f"{found['epoch']}:{found['seq']}")


async def _recover(hub: str, project: str | None, user: str | None, patience: float) -> Json:
    async with desk_at(hub, patience) as desk:
        return await desk.recover(project_id=project, user_id=user)
