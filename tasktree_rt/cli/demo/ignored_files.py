"""Decide which files of a folder the demo leaves out: those that git ignores, or else those that tools make.

In a checkout it asks git once. Elsewhere it leaves out `TOOLS` and Python's virtual environments.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from typing import Final

from attrs import define, field

from tasktree_rt.cli.safe_text import printable

TOOLS: Final = frozenset(
    {
        b".git",
        b".hg",
        b".svn",
        b".venv",
        b".tox",
        b".mypy_cache",
        b".pytest_cache",
        b".ruff_cache",
        b"__pycache__",
        b"node_modules",
    }
)
"""Names of folders."""
_ENVIRONMENT: Final = b"pyvenv.cfg"
_NAMED: Final = 3
_GIT: Final = ("git", "-c", "core.fsmonitor=false")
"""Options for git. The folder may be untrusted: git runs no program that its configuration names."""
_LIST: Final = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
_PATIENCE: Final = 30.0


@define
class LeftOut:
    """Decide for each path whether it is left out, and keep the left-out paths of the walk.

    Attributes:
        ignored: the paths that git ignores, relative to the folder; None without git.
        everything: leave nothing out.
    """

    root: bytes
    ignored: frozenset[bytes] | None = None
    everything: bool = False
    met: list[bytes] = field(factory=list, init=False)

    def __call__(self, path: bytes) -> bool:
        """Return whether `path`, which is in the folder, is left out."""
        if self.everything or not self._is(path):
            return False
        self.met.append(path)
        return True

    def _is(self, path: bytes) -> bool:
        name = path.rpartition(b"/")[2]
        if self.ignored is not None:
            return name == b".git" or path in self.ignored
        full = os.path.join(self.root, path)
        return os.path.isdir(full) and (name in TOOLS or os.path.lexists(os.path.join(full, _ENVIRONMENT)))

    def __str__(self) -> str:
        """Describe what was left out; empty if nothing was."""
        met = sorted(
            (path for path in self.met if path != b".git"), key=lambda path: (path.count(b"/"), path)
        )
        if not met:
            return ""
        names = [printable(path.decode("utf-8", "replace"), 60) for path in met[:_NAMED]]
        more = f" and {len(met) - _NAMED} more" if len(met) > _NAMED else ""
        why = "tools make it" if self.ignored is None else "git ignores it"
        return f"left out, as {why}: {', '.join(names)}{more}"


def left_out(root: bytes, *, everything: bool) -> LeftOut:
    """Make the filter for the folder `root`. Blocks while git runs."""
    return LeftOut(root, None if everything else _ignored(root), everything)


def _ignored(root: bytes) -> frozenset[bytes] | None:
    """Return what git ignores in `root`; None if it is no checkout, or ignored itself, or without git."""
    if _git(root, "check-ignore", "--quiet", ".") is not None:
        return None
    listed = _git(root, *_LIST)
    return None if listed is None else frozenset(_paths(listed.split(b"\0")))


def _paths(listed: Iterable[bytes]) -> Iterable[bytes]:
    return (path.rstrip(b"/") for path in listed if path.rstrip(b"/"))


def _git(root: bytes, *command: str) -> bytes | None:
    """Run a git command in `root` and return its output; None if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - no part of it is anybody's but ours
            [*_GIT, *command],
            cwd=root,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
