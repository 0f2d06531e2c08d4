"""Run one command as one node of a project."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from tasktree_rt.cli.shell.child import SIGNALLED, Child, NotStarted, start
from tasktree_rt.cli.shell.forwarding import Forwarder
from tasktree_rt.cli.shell.lines import LineSplitter
from tasktree_rt.cli.shell.relay import relay
from tasktree_rt.client.joining import Joined, Open


class Command(NamedTuple):
    """What to run, and the node that it is.

    Attributes:
        words: the command and its arguments.
        parent: the id of the node above, or None.
        project: fields of the project to set.
        own_state: say of the project that it runs, and how it ended.
        use_pty: give it a terminal where ours is one.
        own_session: that terminal may be the one that controls it (`child.start`).
        name: ours, in front of messages on standard error.
    """

    words: Sequence[str]
    node_id: str
    title: str
    parent: str | None
    project: dict[str, Any]
    own_state: bool
    use_pty: bool
    own_session: bool
    name: str


def run_as_node(command: Command, joined: Joined, forwarder: Forwarder) -> int:
    """Run the command to its end and return its exit code; the hub need not be there.

    `forwarder` was made before `joined` began a thread.
    """
    if command.project:
        joined.update(**command.project)
    _say_state(command, joined, "running")
    node = joined.node(
        command.node_id,
        parent=command.parent,
        title=command.title,
        kind="command",
        folder=_folder(),
    )
    try:
        child = _started(command, joined, forwarder)
    except NotStarted as error:
        sys.stderr.write(f"{command.name}: {error}\n")
        node.fail(str(error))
        code = error.code
        _say_state(command, joined, "failed")
    else:
        code = _passed_through(child, node, forwarder)
        _say_state(command, joined, _told_end(node, code, forwarder.passed))
    forwarder.leave_at_once(code)
    return code


def _started(command: Command, joined: Joined, forwarder: Forwarder) -> Child:
    environment = {**os.environ, **joined.environment(command.node_id)}
    return start(
        list(command.words),
        environment,
        use_pty=command.use_pty,
        own_session=command.own_session,
        mask=forwarder.mask,
    )


def _passed_through(child: Child, node: Open, forwarder: Forwarder) -> int:
    streams = {
        output.stream: LineSplitter(partial(node.log, stream=output.stream)) for output in child.outputs
    }
    forwarder.begin(child.signal, child.resize, same_group=not child.interactive)
    relay(child, lambda stream, data: streams[stream].feed(data))
    for lines in streams.values():
        lines.end()
    return child.wait()


def _told_end(node: Open, code: int, passed: Sequence[int]) -> str:
    """Say how the node ended; return what that makes of the project."""
    if code == 0:
        node.complete(exit_code=0)
        return "completed"
    number = code - SIGNALLED
    ended_by = _signal_name(number)
    why = f"ended by {ended_by}" if ended_by else f"exit code {code}"
    if number == signal.SIGINT or passed:
        node.update(exit_code=code)
        node.cancel(why)
        return "cancelled"
    node.fail(why, exit_code=code)
    return "failed"


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was deleted; the command runs in it all the same
        return None


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _say_state(command: Command, joined: Joined, state: str) -> None:
    if command.own_state:
        joined.state(state)
