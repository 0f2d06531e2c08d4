"""The console script ``tasktree-rt``: ``run`` starts often and loads the standard library only."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``tasktree-rt run`` by itself, every other command by `tasktree_rt.cli.main`."""
    if sys.argv[1:2] == ["run"]:
        from tasktree_rt.cli.shell.run import main as run

        sys.exit(run(sys.argv[2:]))
    from tasktree_rt.cli.main import main as others

    others()
