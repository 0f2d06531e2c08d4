"""Serve the web app: listeners, handshakes, one task per connection, drain."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasktree_rt.web.server.server import serve

__all__ = ["serve"]


def __getattr__(name: str) -> object:
    """Load `serve` at its first use, so that the modules of this package can be imported alone."""
    if name != "serve":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tasktree_rt.web.server import server

    return server.serve
