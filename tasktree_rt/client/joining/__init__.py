"""The lightest part of the client: a program, or one process of several, shows itself in a project's tree.

::

    from tasktree_rt.client.joining import join

    joined = join("build-7", hub="http://127.0.0.1:8000")  # or TASKTREE_RT_HUB, _PROJECT, _PARENT, _TOKEN
    step = joined.node("compile", title="Compile")
    step.progress(40, "cc main.c")
    step.complete()

It imports the standard library only, never raises, blocks or delays, and is what adapters to other frameworks
stand on. See `Joined` and `Open`.
"""

from __future__ import annotations

from tasktree_rt.client.joining import environment
from tasktree_rt.client.joining.context import FROM_CONTEXT, carry, in_context
from tasktree_rt.client.joining.delivery import OnError
from tasktree_rt.client.joining.fields import fit_node_id, fit_project
from tasktree_rt.client.joining.joined import Joined
from tasktree_rt.client.joining.open_node import Open

__all__ = [
    "FROM_CONTEXT",
    "Joined",
    "OnError",
    "Open",
    "carry",
    "fit_node_id",
    "fit_project",
    "in_context",
    "join",
]


def join(
    project: str | None = None,
    *,
    hub: str | None = None,
    parent: str | None = None,
    token: str | None = None,
    exit_timeout: float | None = None,
    on_error: OnError | None = None,
    strict: bool = False,
    producer_id: str | None = None,
) -> Joined:
    """Join a project: show nodes in it, beside those of other processes.

    Each of the first four is the argument, else ``TASKTREE_RT_PROJECT``, ``_HUB``, ``_PARENT``, ``_TOKEN`` of
    the environment. Without a hub or a project nothing is done, quickly.

    Args:
        parent: the node that nodes are under by default; none: the top.
        exit_timeout: seconds that the end of the process may wait for the hub, altogether; by default 2.
        on_error: called in the background with what the hub did not get (`OnError`).
        strict: raise ValueError for what the program does wrong: unfit fields, a node that is open already,
            no hub. What the hub does raises nothing either way.
        producer_id: what the hub calls this program; each process adds its own mark.
    """
    return Joined(
        environment.given(project, environment.PROJECT),
        environment.given(hub, environment.HUB),
        parent=environment.given(parent, environment.PARENT),
        token=environment.given(token, environment.TOKEN),
        exit_timeout=exit_timeout,
        on_error=on_error,
        strict=strict,
        producer_id=producer_id,
    )
