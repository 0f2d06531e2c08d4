from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Redis without persistence for all tests of a file: its Unix socket."""
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "s"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder, text=True) as server:
        assert server.stdout is not None
        next(line for line in server.stdout if "ready to accept connections" in line.lower())
        yield path
        server.kill()
