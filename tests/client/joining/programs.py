"""Programs that join a project, each as a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

ROOT = str(Path(__file__).parents[3])
PATIENCE = 120.0
"""Seconds until a test gives up: a process may take 20 to begin where many share a core."""


async def ran(code: str, url: str, project: str = "p", **env: str) -> tuple[int, str]:
    """Run a program to its end, joined by its environment; exit code, and what it wrote on standard error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKTREE_RT_")}
    given = {"TASKTREE_RT_HUB": url, "TASKTREE_RT_PROJECT": project, "PYTHONPATH": ROOT}
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**kept, **given, **env},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert isinstance(done, subprocess.CompletedProcess)
    return done.returncode, done.stderr.decode()


@contextmanager
def silent_hub() -> Iterator[str]:
    """The address of a socket that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield "http://127.0.0.1:{}".format(*server.getsockname()[1:2])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in taken:
                one.close()


def refusing_hub() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return "http://127.0.0.1:{}".format(*server.getsockname()[1:2])
