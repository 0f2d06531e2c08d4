"""Installs the peers: Python ones each into an environment of its own in ``.bench``, others by npm, Go, apt.

What cannot be installed is told in a line, and its rows are left out visibly.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

from tests.bench.catalogue import CENTRIFUGO_PROGRAM, PEERS, PEERS_FOLDER
from tests.bench.process import HOME

PIP_INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
CENTRIFUGO = "github.com/centrifugal/centrifugo/v6@v6.9.1"
"""As ``go install`` takes it; Go compares its sources with the sums of all its modules."""
PACKAGES = {
    "nchan": ("nginx", "/usr/lib/nginx/modules/ngx_nchan_module.so", ("nginx", "libnginx-mod-nchan")),
    "redis": ("redis-server", "/usr/bin/redis-server", ("redis-server",)),
}
"""Of each peer that Debian brings: the program, a file that tells that it is there, the packages."""


def install(names: Set[str]) -> None:
    """Install what the peers named need and what is not there yet."""
    for environment in sorted({PEERS[name].environment for name in names} - {"", "node"}):
        _python(environment)
    if "node-ws" in names:
        _node()
    if names & {"centrifugo", "centrifugo-deflate"}:
        _go()
    wanted = [PACKAGES[name] for name in sorted(names & PACKAGES.keys())]
    _debian([package for _, there, packages in wanted if not Path(there).exists() for package in packages])


def _python(environment: str) -> None:
    requirements = PEERS_FOLDER / "requirements" / f"{environment}.txt"
    folder, state = HOME / environment, _state(requirements, sys.version)
    if _same(folder, state):
        return
    print(f"bench: installing {environment} into {HOME.name}/{environment}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    commands = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), *PIP_INSTALL, "--requirement", str(requirements)],
    )
    if all(map(_run, commands)):
        _stamp(folder).write_text(state)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _node() -> None:
    source, folder = PEERS_FOLDER / "node", HOME / "node"
    state = _state(source / "package-lock.json", (source / "node_ws.mjs").read_text())
    npm = shutil.which("npm")
    if npm is None:
        print("bench: no npm on this machine (Debian: apt-get install nodejs npm)", flush=True)
    elif not _same(folder, state):
        print(f"bench: installing ws into {HOME.name}/node", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
        if _run([npm, "ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)]):
            _stamp(folder).write_text(state)
        else:
            shutil.rmtree(folder / "node_modules", ignore_errors=True)


def _go() -> None:
    folder = CENTRIFUGO_PROGRAM.parent
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        print("bench: no go on this machine (Debian: apt-get install golang)", flush=True)
    elif not _same(folder, CENTRIFUGO) or not CENTRIFUGO_PROGRAM.exists():
        print(f"bench: building Centrifugo into {HOME.name}/centrifugo, for some minutes", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        if _run([go, "install", CENTRIFUGO], os.environ | {"GOBIN": str(folder)}):
            _stamp(folder).write_text(CENTRIFUGO)


def _debian(packages: list[str]) -> None:
    if not packages:
        return
    words = " ".join(packages)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print(f"bench: missing {words}; as root on Debian: apt-get install {words}", flush=True)
        return
    print(f"bench: installing {words}", flush=True)
    # RUNLEVEL=1: the packages' own services are not started.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if not _run(install, environment):
        _run(["apt-get", "update", "-qq"], environment)
        _run(install, environment)


def _run(command: list[str], environment: dict[str, str] | None = None) -> bool:
    done = subprocess.run(
        command, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        print(f"bench: failed: {' '.join(command)}\n{done.stdout.decode()[-2000:]}", flush=True)
    return done.returncode == 0


def _state(file: Path, more: str) -> str:
    return hashlib.sha256(file.read_bytes() + more.encode()).hexdigest()


def _stamp(folder: Path) -> Path:
    return folder / ".installed"


def _same(folder: Path, state: str) -> bool:
    return _stamp(folder).is_file() and _stamp(folder).read_text() == state
