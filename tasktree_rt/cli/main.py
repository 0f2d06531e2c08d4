"""The command line: ``tasktree-rt``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click
from attrs import frozen

from tasktree_rt import __version__
from tasktree_rt.cli.greeting import HUB_INSTALL, greeting, hub_installed


@frozen
class Late:
    """A command that is imported when it is called.

    Attributes:
        module: below `tasktree_rt.cli`; `name` is the command in it.
        summary: what it does, for the list of commands.
    """

    module: str
    name: str
    summary: str


COMMANDS: Final = {
    "serve": Late("serve", "serve_command", "Run a hub."),
    "demo": Late("demo.command", "demo_command", "Show a hub at work on a real folder."),
    "run": Late("shell.command", "run_command", "Run a command as a node, with its output."),
    "feed": Late("feed", "feed_command", "Show what a build or test tool prints as a tree."),
    "push": Late("push", "push_command", "Push events of a file or of standard input."),
    "watch": Late("watch", "watch_command", "Watch a project live in the terminal."),
    "logs": Late("logs", "logs_command", "Print the newest output of a project or of a node."),
    "search": Late("search", "search_command", "Find events and output by their words."),
    "ask": Late("ask", "ask_command", "Ask people, and wait for the answer: a gate for scripts."),
    "answer": Late("answer", "answer_command", "Answer what is asked."),
    "command": Late("command", "command_command", "Send a command to a project's orchestrator."),
    "notify": Late("notify", "notify_command", "Send a user a notification."),
    "export": Late("export", "export_command", "Write what a store has of a project, damaged or not."),
    "recover": Late("recover", "recover_command", "Recover a damaged project."),
    "key": Late("key", "key_command", "Make, list and revoke API keys."),
    "token": Late("token", "token_command", "Mint and explain tokens."),
    "load": Late("load", "load_command", "Test a hub, or any WebSocket server, under load."),
    "settings": Late("show_settings", "settings_command", "Print every effective setting and its origin."),
    "init": Late("init", "init_command", "Write a settings file with every setting, commented out."),
    "check-config": Late("check_config", "check_config_command", "Check a settings file."),
    "doctor": Late("doctor.command", "doctor_command", "Check what a hub needs here, and say what to do."),
}


class _Late(click.Group):
    """Import a command when it is called: ``--help`` and ``push`` need no web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        late = COMMANDS.get(cmd_name)
        return None if late is None else _loaded(cmd_name, late)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, late.summary) for name, late in COMMANDS.items()])


def _loaded(command: str, late: Late) -> click.Command:
    try:
        found: click.Command = getattr(import_module(f"tasktree_rt.cli.{late.module}"), late.name)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("tasktree_rt"):
            raise
        raise click.ClickException(
            f"`tasktree-rt {command}` needs the hub, which is not installed ({error.name} is missing): "
            f"{HUB_INSTALL}"
        ) from None
    return found


@click.command(
    cls=_Late,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="tasktree-rt")
@click.pass_context
def tasktree_rt(context: click.Context) -> None:
    """A real-time hub: an orchestrator pushes task-tree events, every dashboard sees the tree as it is now.

    Example: tasktree-rt demo .
    """
    if context.invoked_subcommand is None:
        click.echo(greeting(hub=hub_installed()))


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
