"""For ``just client``: the package alone, with the oldest packages that it allows, talks to a hub.

A program, the commands and the load test run in an environment of their own; the hub is this checkout's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAM = """
import sys
from tasktree_rt.client import Run
with Run(sys.argv[1], "build") as run:
    with run.node("compile", title="Compile") as node:
        node.log("hello")
"""


def main() -> None:
    """Install, run, and look at what the hub has."""
    with tempfile.TemporaryDirectory() as folder:
        python = _installed(Path(folder))
        hub = [sys.executable, "-m", "tasktree_rt", "serve", "--bind", "127.0.0.1:0", "--store", "memory:"]
        with subprocess.Popen(hub, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            try:
                assert server.stdout is not None
                found = re.search(r"http://[^,\s]+", server.stdout.readline())
                assert found is not None, "the hub does not say where it listens"
                _talk(python, found[0])
            finally:
                server.terminate()


def _installed(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    oldest = [one.replace(">=", "==") for one in wanted]
    environment = {**os.environ, "TASKTREE_RT_NO_UI": "1"}
    install = [python, "-m", "pip", "install", "--quiet", *oldest, str(ROOT)]
    subprocess.run(install, check=True, env=environment)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    return python


def _talk(python: str, hub: str) -> None:
    environment = {**os.environ, "TASKTREE_RT_HUB": hub}

    def tasktree_rt(*words: str, told: str = "") -> str:
        command = [python, "-m", "tasktree_rt", *words]
        return subprocess.run(
            command, check=True, env=environment, input=told, capture_output=True, text=True
        ).stdout

    subprocess.run([python, "-c", PROGRAM, hub], check=True, cwd=Path(python).parent)
    assert "hello" in tasktree_rt("logs", "build")
    event = '{"type": "log", "data": {"message": "by hand", "level": "info"}}'
    tasktree_rt("push", "build", told=event)
    assert "by hand" in tasktree_rt("search", "hand", "--project", "build")
    print(tasktree_rt("load", hub, "--watchers", "20", "--rate", "50", "--duration", "1s"))  # noqa: T201
    print("client: a program, the commands and the load test run with the oldest packages")  # noqa: T201


if __name__ == "__main__":
    main()
