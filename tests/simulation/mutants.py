"""Planted bugs: patches, each applied to a copy of the package, and how soon the simulation finds them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PATCHES: Final = Path(__file__).parent / "mutants"
SEEDS: Final = 400
"""Seeds within which a mutant must be found."""
_LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "static", "bench", "server", "cli", "web", "mutants")


class Rotten(Exception):
    """A patch does not apply any more."""


def names() -> list[str]:
    """All mutants."""
    return sorted(path.stem for path in PATCHES.glob("*.patch"))


@contextmanager
def mutated(name: str) -> Iterator[Path]:
    """A folder with a copy of the package, one bug in it, and the simulation.

    Raises:
        Rotten: the patch does not apply to the package as it is.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        shutil.copytree(
            ROOT / "tasktree_rt", copy / "tasktree_rt", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copytree(ROOT / "tests", copy / "tests", ignore=_LEFT_OUT)
        plant(name, copy)
        yield copy


def plant(name: str, folder: Path, *, check: bool = False) -> None:
    """Apply one patch in `folder`, or only `check` that it can be.

    Raises:
        Rotten: it does not apply.
    """
    command = ["git", "apply", "-p1", "-C1", *(["--check"] if check else [])]
    command.append(str(PATCHES / f"{name}.patch"))
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Rotten(f"{name}: {done.stderr.strip()}")


def hunt(name: str, first: int = 0, seeds: int = SEEDS) -> tuple[int | None, str]:
    """After how many seeds from `first` on a mutant is found, and by which rule; None if it is not."""
    with mutated(name) as folder:
        command = [
            sys.executable,
            "-m",
            "tests.simulation",
            "--hunt",
            "--from",
            str(first),
            "--seeds",
            str(seeds),
        ]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2_000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said["after"], said["rule"]
