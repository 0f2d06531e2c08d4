"""The command line: ``tasktree-rt``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click

from tasktree_rt import __version__

COMMANDS: Final = {
    "serve": ("tasktree_rt.cli.serve", "serve_command"),
    "demo": ("tasktree_rt.cli.demo.command", "demo_command"),
    "push": ("tasktree_rt.cli.push", "push_command"),
    "watch": ("tasktree_rt.cli.watch", "watch_command"),
    "logs": ("tasktree_rt.cli.logs", "logs_command"),
    "search": ("tasktree_rt.cli.search", "search_command"),
    "ask": ("tasktree_rt.cli.ask", "ask_command"),
    "answer": ("tasktree_rt.cli.answer", "answer_command"),
    "command": ("tasktree_rt.cli.command", "command_command"),
    "notify": ("tasktree_rt.cli.notify", "notify_command"),
    "export": ("tasktree_rt.cli.export", "export_command"),
    "recover": ("tasktree_rt.cli.recover", "recover_command"),
    "key": ("tasktree_rt.cli.key", "key_command"),
    "token": ("tasktree_rt.cli.token", "token_command"),
    "load": ("tasktree_rt.cli.load", "load_command"),
    "settings": ("tasktree_rt.cli.show_settings", "settings_command"),
}


class _Late(click.Group):
    """Import a command when it is called: ``--help`` and ``push`` need no web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


@click.command(cls=_Late, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="tasktree-rt")
def tasktree_rt() -> None:
    """A real-time hub: an orchestrator pushes task-tree events, every dashboard sees the tree as it is now.

    Example: tasktree-rt demo .
    """


def main() -> None:
    """Run the console script.

    Exit codes: 0 done; 1 an internal error, or a second signal while stopping; 2 an error that the user can
    mend (arguments, settings, address, store, input, an unreachable hub), in one line; 130 interrupted.
    `ask`, `answer` and `command` have codes of their own (`cli.waiting`): there an internal error is 2 too.
    """
    try:
        sys.exit(tasktree_rt(standalone_mode=False, prog_name="tasktree-rt") or 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
