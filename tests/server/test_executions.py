"""Executions over `kill -9`: what was said of them stays said, and a claim stays won."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import trio
from trio_websocket import wrap_client_stream

from tests.cli.processes import PATIENCE
from tests.server.process import HubProcess, hub_process
from tests.web.realhub import heard


async def ask(hub: HubProcess, method: str, path: str, **body: Any) -> tuple[int, Any]:
    async with hub.http() as client:
        answer = await client.request(method, f"/api/v1/executions{path}", json=body or None)
    return answer.status_code, answer.json()


async def statuses(hub: HubProcess, execution: str) -> Any:
    """What a watcher is told first."""
    # trio-websocket leaves the stream open where the server closes first.
    async with await trio.open_tcp_stream("127.0.0.1", hub.port) as stream, trio.open_nursery() as nursery:
        path = f"/api/v1/ws/executions/{execution}"
        said = await heard(await wrap_client_stream(nursery, stream, hub.authority, path))
        nursery.cancel_scope.cancel()
    return said


async def test_what_was_said_and_claimed_stays_so_when_the_hub_is_killed(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        names = [(await ask(hub, "POST", "", workflow_id="w"))[1]["id"] for _ in range(3)]
        claimed, done, waiting = names
        assert (await ask(hub, "POST", f"/{claimed}/claim", worker_id="w1"))[0] == 200
        await ask(hub, "PATCH", f"/{claimed}", progress=40, message="half way")
        await ask(hub, "PATCH", f"/{done}", status="completed", result=[1])
        before = [(await ask(hub, "GET", f"/{name}"))[1] for name in names]
        await hub.kill()
        await hub.start()
        assert [(await ask(hub, "GET", f"/{name}"))[1] for name in names] == before
        said = await statuses(hub, claimed)
        assert (said["status"], said["progress"], said["message"]) == ("running", 40, "half way")
        assert (await statuses(hub, done))["result"] == [1]
        code, refused = await ask(hub, "POST", f"/{claimed}/claim", worker_id="w2")
        assert (code, refused["outcome"]) == (409, {"status": "running", "worker_id": "w1"})
        assert (await ask(hub, "POST", f"/{claimed}/claim", worker_id="w1"))[0] == 200
        found = (await ask(hub, "GET", "?status=pending"))[1]["executions"]
        assert [one["id"] for one in found] == [waiting]


async def claims(hub: HubProcess, name: str, worker: str) -> bool:
    """Ask until the hub answers; whether it is ours."""
    while True:
        try:
            code, _ = await ask(hub, "POST", f"/{name}/claim", worker_id=worker)
        except httpx.TransportError:  # perhaps it was ours: ask again
            await trio.lowlevel.checkpoint()
        else:
            return code == 200


async def test_workers_that_race_over_a_kill_never_both_win(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        names = [(await ask(hub, "POST", "", workflow_id="w"))[1]["id"] for _ in range(12)]
        won: dict[str, list[str]] = {name: [] for name in names}

        async def work(worker: str) -> None:
            for name in names:
                if await claims(hub, name, worker):
                    won[name].append(worker)

        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for number in range(3):
                    nursery.start_soon(work, f"w{number}")
                while not any(won.values()):
                    await trio.lowlevel.checkpoint()
                await hub.kill()
                await hub.start()
        found = [(await ask(hub, "GET", f"/{name}"))[1]["worker_id"] for name in names]
        assert [[worker] for worker in found] == list(won.values())
