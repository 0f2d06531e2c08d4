"""The command ``tasktree-rt run``: run a command as a node."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from tasktree_rt.cli.shell.arguments import Asked, Usage, parsed
from tasktree_rt.cli.shell.forwarding import Forwarder
from tasktree_rt.cli.shell.node import Command, run_as_node
from tasktree_rt.client.joining import join
from tasktree_rt.integrations.naming import new_node_id

UNUSABLE: Final = 2


def main(arguments: Sequence[str]) -> int:
    """Run the command line after ``run``; return the exit code."""
    try:
        asked = parsed(arguments, os.environ)
    except Usage as error:
        sys.stderr.write(f"tasktree-rt: run: {error}\n")
        return UNUSABLE
    return _run(asked)


def _run(asked: Asked) -> int:
    forwarder = Forwarder()
    joined = join(asked.project.id, hub=asked.hub, parent=asked.parent)
    if asked.project.made_up and os.isatty(2):
        sys.stderr.write(f"tasktree-rt: {asked.hub.rstrip('/')}/p/{asked.project.id}\n")
    command = Command(
        words=asked.command,
        node_id=asked.node or new_node_id(asked.title),
        title=asked.title,
        parent=asked.parent,
        project={"title": asked.title, **asked.project.fields}
        if asked.project.made_up
        else asked.project.fields,
        own_state=asked.own_state,
        use_pty=asked.use_pty,
        own_session=True,
        name="tasktree-rt: run",
    )
    code = run_as_node(command, joined, forwarder)
    joined.close()
    return code
