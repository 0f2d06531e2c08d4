"""The environment variables by which a program finds its hub and its place in a tree."""

from __future__ import annotations

import os
from typing import Final

HUB: Final = "TASKTREE_RT_HUB"
TOKEN: Final = "TASKTREE_RT_TOKEN"  # noqa: S105 - a name, not a token
PROJECT: Final = "TASKTREE_RT_PROJECT"
PARENT: Final = "TASKTREE_RT_PARENT"


def given(argument: str | None, variable: str) -> str | None:
    """The argument, else the variable, if it has a text."""
    return argument if argument is not None else os.environ.get(variable) or None


def for_child(hub: str, project: str, *, token: str | None, parent: str | None) -> dict[str, str]:
    """Variables for a child process, whose nodes shall be under `parent`."""
    pairs = {HUB: hub, PROJECT: project, TOKEN: token, PARENT: parent}
    return {name: value for name, value in pairs.items() if value}


def needed(argument: str | None, variable: str) -> str:
    """As `given`.

    Raises:
        ValueError: there is neither.
    """
    found = given(argument, variable)
    if found is None:
        raise ValueError(f"expected an argument, or {variable} in the environment")
    return found
