"""What ``tasktree-rt`` alone prints: what it is, and three commands to go on with."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from tasktree_rt import __version__

HUB_INSTALL: Final = "install it with its extra `hub`, in a checkout: pip install '.[hub]'"
_WITH_HUB: Final = (
    ("tasktree-rt demo .", "see a hub at work on this folder, in the browser"),
    ("tasktree-rt serve", "run a hub of your own; it prints its address"),
    ("tasktree-rt watch hello", "watch the project `hello` of that hub, here"),
)
_CLIENT_ALONE: Final = (
    ("tasktree-rt watch hello --hub URL", "watch the project `hello` of a hub, here"),
    ("tasktree-rt push hello FILE --hub URL", "publish the events of a file"),
    ("tasktree-rt ask 'Go on?' --project hello --hub URL", "ask people, and wait for the answer"),
)


def hub_installed() -> bool:
    """Return whether the packages of the extra `hub` are here; imports none of them."""
    return find_spec("hypercorn") is not None


def greeting(*, hub: bool) -> str:
    """Return the text. Without the `hub` it names commands that need none of its packages."""
    commands = _WITH_HUB if hub else _CLIENT_ALONE
    width = max(len(command) for command, _ in commands) + 3
    lines = [f"  {command:{width}}{does}" for command, does in commands]
    missing = [] if hub else [f"The hub itself is not installed here: {HUB_INSTALL}", ""]
    head = f"tasktree-rt {__version__}: programs publish what they do, every dashboard shows it live."
    return "\n".join([head, "", *lines, "", *missing, "All commands: tasktree-rt --help"])
