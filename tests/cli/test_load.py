"""``tasktree-rt load`` as a process."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.processes import CODE, command, finished, free_port, hub

QUICK = ("--watchers", "20", "--rate", "50", "--duration", "2s")


async def test_a_report_is_printed_and_written_and_conditions_decide_the_exit_code(tmp_path: Path) -> None:
    files = ("--json", "a.json", "--html", "a.html")
    async with hub(tmp_path) as (_, address):
        code, out, err = await finished(tmp_path, "load", address, *QUICK, *files)
        slow = await finished(
            tmp_path, "load", address, *QUICK, "--fail-if", "p50 > 0.1us", "--json", "b.json"
        )
    assert code == 0, out + err
    assert "no fault: every delivery of 20 watchers is accounted for; 1 trees have the hash" in out
    assert "published/s" in err
    assert json.loads((tmp_path / "a.json").read_text())["published"] == 100
    assert "</html>" in (tmp_path / "a.html").read_text()
    assert slow[0] == 1
    assert "FAILED: p50 > 0.1us: it is " in slow[1]
    code, out, _ = await finished(tmp_path, "load", "--compare", "a.json", "a.json")
    assert code == 0
    assert "same    delivery.p99" in out


async def test_an_interrupted_test_ends_with_its_report(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        code = f"import sys; sys.stderr = sys.stdout; {CODE}"
        async with command(tmp_path, "load", address, *QUICK[:4], "--duration", "1h", code=code) as running:
            await running.line("delivered/s")
            running.signal(signal.SIGINT)
            await running.line("ended early: SIGINT")
            ended, rest = await running.end()
    assert ended == 130
    assert "no fault: every delivery of 20 watchers is accounted for" in rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--watchers", "none"], "watchers: expected a whole number from 1 to 1,000,000, got 'none'"),
        (["--plan", "dashbord"], "--plan: expected dashboard, storm, slow-readers, soak or a file"),
        (["--fail-if", "p99 is bad"], '--fail-if: expected a condition like "p99 > 200ms"'),
        (["--compare", "a.json", "b.json"], "a.json: no report: No such file or directory"),
        (["--token", "a", "--token-file", "b"], "--token: expected no --token-file beside it"),
        (["--number", "/x/"], "number: expected a regular expression with one group, got '/x/'"),
    ],
)
async def test_what_is_wrong_is_said_before_the_start(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, out, err = await finished(tmp_path, "load", "http://127.0.0.1:9", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"tasktree-rt: {message}")
    assert err.count("\n") == 1


async def test_a_hub_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, _, err = await finished(tmp_path, "load", url, *QUICK)
    assert code == 2
    assert f"tasktree-rt: {url}: no answer: " in err
