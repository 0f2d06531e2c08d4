"""The command ``tasktree-rt notify``: send a notification to a user."""

from __future__ import annotations

import click
from rich.console import Console

from tasktree_rt.cli.remote import checked_hub, desk_at, hub_option, outages_told, patience_option
from tasktree_rt.cli.running import run
from tasktree_rt.core.log import Position


@click.command("notify")
@click.argument("user")
@click.argument("title")
@click.option("--body", metavar="TEXT", help="More of it.")
@click.option("--level", metavar="LEVEL", help="As info, warning or error.")
@click.option("--url", metavar="URL", help="Where to look.")
@hub_option
@patience_option
def notify_command(
    user: str, title: str, body: str | None, level: str | None, url: str | None, hub: str, patience: float
) -> None:
    """Send USER a notification; the hub keeps it until they read it.

    Prints its position in the user's log. Exit code 0 if the hub has stored it, 2 if not.

    \b
    Examples:
      tasktree-rt notify anna "Build 7 is done"
      tasktree-rt notify anna "Build 7 failed" --level error --url http://ci.example/7
    """
    with outages_told(Console(stderr=True)):
        found: Position = run(_notify, checked_hub(hub), user, title, body, level, url, patience)
    click.echo(str(found))


async def _notify(
    hub: str, user: str, title: str, body: str | None, level: str | None, url: str | None, patience: float
) -> Position:
    async with desk_at(hub, patience) as desk:
        return await desk.notify(user, title, body=body, level=level, url=url)
