"""The arguments of ``tasktree-rt run``."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tasktree_rt.client.urls import DEFAULT_HUB
from tasktree_rt.core.ids import PROJECT_ID
from tasktree_rt.integrations.naming import Project, one_line, own_project

_DESCRIPTION: Final = """\
Run CMD as a node of PROJECT: live while it runs, with its output, then completed, failed or cancelled.

PROJECT is $TASKTREE_RT_PROJECT, in CI the pipeline's run, else a new one called after this folder. NODE is a
new one unless you name it. A command that runs within another one is a node below it, and a single word is
its NODE. Input, output, signals and the exit code are the command's own. It runs without a hub too."""
_EPILOG: Final = """\
exit codes:
  the command's; 128 + N if signal N ended it; 127 not found, 126 not executable; 2 wrong arguments

Examples:
  tasktree-rt run -- make -j8
  tasktree-rt run build-7 compile --title "Compile" -- cargo build
  tasktree-rt run build-7 -- make SHELL=tasktree-sh -j8     every line of the Makefile as a node
"""


class Usage(Exception):
    """The arguments are wrong; the text says how."""


class Asked(NamedTuple):
    """What to run, and as what.

    Attributes:
        node: a node id, or None for a new one.
        own_state: whether the project's state is ours to say.
    """

    command: list[str]
    hub: str
    project: Project
    node: str | None
    parent: str | None
    title: str
    own_state: bool
    use_pty: bool


def parser() -> argparse.ArgumentParser:
    """Return the parser of what stands before ``--``."""
    made = argparse.ArgumentParser(
        "tasktree-rt run",
        usage="tasktree-rt run [PROJECT] [NODE] [OPTIONS] -- CMD [ARG]...",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    made.add_argument("--hub", metavar="URL", help=f"The hub's address; $TASKTREE_RT_HUB or {DEFAULT_HUB}.")
    made.add_argument("--title", metavar="TEXT", help="The node's title; default: the command.")
    made.add_argument("--parent", metavar="ID", help="The node above; default: $TASKTREE_RT_PARENT.")
    made.add_argument(
        "--state",
        action=argparse.BooleanOptionalAction,
        help="Say that the project runs, and how it ended; default: if PROJECT is named or new, at the top.",
    )
    made.add_argument(
        "--pty",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Give the command a terminal where the output is one, for its colours (default), or pipes.",
    )
    return made


def parsed(arguments: Sequence[str], environment: Mapping[str, str]) -> Asked:
    """Read the command line and the variables.

    Raises:
        Usage: something is missing, or is not what it should be.
        SystemExit: ``--help``, or an unknown option.
    """
    if "--" in arguments:
        cut = list(arguments).index("--")
        before, command = arguments[:cut], list(arguments[cut + 1 :])
    else:
        before, command = arguments, []
    given = parser().parse_args(before)
    if not command:
        raise Usage("expected -- and a command, as in: tasktree-rt run build-7 -- make")
    parent = given.parent or environment.get("TASKTREE_RT_PARENT") or None
    words = list(given.words)
    nested = parent is not None and bool(environment.get("TASKTREE_RT_PROJECT"))
    if len(words) > 2:
        raise Usage(f"expected at most PROJECT and NODE before --, not {len(words)} words")
    node = words.pop() if len(words) == 2 or (words and nested) else None
    named = words.pop() if words else None
    if named is not None and not PROJECT_ID.fullmatch(named):
        raise Usage(f"PROJECT: expected 1-128 characters of A-Z a-z 0-9 . _ : @ ~ -, not {named!r}")
    project = own_project(named, environment.get("PWD", "").rpartition("/")[2], environment)
    own = (parent is None and (project.own or named is not None)) if given.state is None else given.state
    hub = given.hub or environment.get("TASKTREE_RT_HUB") or DEFAULT_HUB
    title = one_line(given.title or shlex.join(command))
    return Asked(command, _checked(hub), project, node, parent, title, own, given.pty)


def _checked(hub: str) -> str:
    scheme, separator, rest = hub.partition("://")
    if scheme not in ("http", "https", "ws", "wss") or not separator or not rest.strip("/"):
        shown = hub.partition("?")[0]  # a query may have a token
        raise Usage(f"--hub {shown}: expected an address like {DEFAULT_HUB}")
    return hub
