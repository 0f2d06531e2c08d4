"""The dashboard's build: what `just ui` runs, and what hatchling runs before it packs a wheel or an sdist.

The pages are built with npm from ``frontend/`` into ``tasktree_rt/web/static/app``, which git ignores. A
stamp in there says of which sources, by content, so that nothing is built twice and an sdist, which has both,
needs no Node.
An editable install never builds; ``TASKTREE_RT_NO_UI=1`` packs whatever is there.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NO_UI: Final = "TASKTREE_RT_NO_UI"
NODE: Final = (20, 19)
"""The oldest Node that the tools run on."""
INPUTS: Final = (
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "tsconfig.json",
    ".npmrc",
)
FOLDERS: Final = ("src", "public")
LEAST: Final = 512
"""Bytes below which a file is not compressed."""
TEXTS: Final = frozenset({".css", ".js", ".json", ".map", ".svg", ".wasm"})
BROTLI: Final = """
const fs = require("node:fs");
const zlib = require("node:zlib");
for (const name of process.argv.slice(1)) {
  fs.writeFileSync(`${name}.br`, zlib.brotliCompressSync(fs.readFileSync(name)));
}
"""


class Trouble(Exception):
    """The pages cannot be built; says why, and what to do."""


class Pages:
    """The pages of one checkout, or of an unpacked sdist."""

    def __init__(self, root: Path) -> None:
        self.sources = root / "frontend"
        self.app = root / "tasktree_rt" / "web" / "static" / "app"
        self._stamp = self.app / ".built"
        self._modules = self.sources / "node_modules"

    @property
    def built(self) -> bool:
        """Whether there is a page, of whatever sources."""
        return (self.app / "index.html").is_file()

    @property
    def fresh(self) -> bool:
        """Whether the page is that of the sources."""
        return self.built and _said(self._stamp) == self._wanted()

    def build(self) -> bool:
        """Build them, unless they are fresh; whether there was anything to do.

        Raises:
            Trouble: there is no npm, or it failed.
        """
        with self._alone():
            if self.fresh:
                return False
            wanted = self._wanted()
            self._install()
            self.npm("run", "build")
            self._compress()
            self._stamp.write_text(wanted, encoding="utf-8")
        return True

    def install(self) -> None:
        """Install what the lock file names, if that is not what is there."""
        with self._alone():
            self._install()

    def npm(self, *command: str, quiet: bool = True) -> None:
        """Run npm among the sources; what it says is shown if it fails, or if it is not to be `quiet`.

        Raises:
            Trouble: see `build`.
        """
        out = subprocess.PIPE if quiet else None
        done = subprocess.run(  # noqa: S603
            [_npm(), *command], check=False, cwd=self.sources, stdout=out, stderr=subprocess.STDOUT
        )
        if done.returncode:
            shown = (done.stdout or b"").decode(errors="replace")
            raise Trouble(f"{shown}npm {' '.join(command)} failed in {self.sources}")

    def _install(self) -> None:
        stamp = self._modules / ".installed"
        wanted = sha256((self.sources / "package-lock.json").read_bytes()).hexdigest()
        if _said(stamp) != wanted:
            self.npm("ci", "--no-audit", "--no-fund")
            stamp.write_text(wanted, encoding="utf-8")

    def _wanted(self) -> str:
        """The sources in a hash. Tests are none."""
        found = sha256()
        for path in sorted(self._inputs()):
            found.update(f"{path.relative_to(self.sources).as_posix()}\0".encode())
            found.update(sha256(path.read_bytes()).digest())
        return found.hexdigest()

    def _inputs(self) -> Iterator[Path]:
        yield from (path for name in INPUTS if (path := self.sources / name).is_file())
        for folder in FOLDERS:
            for path in (self.sources / folder).rglob("*"):
                if path.is_file() and ".test." not in path.name:
                    yield path

    def _compress(self) -> None:
        """Beside each hashed file what a browser is sent of it."""
        texts = [one for one in (self.app / "assets").iterdir() if one.suffix in TEXTS]
        large = [one for one in texts if one.stat().st_size >= LEAST]
        for one in large:
            one.with_name(f"{one.name}.gz").write_bytes(gzip.compress(one.read_bytes(), mtime=0))
        subprocess.run([_node(), "-e", BROTLI, *map(str, large)], check=True)  # noqa: S603

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process builds here."""
        folder = os.open(self.sources, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _said(stamp: Path) -> str:
    return stamp.read_text(encoding="utf-8") if stamp.is_file() else ""


def _node() -> str:
    return _program("node")


def _npm() -> str:
    """npm, where there is a Node for it."""
    said = subprocess.run([_node(), "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    version = tuple(int(part) for part in said.removeprefix("v").split(".")[:2] if part.isdecimal())
    if version < NODE:
        raise Trouble(f"{_need()}; this Node is {said or 'broken'}")
    return _program("npm")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Trouble(f"{_need()}; there is no {name} here")
    return found


def _need() -> str:
    return f"to build the pages Node {'.'.join(map(str, NODE))} or newer and npm are needed"


class PagesHook(BuildHookInterface[Any]):
    """Called by hatchling; see the module's docstring."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before a wheel or an sdist is packed."""
        if version == "editable":
            return
        pages = Pages(Path(self.root))
        if os.environ.get(NO_UI, "") not in ("", "0"):
            self.app.display_warning(f"{NO_UI} is set: the pages are packed as they are, or not at all")
        elif pages.sources.is_dir():
            self._build(pages)
        elif not pages.built:
            self.app.abort(
                f"the pages are not here, nor what they are built of ({NO_UI}=1 goes without them)"
            )

    def _build(self, pages: Pages) -> None:
        try:
            pages.build()
        except Trouble as error:
            self.app.abort(f"{error} ({NO_UI}=1 goes without them)")


def main(arguments: Sequence[str]) -> int:
    """``ui``: build. ``ui --if-possible``: the same, but a hub does without. Anything else: an npm script.

    Returns the exit code.
    """
    pages = Pages(Path(__file__).parent)
    say = sys.stderr.write
    try:
        if arguments[0] != "ui":
            pages.install()
            pages.npm("run", "--silent", *arguments, quiet=False)
        elif not pages.sources.is_dir():
            say("just: no frontend/ here, so there are no pages to build\n")
        elif not pages.fresh:
            say("just: building the pages with npm\n")
            pages.build()
    except Trouble as error:
        say(f"just: {error}\n")
        if "--if-possible" not in arguments:
            return 1
        say(
            f"just: the hub goes on {'with the pages built before' if pages.built else 'without its pages'}\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
