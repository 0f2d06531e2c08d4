"""The plain mode: a server that is no hub is watched and reconciled by a number in its messages."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.errors import ClientError
from tests.cli.processes import command
from tests.load.faulty_proxy import FAULTS, faulty_proxy
from tests.load.running import load
from tests.load.test_finds_faults import FOUND_AS

RELAY = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1]) as socket:
    for line in sys.stdin:
        socket.send(line)
"""


@asynccontextmanager
async def fastapi(folder: Path) -> AsyncIterator[str]:
    """The server's ``host:port``."""
    code = "import runpy; runpy.run_module('tests.load.fastapi_broadcast', run_name='__main__')"
    async with command(folder, code=code) as running:
        yield f"127.0.0.1:{(await running.line('ready')).split()[1]}"


def accounted_for(found: dict[str, Any]) -> None:
    assert not any(found["faults"].values()), found["examples"]
    assert found["delivered"] == 40 * 20
    assert found["latency"]["delivery"]["count"] == 800
    assert found["methods"] == {"broadcast": "by the tool's number: none missing, none twice, in order"}


@pytest.mark.parametrize("way", ["ws://{}/push", "http://{}/publish"])
async def test_a_fastapi_server_is_measured(tmp_path: Path, way: str) -> None:
    async with fastapi(tmp_path) as server:
        found = await load(
            f"ws://{server}/feed", dialect="broadcast", publish_url=way.format(server), cooldown=1
        )
    accounted_for(found)
    assert found["latency"]["ack"]["count"] == (40 if way.startswith("http") else 0)
    assert found["trees"] == []


async def test_a_command_publishes_and_a_regular_expression_finds_the_number(tmp_path: Path) -> None:
    script = tmp_path / "relay.py"
    script.write_text(RELAY)
    async with fastapi(tmp_path) as server:
        found = await load(
            f"http://{server}/feed",
            dialect="broadcast",
            publish_command=f"{sys.executable} {script} ws://{server}/push",
            message="EVENT {n} AT {t} {pad}",
            number=r"/EVENT (\d+) /",
            time=r"/AT (\d+)/",
            cooldown=1,
        )
    accounted_for(found)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_planted_fault_is_found_in_a_plain_server(tmp_path: Path, fault: str) -> None:
    async with fastapi(tmp_path) as server, faulty_proxy(f"http://{server}", fault, {321}, b'"n"') as proxy:
        found = await load(
            f"ws://127.0.0.1:{proxy.port}/feed",
            dialect="broadcast",
            publish_url=f"ws://{server}/push",
            settle=3 if fault == "drop" else 60,
            cooldown=1,
        )
    assert proxy.done == 1
    assert {name for name, count in found["faults"].items() if count} == {FOUND_AS[fault]}, found["examples"]


async def test_a_server_that_no_watcher_can_connect_to_is_named_with_the_reason(tmp_path: Path) -> None:
    async with fastapi(tmp_path) as server:
        with pytest.raises(BaseExceptionGroup) as caught:
            await load(f"ws://{server}/nowhere", dialect="broadcast", publish_url=f"http://{server}/publish")
    (reason,) = _leaves(caught.value)
    assert isinstance(reason, ClientError)
    assert str(reason).startswith("none of 20 watchers could connect: HTTP 403")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]
