import hashlib
import os
import re
import signal
from pathlib import Path
from typing import Any

import trio

from tests.cli.processes import address_in, command, events_of, finished, free_port, get, hub


def plant(folder: Path, count: int) -> dict[str, str]:
    """Files and their hashes."""
    folder.mkdir()
    hashes = {}
    for number in range(count):
        name, content = f"{number:03}.txt", f"content {number}".encode()
        (folder / name).write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    return hashes


def nodes_of(state: Any) -> dict[str, Any]:
    return {node["node_id"]: node for node in state["data"]["nodes"]}


async def test_once_does_its_work_and_ends_well(tmp_path: Path) -> None:
    plant(tmp_path / "folder", 5)
    os.mkfifo(tmp_path / "folder" / "pipe")
    (tmp_path / "folder" / "bad.py").write_text("x = (")
    with open(os.fsencode(tmp_path / "folder") + b"/\xff\xfe", "wb"):
        pass
    arguments = ("demo", "folder", "--once", "--bind", "127.0.0.1:0", "--store", "memory:", "--pace", "1000")
    code, out, error = await finished(tmp_path, *arguments)
    assert (code, error) == (0, "")
    assert re.search(r"open http://127\.0\.0\.1:\d+/p/folder/tree in a browser", out)
    assert "failed: bad.py: SyntaxError: line 1" in out
    assert out.endswith("tasktree-rt: done: 1 folders, 6 files completed, 1 failed\n")


async def test_it_keeps_serving_what_it_has_done_until_a_signal(tmp_path: Path) -> None:
    hashes = plant(tmp_path / "folder", 3)
    (tmp_path / "folder" / "a b%41").write_text("")
    arguments = ("demo", "folder", "--bind", "127.0.0.1:0", "--store", "memory:", "--pace", "1000")
    async with command(tmp_path, *arguments) as running:
        address = address_in(await running.line("listening on"))
        await running.line("still serving")
        nodes = nodes_of(await get(f"{address}/api/v1/projects/folder/state"))
        running.signal(signal.SIGINT)
        assert (await running.end())[0] == 0
    assert {name: nodes[name]["sha256"] for name in hashes} == hashes
    assert "a b%2541" in nodes
    assert nodes["."]["progress"] == 100


async def test_a_signal_in_the_middle_ends_it_well_and_the_tree_says_so(tmp_path: Path) -> None:
    plant(tmp_path / "folder", 50)
    store = f"sqlite:{tmp_path}/x.db"
    async with command(
        tmp_path, "demo", "folder", "--bind", "127.0.0.1:0", "--store", store, "--pace", "20"
    ) as running:
        await running.line("listening on")
        running.signal(signal.SIGTERM)
        code, out = await running.end()
        assert (code, out.splitlines()[-1]) == (0, "tasktree-rt: broken off")
    async with hub(tmp_path, store=store) as (_, address):
        state = await get(f"{address}/api/v1/projects/folder/state")
    assert state["data"]["state"] == "cancelled"
    assert {node["status"] for node in state["data"]["nodes"]} <= {"cancelled", "completed"}


async def test_with_a_hub_elsewhere_nothing_is_lost_or_doubled_through_its_death(tmp_path: Path) -> None:
    hashes = plant(tmp_path / "folder", 60)
    bind, store = f"127.0.0.1:{free_port()}", f"sqlite:{tmp_path}/x.db"
    async with trio.open_nursery() as nursery:
        async with hub(tmp_path, bind=bind, store=store) as (first, address):
            demo = await nursery.start(_demo, tmp_path, address)
            await demo.line("12 of 60 files")
            first.signal(signal.SIGKILL)
            await first.end()
        async with hub(tmp_path, bind=bind, store=store) as (_, address):
            code, out = await demo.end()
            nodes = nodes_of(await get(f"{address}/api/v1/projects/folder/state"))
            events = await events_of(address, "folder")
        nursery.cancel_scope.cancel()
    assert code == 0
    assert "60 files completed, 0 failed" in out
    assert {name: nodes[name]["sha256"] for name in hashes} == hashes
    assert nodes["."]["status"] == "completed"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    for status in ("ready", "running", "completed"):
        told = [
            event["data"]["node_id"]
            for event in events
            if _status(event) == status and event["data"]["node_id"] != "."
        ]
        assert sorted(told) == sorted(hashes)


async def _demo(folder: Path, address: str, *, task_status: trio.TaskStatus[Any]) -> None:
    async with command(folder, "demo", "folder", "--once", "--hub", address, "--pace", "400") as running:
        task_status.started(running)
        await trio.sleep_forever()


def _status(event: dict[str, Any]) -> object:
    return event["data"].get("changes", {}).get("status")


async def test_flags_of_a_hub_it_does_not_start_are_refused(tmp_path: Path) -> None:
    code, _, error = await finished(tmp_path, "demo", "--hub", "http://127.0.0.1:1", "--store", "memory:")
    assert (code, error) == (
        2,
        "tasktree-rt: --store: is for the hub that demo starts; with --hub it starts none\n",
    )


async def test_a_hub_that_never_comes_is_one_line_in_the_end(tmp_path: Path) -> None:
    arguments = ("demo", "--hub", f"http://127.0.0.1:{free_port()}", "--patience", "0.1")
    code, _, error = await finished(tmp_path, *arguments)
    assert code == 2
    assert "cannot connect" in error.splitlines()[-1]
    assert "Traceback" not in error
