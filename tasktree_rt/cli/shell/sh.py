"""The console script ``tasktree-sh``: a shell for make and just that shows each line it runs as a node."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

SHELL: Final = "/bin/sh"
EXIT_TIMEOUT: Final = 1.0
"""Seconds that a hub which does not answer costs each line at most."""
SHELL_VARIABLE: Final = "TASKTREE_RT_SHELL"


def main() -> None:
    """Run ``tasktree-sh -c LINE`` as `/bin/sh` ($TASKTREE_RT_SHELL) does, as a node below the parent.

    Without a hub, a project or ``-c`` it becomes that shell.
    """
    shell = os.environ.get(SHELL_VARIABLE) or SHELL
    words = [shell, *sys.argv[1:]]
    line = line_of(sys.argv[1:])
    if line is None or not joins(os.environ):
        os.execvp(shell, words)  # noqa: S606 - it is to be a shell
    sys.exit(_run(words, line))


def joins(environment: Mapping[str, str]) -> bool:
    """Whether the variables name a hub and a project."""
    return bool(environment.get("TASKTREE_RT_HUB") and environment.get("TASKTREE_RT_PROJECT"))


def line_of(arguments: Sequence[str]) -> str | None:
    """Return what a shell with these arguments runs by ``-c``; None where it runs something else."""
    by_c, rest = False, iter(arguments)
    for word in rest:
        if word in ("-", "--"):
            return next(rest, None) if by_c else None
        if word[:1] not in ("-", "+"):
            return word if by_c else None
        if not word.startswith("--"):
            by_c = by_c or "c" in word
            if word.endswith("o"):
                next(rest, None)  # -o NAME
    return None


def _run(words: Sequence[str], line: str) -> int:
    from tasktree_rt.cli.shell.forwarding import Forwarder
    from tasktree_rt.cli.shell.node import Command, run_as_node
    from tasktree_rt.client.joining import join
    from tasktree_rt.integrations.naming import new_node_id, one_line

    forwarder = Forwarder()
    joined = join(exit_timeout=EXIT_TIMEOUT)
    title = one_line(line)
    command = Command(
        words=words,
        node_id=new_node_id(title),
        title=title,
        parent=joined.parent,
        project={},
        own_state=False,
        use_pty=True,
        own_session=False,
        name="tasktree-sh",
    )
    code = run_as_node(command, joined, forwarder)
    joined.close()
    return code
