"""One hub for the tests of a file, as a process of its own, asked by tests without an event loop."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.cli.forking import start
from tests.cli.processes import CODE, PATIENCE, address_in, environment


class LiveHub:
    """A running hub.

    Attributes:
        url: its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def nodes(self, project: str) -> dict[str, dict[str, Any]]:
        """The project's nodes by id; none while there is no such project."""
        with suppress(urllib.error.HTTPError):
            state = self._get(f"/api/v1/projects/{project}/state")["data"]
            return {node["node_id"]: node for node in state["nodes"]}
        return {}

    def state(self, project: str) -> str | None:
        """The project's own state."""
        with suppress(urllib.error.HTTPError):
            return str(self._get(f"/api/v1/projects/{project}/state")["data"]["state"])
        return None

    def lines(self, project: str, node: str | None = None) -> list[str]:
        """The messages of the project's output, or of one node's."""
        page = self._get(f"/api/v1/projects/{project}/events?since=:0&limit=1000&type=log")
        data = [event["data"] for event in page["events"]]
        return [one["message"] for one in data if node is None or one.get("node_id") == node]

    def until(
        self, project: str, holds: Callable[[dict[str, dict[str, Any]]], bool]
    ) -> dict[str, dict[str, Any]]:
        """Ask for the nodes until this holds of them."""
        end = time.monotonic() + PATIENCE
        while not holds(nodes := self.nodes(project)):
            assert time.monotonic() < end, nodes
            time.sleep(0.02)
        return nodes

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as response:
            return json.loads(response.read())


@contextmanager
def live_hub(folder: Path) -> Iterator[LiveHub]:
    """Run a hub with its data in memory."""
    reading, writing = os.pipe()
    with open(reading, "rb") as output:
        process = start(
            CODE,
            *("serve", "--bind", "127.0.0.1:0", "--store", "memory:"),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            cwd=folder,
            env=environment(folder),
        )
        os.close(writing)
        try:
            for line in output:
                if b"listening on" in line:
                    yield LiveHub(address_in(line.decode()))
                    return
            raise AssertionError("the hub ended")
        finally:
            process.kill()
            process.wait_blocking(PATIENCE)
