"""Check a release before anybody publishes it: ``just release-check``. Publishes nothing.

Versions agree, the changelog has a dated part for the version, wheel, sdist and npm tarball are the same
bytes when they are built twice, their metadata is fit for a registry, and both packages run where they are
installed alone. With ``--rehearsal`` a changelog without the dated part is told and is no fault.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FRONTEND: Final = ROOT / "frontend"
FAULTY: Final = 1
REHEARSAL: Final = "--rehearsal"
PROBE: Final = """
import { createHub } from "tasktree-rt";
if (typeof createHub !== "function") throw new Error("no createHub");
"""
"""What an empty npm project runs of the installed tarball."""


def versions(root: Path = ROOT) -> Mapping[str, str]:
    """Return the version that each file says."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    module = (root / "tasktree_rt" / "__init__.py").read_text("utf-8")
    package = json.loads((root / "frontend" / "package.json").read_text("utf-8"))["version"]
    locked = json.loads((root / "frontend" / "package-lock.json").read_text("utf-8"))
    return {
        "pyproject.toml": project,
        "tasktree_rt/__init__.py": re.findall(r'__version__ = "([^"]+)"', module)[0],
        "frontend/package.json": package,
        "frontend/package-lock.json": locked["packages"][""]["version"],
    }


def disagreement(found: Mapping[str, str]) -> str:
    """Say which files name another version; empty if all agree."""
    if len(set(found.values())) == 1:
        return ""
    return "versions differ: " + ", ".join(f"{name} {version}" for name, version in found.items())


def undated(changelog: str, version: str) -> str:
    """Say what the changelog lacks for a release of `version`; empty if nothing."""
    heads = re.findall(r"^## \[([^\]]+)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE)
    if not dict(heads).get(version):
        return f"CHANGELOG.md: expected a part ## [{version}] with its date"
    unreleased = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0].strip()
    return "CHANGELOG.md: Unreleased is not empty" if unreleased else ""


def differing(first: Path, second: Path) -> list[str]:
    """Return the files of two folders that are not the same bytes in both."""
    digests = [
        {one.name: sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}
        for folder in (first, second)
    ]
    return sorted(name for name in {*digests[0], *digests[1]} if digests[0].get(name) != digests[1].get(name))


def build(folder: Path) -> None:
    """Build wheel, sdist and npm tarball into a folder."""
    folder.mkdir()
    epoch = _output("git", "log", "-1", "--format=%ct").strip()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, env=environment)
    _run("npm", "pack", "--silent", "--pack-destination", folder, cwd=FRONTEND)


def try_wheel(wheel: Path, folder: Path) -> None:
    """Install the wheel with the hub into an empty environment; serve the dashboard from there."""
    _run(sys.executable, "-m", "venv", folder)
    _run(folder / "bin" / "pip", "install", "--quiet", f"{wheel}[hub]", cwd=folder)
    _run(folder / "bin" / "pip", "check", cwd=folder)
    _run(sys.executable, ROOT / "tests" / "fresh.py", folder / "bin" / "tasktree-rt", cwd=folder)


def try_tarball(tarball: Path, folder: Path) -> None:
    """Install the npm tarball into an empty project, and import it."""
    folder.mkdir()
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    (folder / "probe.js").write_text(PROBE)
    _run("npm", "install", "--silent", "--no-audit", "--no-fund", tarball, cwd=folder)
    _run("node", "probe.js", cwd=folder)


def _packages(folder: Path) -> Iterator[str]:
    """Check the packages; yield faults."""
    first, second = folder / "first", folder / "second"
    for one in (first, second):
        build(one)
    yield from (f"{name}: two builds differ" for name in differing(first, second))
    python = [*first.glob("*.whl"), *first.glob("*.tar.gz")]
    _run(sys.executable, "-m", "twine", "check", "--strict", *python)
    (wheel,), (tarball,) = first.glob("*.whl"), first.glob("*.tgz")
    if not any(
        "static/manual/index.html" in name
        for name in _output(sys.executable, "-m", "zipfile", "-l", wheel).split()
    ):
        yield f"{wheel.name}: the manual is missing"
    _run("npm", "publish", "--dry-run", "--silent", tarball, cwd=folder)
    try_wheel(wheel, folder / "python")
    try_tarball(tarball, folder / "node")
    for one in sorted(first.iterdir()):
        _say(f"{one.name}  {one.stat().st_size} bytes  sha256 {sha256(one.read_bytes()).hexdigest()}")


def main(arguments: Sequence[str]) -> int:
    """Check everything; return the exit code."""
    found = versions()
    version = found["pyproject.toml"]
    missing = undated((ROOT / "CHANGELOG.md").read_text("utf-8"), version)
    faults = [one for one in (disagreement(found), missing) if one]
    if REHEARSAL in arguments and missing:
        faults.remove(missing)
        _say(f"rehearsal: {missing}")
    with tempfile.TemporaryDirectory() as folder:
        faults += _packages(Path(folder))
    for fault in faults:
        _say(f"fault: {fault}")
    _say(f"{version}: {'not fit' if faults else 'fit'} for a release; nothing was published")
    return FAULTY if faults else 0


def _say(text: str) -> None:
    sys.stdout.write(f"release-check: {text}\n")
    sys.stdout.flush()


def _run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Run a tool; its failure ends the check, with its name."""
    _say("$ " + " ".join(Path(str(part)).name for part in command[:6]))
    done = subprocess.run([str(part) for part in command], check=False, cwd=cwd, env=env)
    if done.returncode:
        raise SystemExit(f"release-check: {Path(str(command[0])).name} failed (exit code {done.returncode})")


def _output(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
