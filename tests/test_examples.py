"""The examples against a real hub, the programs in the documents, and their tables against the code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.cli.setting_options import BY_PATH
from tasktree_rt.client import open_api_client
from tasktree_rt.core.close_codes import ALL
from tasktree_rt.core.event_schema import SHAPES
from tasktree_rt.core.events import NOT_KEPT, Json
from tasktree_rt.core.reserved_names import RESERVED
from tasktree_rt.dialects.tasktree.requests import _READERS
from tasktree_rt.errors import HTTP_STATUS
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Execution, Settings, shown_value
from tasktree_rt.web.metrics_page import MetricsPage
from tests.browser import open_page, program
from tests.cli.processes import CODE, PATIENCE
from tests.client.watching import prompted
from tests.web.realhub import document, heard, node_update, real_hub

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DOCS = ROOT / "docs"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "*", "no_proxy": "*"}


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """A document's pieces of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", text(name), re.DOTALL)


def cells(line: str) -> list[str]:
    """The cells of a row of a table; ``\\|`` is no border."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows(name: str, heading: str) -> list[list[str]]:
    """A document's table by its first heading, without its head."""
    lines = text(name).split("\n")
    start = next(place for place, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append(cells(line))
    return found


async def run(*command: str, check: bool = True, **environment: str) -> str:
    with trio.fail_after(PATIENCE):
        finished = await trio.run_process(
            list(command),
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=check,
            env={**ENVIRONMENT, **environment},
        )
    return finished.stdout.decode()


# --- the examples -------------------------------------------------------------------------------------------


async def test_the_orchestrator_pushes_a_build() -> None:
    async with real_hub() as running:
        said = await run(sys.executable, str(EXAMPLES / "orchestrator.py"), running.url)
        state = await running.hub.state("example")
        assert said == f"done at position {state.epoch}:{state.seq}\n"
        nodes = {node_id: node.fields for node_id, node in state.nodes}
        assert {fields["status"] for fields in nodes.values()} == {"completed"}
        assert nodes["test"] == {"parent_id": "build", "order": 2, "status": "completed", "progress": 100}


async def test_the_shell_example_says_what_it_promises() -> None:
    async with real_hub() as running:
        said = await run(program("sh"), str(EXAMPLES / "curl.sh"), running.url)
        answers = [json.loads(line) for line in said.splitlines() if line and not line.startswith("#")]
        first, batch, repeat, state, history, snapshot, mistake, end = answers
        assert [first["duplicate"], batch["duplicate"], repeat["duplicate"]] == [False, False, True]
        assert repeat["positions"] == batch["positions"]
        assert [node["node_id"] for node in state["data"]["nodes"]] == ["build", "compile"]
        assert [event["seq"] for event in history["events"]] == [2, 3]
        assert (snapshot["name"], snapshot["seq"]) == ("before the end", 3)
        assert mistake["field"] == "events[0].data.node_id"
        assert end["positions"][0]["seq"] == 4


@pytest.mark.parametrize(("choice", "said"), [("all", "deployed\n"), ("none", "not deployed\n")])
async def test_the_deploy_gate_does_as_it_is_told(choice: str, said: str) -> None:
    async with real_hub() as running, open_api_client(running.url) as desk:
        printed: list[str] = []

        async def deploy() -> None:
            program = str(EXAMPLES / "deploy_gate.py")
            printed.append(await run(sys.executable, program, running.url, check=False))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(deploy)
            prompt = await prompted(running.url, "deploy")
            assert [one["id"] for one in prompt["options"]] == ["all", "none"]
            await desk.answer(prompt["prompt_id"], True, value=choice)
        lines = (await desk.events("deploy", type="log")).events
        state = await running.hub.state("deploy")
    nodes = {node_id: node.fields for node_id, node in state.nodes}
    assert printed == [said]
    assert (state.top["state"], nodes["gate"]["message"]) == ("completed", f"{choice} (answered)")
    assert nodes["deploy"]["status"] == ("completed" if choice == "all" else "ready")
    assert [one["data"]["message"] for one in lines] == (
        [f"{host}.example.org runs the new version" for host in "ab"] if choice == "all" else []
    )


@pytest.mark.parametrize(
    ("proceed", "value", "said"), [(True, "v2", "deploying v2"), (False, None, "the answer is no")]
)
async def test_the_gate_lets_a_script_go_on_only_if_a_person_says_so(
    proceed: bool, value: str | None, said: str, tmp_path: Path
) -> None:
    command = tmp_path / "tasktree-rt"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{CODE}" "$@"\n')
    command.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    async with real_hub() as running, trio.open_nursery() as nursery:
        printed: list[str] = []

        async def gate() -> None:
            script = str(EXAMPLES / "gate.sh")
            printed.append(
                await run(program("sh"), script, check=False, PATH=path, TASKTREE_RT_HUB=running.url)
            )

        nursery.start_soon(gate)
        prompt = await prompted(running.url, "gate")
        async with running.http() as client:
            answer = {"proceed": proceed} | ({} if value is None else {"value": value})
            await client.post(f"/api/v1/prompts/{prompt['prompt_id']}/answer", json=answer)
    assert printed[0].splitlines()[-1] == said


async def test_the_workers_share_the_work_and_say_how_it_goes() -> None:
    async with real_hub(execution=Execution(status_interval=0.0)) as running, running.http() as client:

        async def make(workflow: str, **given: Any) -> str:
            body = {"workflow_id": workflow, "input_data": given}
            answer = await client.post("/api/v1/executions", json=body)
            return str(answer.json()["id"])

        printed: list[str] = []

        async def worker() -> None:
            script = str(EXAMPLES / "execution_worker.py")
            printed.append(await run(sys.executable, script, running.url, "--once"))

        foreign, good = await make("somebody else's"), await make("sum", numbers=[1, 2, 3.5])
        async with (
            trio.open_nursery() as nursery,
            running.socket(f"/api/v1/ws/executions/{good}", native=False) as socket,
        ):
            said = [await heard(socket)]
            nursery.start_soon(worker)
            nursery.start_soon(worker)
            while said[-1]["status"] != "completed":
                said.append(await heard(socket))
            bad = await make("sum", numbers=[1, "two"])
        ends = {
            name: (await client.get(f"/api/v1/executions/{name}")).json() for name in (foreign, good, bad)
        }
    assert [one["progress"] for one in said] == [0, 0, 33, 66, 100, 100]
    assert said[-1]["result"] == ends[good]["result"] == 6.5
    assert ends[foreign]["status"] == "pending"
    assert (ends[bad]["status"], ends[bad]["error"][:9]) == ("failed", "TypeError")
    assert [line.partition(":")[0] for line in sorted(printed)] == ["done", "failed"]


async def test_the_browser_page_shows_a_project_live(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:

        @running.app.get("/example")
        async def example() -> tuple[str, dict[str, str]]:
            policy = {"Content-Security-Policy": "script-src 'unsafe-inline'; connect-src 'self'"}
            return (EXAMPLES / "watch.html").read_text(encoding="utf-8"), policy

        await running.publish("example", node_update("a", title="Compile", status="ready"))
        await page.go(f"{running.url}/example")
        await page.until("document.body.innerText === 'Compile ready'")
        await running.publish("example", node_update("a", status="running", progress=40), node_update("<b>"))
        await page.until("document.body.innerText === 'Compile running 40 %\\n<b>'")
        await running.hub.delete_project("example")
        await running.publish("example", node_update("c"))
        await page.until("document.body.innerText === 'c'")
        await page.evaluate(
            "take({type: 'conflated', removed: ['c'], nodes: [{node_id: 'd', title: 'D'}]}); show()"
        )
        assert await page.text("#list") == "D"
        assert [fault for fault in page.faults if "favicon" not in fault] == []


def test_the_examples_are_as_short_as_they_say() -> None:
    code = (EXAMPLES / "orchestrator.py").read_text(encoding="utf-8").split('"""')[2]
    assert len([line for line in code.splitlines() if line]) <= 20
    assert len((EXAMPLES / "watch.html").read_text(encoding="utf-8").splitlines()) <= 35


# --- the documents ------------------------------------------------------------------------------------------

PROGRAMS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text("embedding.md"), re.DOTALL)


def test_every_program_in_embedding_says_what_it_prints() -> None:
    assert len(PROGRAMS) == text("embedding.md").count("```python") == 5


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
async def test_the_programs_in_embedding_do_what_they_say(number: int) -> None:
    code, printed = PROGRAMS[number]
    with trio.fail_after(PATIENCE):
        finished = await trio.run_process(
            [sys.executable, "-W", "ignore", "-c", code], capture_stdout=True, env=ENVIRONMENT
        )
    assert finished.stdout.decode() == printed


def test_operating_lists_every_setting_with_its_default() -> None:
    def default(path: str) -> str:
        value: object = Settings()
        for name in path.split("."):
            value = getattr(value, name)
        return shown_value(value)

    listed = {setting.strip("`"): value.strip("`") for setting, value, *_ in rows("operating.md", "setting")}
    assert listed == {path: default(path) for path in BY_PATH}


def test_what_operating_says_lies_beyond_a_limit_is_of_the_protocol() -> None:
    for setting, _, _, beyond in rows("operating.md", "setting"):
        for code in re.findall(r"`([a-z_]+)`", beyond):
            assert code in HTTP_STATUS, (setting, code)
        for close in re.findall(r"close (\d+)", beyond):
            assert int(close) in {one.code for one in ALL}, (setting, close)


async def test_operating_lists_every_metric() -> None:
    listed = {
        name.removesuffix("_total")
        for row in rows("operating.md", "metric")
        for name in re.findall(r"(?:tasktree|process)_\w+", row[0])
    }
    metrics = Metrics()
    metrics.certificate_expires(0.0)
    async with real_hub() as running:
        found = MetricsPage(metrics, running.hub).text().decode()
    assert listed == {
        name.removesuffix("_total") for name in re.findall(r"^# TYPE (\w+)", found, re.MULTILINE)
    } - set(re.findall(r"^# TYPE (\w+_created)", found, re.MULTILINE))


def test_the_protocol_lists_every_error_code_with_its_status() -> None:
    listed = {
        row[0].strip("`"): int(row[1])
        for row in rows("protocol.md", "code")
        if len(row) == 3 and row[1].isdigit()
    }
    assert listed == HTTP_STATUS


def test_the_protocol_lists_every_close_code() -> None:
    lines = text("protocol.md").split("## Close codes")[1].split("\n## ")[0].split("\n")
    listed = [
        int(code) for line in lines if line.startswith("|") for code in re.findall(r"\d{4}", cells(line)[0])
    ]
    assert sorted(listed) == sorted(one.code for one in ALL)


def test_the_protocol_lists_every_checked_event_type_and_what_is_kept() -> None:
    listed = {
        kind: row[2].startswith("yes")
        for row in rows("protocol.md", "type")
        for kind in re.findall(r"`([a-z_]+)`", row[0])
    }
    assert listed == {kind: kind not in NOT_KEPT for kind in (*SHAPES, *RESERVED, "notification")}


def test_the_protocol_lists_every_message_and_request() -> None:
    said = {name for row in rows("protocol.md", "hub → client") for name in re.findall(r"`(\w+)`", row[0])}
    asked = {row[0].strip("`") for row in rows("protocol.md", "client → hub")}
    native = document("asyncapi.json")["operations"]["tellWatcher"]["messages"]
    own = {one["$ref"].rpartition("/")[2] for one in native[:11]}
    assert said == own
    assert asked == set(_READERS)


def test_the_protocol_lists_every_route_of_the_api() -> None:
    documented = set(re.findall(r"`(?:POST|GET|PATCH|DELETE)[^`]* (/[^?` ]+)", text("protocol.md")))
    for path in document("openapi.json")["paths"]:
        if path.startswith("/api/v1/") and not path.endswith(".json"):
            short = re.sub(r"\{\w+\}", "{id}", path.removeprefix("/api/v1"))
            assert short in documented or short.endswith("/snapshots/{id}"), short


async def test_the_commands_for_who_moves_executions_here_do_what_they_say(tmp_path: Path) -> None:
    page = text("migrate/execution.md")
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    client = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    make, find, claim, *rest = re.split(r"^# .*\n", shell, flags=re.MULTILINE)[1:]
    async with real_hub(execution=Execution(status_interval=0.0)) as running:

        async def say(*commands: str, execution: str = "") -> list[Json]:
            said = await run(program("sh"), "-ec", "echo; ".join(commands), HUB=running.url, ID=execution)
            return [json.loads(line) for line in said.replace("}{", "}\n{").splitlines() if line]

        made = (await run(program("sh"), "-ec", f'{make}echo "$ID"', HUB=running.url)).strip()
        (found,) = await say(find)
        assert [one["id"] for one in found["executions"]] == [made]
        printed: list[str] = []

        async def watch() -> None:
            address = running.url.removeprefix("http://")
            code = client.replace("127.0.0.1:8000", address)
            printed.append(await run(sys.executable, "-c", code, made))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            while not running.hub.status_notifier.watched(f"execution:{made}"):
                await trio.lowlevel.checkpoint()
            said = await say(claim, *rest, execution=made)
    words = [one["status"] for one in said if "status" in one]
    assert words == ["running", "running", "completed", "completed", "running", "completed"]
    assert [one["progress"] for one in said if "status" in one] == [0, 40, 100, 100, 50, 100]
    lines = ["pending 0 ", "running 0 ", "running 40 one of two", "completed 100 one of two"]
    assert printed[0].splitlines() == lines


@pytest.mark.parametrize("path", sorted(DOCS.glob("**/*.md")), ids=lambda path: path.name)
def test_links_in_the_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue  # of other sites; no network is needed for tests
        name, _, anchor = target.partition("#")
        found = path.parent / name if name else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def anchors(path: Path) -> set[str]:
    """What may stand behind ``#`` in a link to a document."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
