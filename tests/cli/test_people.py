"""ask, answer, command and notify as real processes."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.client import open_api_client
from tests.cli.processes import CODE, PATIENCE, Running, command, environment, finished, free_port, get, hub

GATE = """
if %s ask "Deploy?" --project shop --id gate --timeout 5m --hub $HUB
then echo deployed
else echo "held ($?)"
fi
"""


def script(text: str) -> str:
    return text % f"{sys.executable} -c '{CODE}'"


async def asked(address: str, prompt_id: str) -> dict[str, Any]:
    """The prompt, as soon as it is open."""
    with trio.fail_after(PATIENCE):
        while True:
            page = await get(f"{address}/api/v1/prompts")
            for one in page["prompts"]:
                if one["prompt_id"] == prompt_id:
                    return dict(one)
            await trio.sleep(0.05)


async def curl(*arguments: str) -> None:
    await trio.run_process(["curl", "-sf", "-H", "Content-Type: application/json", *arguments])


@pytest.mark.parametrize(
    ("answer", "printed"),
    [('{"proceed": true}', "yes\ndeployed\n"), ('{"proceed": false, "feedback": "wait"}', "no\nheld (1)\n")],
)
async def test_a_script_waits_at_the_gate_for_an_answer_over_http(
    tmp_path: Path, answer: str, printed: str
) -> None:
    async with hub(tmp_path) as (_, address):
        process = await trio.lowlevel.open_process(
            ["sh", "-c", script(GATE)],
            stdout=subprocess.PIPE,
            cwd=tmp_path,
            env={**environment(tmp_path), "HUB": address},
        )
        await asked(address, "gate")
        await curl("-d", answer, f"{address}/api/v1/prompts/gate/answer")
        assert await Running(process).end() == (0, printed)


async def test_a_question_outlives_the_hub(tmp_path: Path) -> None:
    bind, store = f"127.0.0.1:{free_port()}", f"sqlite:{tmp_path}/x.db"
    arguments = ("ask", "Deploy?", "--project", "p", "--id", "q", "--option", "blue", "--option", "g=Green")
    async with command(tmp_path, *arguments, "--hub", f"http://{bind}") as asking:
        async with hub(tmp_path, bind=bind, store=store) as (first, address):
            await asked(address, "q")
            first.signal(signal.SIGKILL)
            await first.end()
        async with hub(tmp_path, bind=bind, store=store) as (_, address):
            code, _, error = await finished(tmp_path, "answer", "q", "--value", "g", "--hub", address)
            assert (code, error) == (0, 'tasktree-rt: answered yes: "g"\n')
            assert await asking.end() == (0, "g\n")


@pytest.mark.parametrize(
    ("default", "code", "printed"), [("no", 3, "no\n"), ("yes", 0, "yes\n"), ("7", 0, "7\n")]
)
async def test_nobody_answers_in_time(tmp_path: Path, default: str, code: int, printed: str) -> None:
    more = ("--schema", '{"type": "integer"}') if default == "7" else ()
    async with hub(tmp_path) as (_, address):
        found = await finished(
            tmp_path,
            *("ask", "Now?", "--user", "anna", "--timeout", "50ms", "--default", default, *more),
            *("--hub", address),
        )
    assert found[:2] == (code, printed)
    assert "no answer came in time" in found[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_takes_the_question_back(tmp_path: Path, number: signal.Signals) -> None:
    async with hub(tmp_path) as (_, address):
        async with command(
            tmp_path, "ask", "Now?", "--project", "p", "--id", "q", "--hub", address
        ) as asking:
            await asked(address, "q")
            asking.signal(number)
            assert await asking.end() == (130, "")
        assert (await get(f"{address}/api/v1/prompts/q"))["status"] == "cancelled"


async def test_what_the_hub_refuses_is_an_error_and_no_answer(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        code, out, error = await finished(
            tmp_path, "ask", "x", "--project", "p", "--schema", '{"type": "klingon"}', "--hub", address
        )
    assert (code, out) == (2, "")
    assert error.splitlines()[-1].startswith("tasktree-rt: invalid_message: schema")


async def test_answers_are_checked_and_the_quicker_one_holds(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        to = ("--hub", address)
        question = {
            "prompt_id": "q",
            "project_id": "p",
            "message": "How\nmany?",
            "schema": {"type": "integer"},
        }
        await curl("-d", json.dumps(question), f"{address}/api/v1/prompts")
        listed = await finished(tmp_path, "answer", *to)
        assert listed == (0, "q\tp\tHow many?\n", "")
        wrong = await finished(tmp_path, "answer", "--value", "many", *to)
        assert wrong[0] == 2
        assert "invalid_message: value: 'many' is not of type 'integer'" in wrong[2]
        first = await finished(tmp_path, "answer", "--value", "3", "--feedback", "enough", *to)
        assert (first[0], first[2]) == (0, "tasktree-rt: answered yes: 3\n")
        second = await finished(tmp_path, "answer", "q", "--no", *to)
        assert (second[0], second[2]) == (1, "tasktree-rt: answered already: yes: 3\n")
        none = await finished(tmp_path, "answer", "--yes", *to)
        assert (none[0], none[2]) == (2, "tasktree-rt: nothing is asked now\n")
        assert (await get(f"{address}/api/v1/prompts/q"))["outcome"]["feedback"] == "enough"


class Terminal:
    """A command in a terminal of its own, awaited by what it shows."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._shown = ""

    async def shows(self, text: str) -> str:
        """All that was shown up to and including `text`."""
        with trio.fail_after(PATIENCE):
            while text not in self._shown:
                await trio.lowlevel.wait_readable(self._handle)
                self._shown += os.read(self._handle, 65_536).decode()
        shown, found, self._shown = self._shown.partition(text)
        return shown + found

    def type(self, line: str) -> None:
        os.write(self._handle, line.encode() + b"\n")


async def test_in_a_terminal_it_lists_asks_and_asks_again(tmp_path: Path) -> None:
    questions: list[dict[str, Any]] = [
        {"prompt_id": "one", "message": "Deploy?"},
        {"prompt_id": "two", "message": "Which?", "options": [{"id": "a", "label": "Apple"}, {"id": "b"}]},
        {"prompt_id": "three", "message": "How many?", "schema": {"type": "integer"}},
    ]
    async with hub(tmp_path) as (_, address):
        for one in questions:
            await curl("-d", json.dumps({**one, "project_id": "p"}), f"{address}/api/v1/prompts")
        ours, theirs = pty.openpty()
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", CODE, "answer", "--hub", address],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=tmp_path,
            env=environment(tmp_path),
        )
        os.close(theirs)
        terminal = Terminal(ours)
        await terminal.shows("Which (1-3; Enter ends): ")
        terminal.type("2")
        assert "Apple" in await terminal.shows("1-2, or no: ")
        terminal.type("1")
        await terminal.shows("Remark (Enter for none): ")
        terminal.type("tasty")
        assert 'answered yes: "a"' in await terminal.shows("Which (1-2; Enter ends): ")
        terminal.type("three")
        await terminal.shows("Value, or no: ")
        terminal.type("many")
        await terminal.shows("Remark")
        terminal.type("")
        assert "'many' is not of type 'integer'" in await terminal.shows("Value, or no: ")
        terminal.type("4")
        await terminal.shows("Remark")
        terminal.type("")
        await terminal.shows("Which (1-1; Enter ends): ")
        terminal.type("1")
        await terminal.shows("yes or no: ")
        terminal.type("no")
        await terminal.shows("Remark")
        terminal.type("")
        await terminal.shows("Nothing is asked now.")
        assert await process.wait() == 0
        os.close(ours)
        found = [await get(f"{address}/api/v1/prompts/{one['prompt_id']}") for one in questions]
    outcomes = [one["outcome"] for one in found]
    assert [(one["proceed"], one.get("value"), one.get("feedback")) for one in outcomes] == [
        (False, None, None),
        (True, "a", "tasty"),
        (True, 4, None),
    ]


async def test_a_failed_file_is_mended_on_disk_and_tried_again_by_command(tmp_path: Path) -> None:
    (tmp_path / "folder" / "lib").mkdir(parents=True)
    broken = tmp_path / "folder" / "lib" / "broken.py"
    broken.write_text("x = (")
    (tmp_path / "folder" / "fine").write_text("1")
    async with hub(tmp_path) as (_, address):
        to = ("--hub", address)
        async with command(tmp_path, "demo", "folder", "--pace", "1000", *to) as demo:
            await demo.line("still serving")
            again = await finished(tmp_path, "command", "folder", "retry", "--wait", *to)
            assert again[:2] == (0, "done: lib/broken.py: failed\n")
            broken.write_text("x = 1")
            mended = await finished(
                tmp_path, "command", "folder", "retry", "--node", "lib/broken.py", "--wait", "1m", *to
            )
            assert mended[:2] == (0, "done: lib/broken.py: completed\n")
            state = (await get(f"{address}/api/v1/projects/folder/state"))["data"]
            shown = {node["node_id"]: (node["status"], node.get("progress")) for node in state["nodes"]}
            assert shown == dict.fromkeys((".", "fine", "lib", "lib/broken.py"), ("completed", 100))
            assert state["state"] == "completed"
            unknown = await finished(tmp_path, "command", "folder", "explode", "--wait", *to)
            assert unknown[:2] == (1, "refused: the demo knows cancel, retry, pause, resume; not explode\n")
            demo.signal(signal.SIGINT)
            assert (await demo.end())[0] == 0
        nobody = await finished(tmp_path, "command", "folder", "retry", *to)
        assert nobody[0] == 2
        assert "no_orchestrator" in nobody[2]


async def test_a_command_that_nobody_obeys_in_time_is_told(tmp_path: Path) -> None:
    deaf = """
import sys, trio
from tasktree_rt.client import open_orchestrator
async def main():
    async with open_orchestrator(sys.argv[1], "deaf", commands="p"):
        await trio.sleep_forever()
trio.run(main)
"""
    async with (
        hub(tmp_path, "--set", "people.command_timeout=0.2") as (_, address),
        command(tmp_path, address, code=deaf),
    ):
        with trio.fail_after(PATIENCE):
            code, out = 2, ""
            while code == 2:  # until it is connected
                code, out, _ = await finished(
                    tmp_path, "command", "p", "go", "--arg", "n=1", "--wait", "--hub", address
                )
    assert (code, out) == (3, "timeout\n")


async def test_a_user_is_told(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        code, out, _ = await finished(
            tmp_path, "notify", "anna", "Done", "--body", "Build 7", "--level", "info", "--hub", address
        )
        page = await get(f"{address}/api/v1/users/anna/notifications")
    (event,) = page["events"]
    assert (code, out) == (0, f"{event['epoch']}:{event['seq']}\n")
    assert event["data"] == {"title": "Done", "body": "Build 7", "level": "info"} | {
        key: value for key, value in event["data"].items() if key not in ("title", "body", "level")
    }


async def test_an_answer_names_the_project_of_its_question(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        for project in ("p", "q"):
            body = json.dumps({"prompt_id": "deploy", "project_id": project, "message": f"in {project}?"})
            await curl("-d", body, f"{address}/api/v1/prompts")
        to = ("answer", "deploy", "--yes", "--hub", address)
        code, _, error = await finished(tmp_path, *to)
        assert code == 2
        assert "ambiguous" in error
        assert (await finished(tmp_path, *to, "--project", "q"))[:2] == (0, "")
        async with open_api_client(address) as desk:
            found = await desk.prompts()
        assert {one["project_id"]: one["status"] for one in found} == {"p": "open", "q": "answered"}
