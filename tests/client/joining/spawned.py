"""What a spawned child of a test does: a module that a fresh interpreter can import."""

from __future__ import annotations

from tasktree_rt.client.joining import join


def work(name: str) -> None:
    """Show one node."""
    join(exit_timeout=60).node(name).complete()
