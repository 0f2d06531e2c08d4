"""``run`` as one of the commands of `tasktree_rt.cli.main`: `cli.entry` goes past it, to start fast."""

from __future__ import annotations

import sys

import click

from tasktree_rt.cli.shell.run import main


class _Handed(click.Command):
    """Takes its arguments as they are, ``--`` too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params = {"arguments": args}
        return []


@click.command("run", cls=_Handed, add_help_option=False)
def run_command(arguments: list[str]) -> None:
    """Run a command as a node."""
    sys.exit(main(arguments))
