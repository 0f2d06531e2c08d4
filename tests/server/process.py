"""A hub as a process of its own: started, asked, frozen, stopped, killed, and started again where it was."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from tests.certificates import Pair
from tests.cli.forking import Forked, start
from tests.cli.processes import CODE, PATIENCE, address_in, environment
from tests.secure import secure

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class HubProcess:
    """``tasktree-rt serve`` on a port and a store that stay the same over all its lives.

    Attributes:
        settings: ``limits.max_nodes=3`` and the like; may be changed between two lives.
        token: shown by `http` and what is built on it.
    """

    def __init__(
        self, folder: Path, settings: Sequence[str], store: str, flags: Sequence[str], env: Mapping[str, str]
    ) -> None:
        self.folder = folder
        self.settings = list(settings)
        self.store = store
        self.flags = list(flags)
        self.env = dict(env)
        self.code = CODE
        """What runs the command."""
        self.token: str | None = None
        self.tls: Pair | None = None
        """Files of its certificate, in place of the usual ones."""
        # Bound and never listening: between two lives of the hub nobody else is given the port.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port = int(self._reserved.getsockname()[1])
        self._process: Forked | None = None
        self._log = folder / "hub.log"

    @property
    def process(self) -> Forked:
        assert self._process is not None
        return self._process

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{secure.scheme}://{self.authority}"

    @property
    def log(self) -> str:
        """Everything it wrote to standard error, in all its lives."""
        return self._log.read_text()

    async def start(self) -> None:
        """Start it, and wait until it says where it listens."""
        assert self._process is None or self._process.returncode is not None
        assignments = [part for one in self.settings for part in ("--set", one)]
        arguments = [
            "serve",
            "--bind",
            self.authority,
            "--store",
            self.store,
            *self.flags,
            *secure.flags(self.tls),
            *assignments,
        ]
        with self._log.open("ab") as log:
            self._process = start(
                self.code,
                *arguments,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env={**environment(self.folder), **self.env},
            )
        line = await self._first_line()
        assert address_in(line) == self.url, line

    async def _first_line(self) -> str:
        assert self.process.stdout is not None
        data = b""
        with trio.fail_after(PATIENCE):
            while not data.endswith(b"\n"):
                chunk = await self.process.stdout.receive_some()
                assert chunk, f"the hub did not start: {self.log}"
                data += chunk
        return data.decode()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        with trio.fail_after(PATIENCE):
            code = await self.process.wait()
        if self.process.stdout is not None:
            await self.process.stdout.aclose()
        return code

    async def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        await self.ended()

    async def stop(self) -> int:
        """SIGTERM, and wait for its end."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def close(self) -> None:
        """Not for tests: `hub_process` calls it."""
        self._reserved.close()
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self.ended()

    def memory(self) -> int:
        """Resident memory in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    # --- what it says over HTTP

    def http(self) -> httpx.AsyncClient:
        """A client; use it as a context manager."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=PATIENCE,
            verify=secure.verify,
        )

    async def get(self, path: str, status: int = 200) -> Any:
        """JSON of a GET."""
        async with self.http() as client:
            response = await client.get(path)
        assert response.status_code == status, response.text
        return response.json()

    async def is_ready(self) -> bool:
        """Whether a balancer would send clients here."""
        async with self.http() as client:
            return (await client.get("/readyz")).status_code == 200

    async def post(self, project: str, *events: Mapping[str, Any], **headers: str) -> Any:
        """Publish over HTTP; the answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http() as client:
            path = f"/api/v1/projects/{project}/events"
            response = await client.post(path, json=list(events), headers=given)
        assert response.status_code == 200, response.text
        return response.json()

    async def state(self, project: str) -> Any:
        """``GET …/state``."""
        return await self.get(f"/api/v1/projects/{project}/state")

    async def events(self, project: str) -> list[dict[str, Any]]:
        """All of a project's events, page by page."""
        found: list[dict[str, Any]] = []
        since: str | None = ":0"
        async with self.http() as client:
            while since:
                parameters: dict[str, str | int] = {"since": since, "limit": 1000}
                response = await client.get(f"/api/v1/projects/{project}/events", params=parameters)
                assert response.status_code == 200, response.text
                page = response.json()
                found += page["events"]
                since = page["next"]
        return found

    async def connections(self) -> list[dict[str, Any]]:
        """``GET /connections``, by age."""
        found: list[dict[str, Any]] = (await self.get("/api/v1/connections"))["connections"]
        return found

    async def metrics(self) -> dict[str, float]:
        """Everything in ``/metrics``, see `samples`."""
        async with self.http() as client:
            response = await client.get("/metrics")
        assert response.status_code == 200, response.text
        return samples(response.text)

    async def metric(self, name: str, **labels: str) -> float:
        """One sample; 0 where there is none yet."""
        wanted = _sample(name, [f'{key}="{value}"' for key, value in labels.items()])
        return (await self.metrics()).get(wanted, 0.0)


def samples(text: str) -> dict[str, float]:
    """Every sample of a scrape by its name, labels in order included."""
    return {
        _sample(name, labels.split(",") if labels else []): float(value)
        for name, labels, value in _SAMPLE.findall(text)
    }


def _sample(name: str, labels: list[str]) -> str:
    return f"{name}{{{','.join(sorted(labels))}}}" if labels else name


@asynccontextmanager
async def hub_process(
    folder: Path,
    *settings: str,
    store: str | None = None,
    flags: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    code: str = CODE,
) -> AsyncIterator[HubProcess]:
    """A running hub on a SQLite file in `folder`; killed at the end if it still runs."""
    hub = HubProcess(folder, settings, store or f"sqlite:{folder}/hub.db", flags, env or {})
    hub.code = code
    try:
        await hub.start()
        yield hub
    finally:
        with trio.CancelScope(shield=True):
            await hub.close()
