"""One revocation among very many connections: those of the revoked user end, with what the user has shared;
no other is touched, and the others' events are late by a few turns of the hub's loop.

``--storm-connections N`` says among how many (default 400, ``just storm`` 10,000). The clients are in a
process of their own, so all turns of the loop are the hub's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
import trio
import trio.lowlevel

from tasktree_rt.core.access import EVERYTHING, Grants
from tasktree_rt.settings.bounds import NO_RATES
from tests.web.admin_calls import ADMIN, admin, issued
from tests.web.realhub import RealHub, auth, node_update, real_hub
from tests.wsclient import KEY

AT_ONCE: Final = 50
"""Connections that are made before the hub has its turn."""
OWN: Final = 10
"""Of so many connections one is of the revoked user."""
USUAL: Final = 8
"""Times the usual turns that an event may take while the hub ends connections."""
SECOND: Final = 1.0
LIMITS: Final = (
    "max_connections",
    "max_connections_per_address",
    "max_connections_per_subject",
    "max_subscriptions_per_address",
    "max_subscriptions_per_subject",
)
SILENT: Final = {"heartbeat_interval": 3600.0, "ping_interval": 1e6}
"""The clients answer no pings."""
UPGRADE: Final = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: tasktree.v1\r\n"
)


class Turns(trio.abc.Instrument):
    """Counts the turns of the event loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


class Clients:
    """The process with the sockets."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._text = b""

    async def ask(self, *command: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        await self._process.stdin.send_all(json.dumps(command).encode() + b"\n")
        while b"\n" not in self._text:
            self._text += await self._process.stdout.receive_some()
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)

    async def until(self, name: str, wanted: set[int]) -> None:
        """Read until all of `wanted`, and no other, have had what `name` is."""
        found = set[int]()
        with trio.fail_after(60):
            while not wanted <= found:
                found.update((await self.ask("read"))[name])
        assert found == wanted


@asynccontextmanager
async def the_clients() -> AsyncIterator[Clients]:
    command = [sys.executable, "-m", "tests.server.many_clients"]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Clients(process)
    finally:
        process.kill()
        await process.wait()


def request(number: int, port: int, tokens: dict[str, str]) -> str:
    """The request of a connection: a WebSocket, a stream, and both by a shared link."""
    whose = "ada" if number % OWN == 0 else "bob"
    kind = number // OWN % 4
    token = tokens[f"{whose}'s link" if kind >= 2 else whose]
    path = "/api/v1/projects/p/stream?" if kind % 2 else "/ws/updates?project_id=p&"
    upgrade = "" if kind % 2 else UPGRADE
    return f"GET {path}token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{upgrade}\r\n"


async def connect(hub: RealHub, clients: Clients, count: int) -> None:
    now = hub.hub.wall() / 1_000_000
    tokens = {}
    for one in ("ada", "bob"):
        tokens[one] = issued(one, iat=int(now) - 10)
        maker = Grants(one, EVERYTHING, issued=now - 10)
        tokens[f"{one}'s link"] = hub.hub.subscription_tokens.mint("p", lifetime=3600, maker=maker)
    port = int(hub.url.rpartition(":")[2])
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        await clients.ask("connect", port, [request(number, port, tokens) for number in numbers])
        while len(hub.hub.connections) <= numbers[-1]:
            await trio.lowlevel.checkpoint()
    await clients.until("begun", set(range(count)))
    quiet = 0
    while quiet < 3:  # streams get their state
        await trio.sleep(0.2)
        quiet = 0 if (await clients.ask("read"))["any"] else quiet + 1


async def delivery(hub: RealHub, messages: AsyncIterator[Any], turns: Turns) -> int:
    """The turns of the loop from a publish to its event at a reader in the same process."""
    before = turns.count
    await hub.publish("healthy", node_update("n", status="running"))
    await anext(messages)
    return turns.count - before


@pytest.fixture
def many(request: pytest.FixtureRequest) -> Iterator[int]:
    """The number of connections; raises the limit of open files to what the hub needs."""
    count = int(request.config.getoption("--storm-connections"))
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, count + 500)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        pytest.skip(f"needs {wanted} open files, at most {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield count
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_one_revocation_ends_what_it_should_and_touches_no_other(
    many: int, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    turns, report = Turns(), request.config.get_terminal_writer()
    limits = dict.fromkeys(LIMITS, many + 100)
    lost = set(range(0, many, OWN))
    sockets = {number for number in lost if number // OWN % 2 == 0}
    async with (
        real_hub(auth=auth(), limits=limits, delivery=SILENT, rates=NO_RATES) as hub,
        the_clients() as clients,
    ):
        await hub.publish("p", node_update("n"))
        await connect(hub, clients, many)
        async with hub.hub.subscribe("healthy", grants=Grants("carol", EVERYTHING)) as messages:
            reader = aiter(messages)
            await delivery(hub, reader, turns)
            trio.lowlevel.add_instrument(turns)
            usual = max([await delivery(hub, reader, turns) for _ in range(5)])
            begun: list[float] = []
            ended: list[float] = []

            async def revoke(client: httpx.AsyncClient) -> None:
                begun.append(time.perf_counter())
                answer = await client.post(f"{ADMIN}/revoke", json={"user": "ada"})
                ended.append(time.perf_counter() - begun[0])
                assert answer.json() == {"disconnected": len(lost)}

            worst, times = 0, 0
            async with hub.http(headers=admin()) as client, trio.open_nursery() as nursery:
                await client.get(f"{ADMIN}/revocations")
                nursery.start_soon(revoke, client)
                while not ended:
                    worst, times = max(worst, await delivery(hub, reader, turns)), times + 1
            trio.lowlevel.remove_instrument(turns)
        said: dict[str, set[int]] = {"any": set(), "ended": set(), "refused": set()}
        with trio.fail_after(30):
            while not (sockets <= said["ended"] and lost - sockets <= said["refused"]):
                found = await clients.ask("read")
                said = {name: numbers | set(found[name]) for name, numbers in said.items()}
        gone = time.perf_counter() - begun[0]
        assert said["any"] <= lost, f"no other gets a byte: {sorted(said['any'] - lost)[:5]}"
        await hub.publish("p", node_update("n", status="completed"))
        await clients.until("event", set(range(many)) - lost)
        with capsys.disabled():
            report.line(
                f"\n{many} connections: {len(lost)} ended in {gone:.3f} s; meanwhile {times} deliveries "
                f"to another reader took at most {worst} turns of the loop (usually {usual})"
            )
        assert worst <= USUAL * usual
        assert gone < SECOND or many < 5_000
