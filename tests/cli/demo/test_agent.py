"""The demo's agent: a run with models, tools, a failure, a retry, a question, and what it used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.processes import finished, get, hub


def plant(folder: Path) -> None:
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "large.py").write_text("x = 1\n" * 500)
    (folder / "small.py").write_text("y = 2\n")
    (folder / "notes.txt").write_text("no Python")


async def the_run(address: str) -> Any:
    found = await get(f"{address}/api/v1/series/demo-agent")
    (run,) = found["runs"]
    return run, await get(f"{address}/api/v1/projects/{run['project_id']}/state")


async def test_an_agent_fails_tries_again_asks_and_says_what_it_used(tmp_path: Path) -> None:
    plant(tmp_path / "folder")
    async with hub(tmp_path, store="memory:") as (_, address):
        arguments = ("demo", "folder", "--agent", "--once", "--pace", "1000", "--hub", address)
        code, out, _ = await finished(tmp_path, *arguments)
        assert code == 0, out
        run, state = await the_run(address)
    nodes = {one["node_id"]: one for one in state["data"]["nodes"]}
    assert {one["status"] for one in nodes.values()} == {"completed"}
    assert {one["kind"] for one in nodes.values()} == {"agent", "llm", "tool", "chain"}
    assert run["state"] == "completed"
    assert run["usage"]["total_tokens"] > 100
    assert run["usage"]["cost_usd"] > 0
    read = nodes["read"]
    assert read["attempt"] == 2
    assert "No such file" in read["ended_attempts"][0]["message"]
    assert read["input"] == {"path": "deep/large.py"}
    assert read["output"]["$large"]["bytes"] > 2048
    assert nodes["count-1"]["output"] == {"lines": 500}
    answer = nodes[max((one for one in nodes if one.startswith("llm-")), key=lambda one: int(one[4:]))]
    assert "**501 lines**" in answer["output"][0]["parts"][0]["content"]


async def test_a_folder_without_python_files_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    arguments = ("demo", "folder", "--agent", "--once", "--pace", "1000", "--bind", "127.0.0.1:0")
    code, out, error = await finished(tmp_path, *arguments, "--store", "memory:")
    assert (code, error) == (0, ""), out
