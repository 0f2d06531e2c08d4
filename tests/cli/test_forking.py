"""A forked process is as one that was started: streams, arguments, folder, environment, signals, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.cli.forking import ROOT, Forked, start
from tests.cli.processes import CODE, PATIENCE, Running, environment


async def text(process: Forked) -> str:
    """All that it prints until its end."""
    assert process.stdout is not None
    with trio.fail_after(PATIENCE):
        printed = b"".join([chunk async for chunk in process.stdout]).decode()
        await process.wait()
    return printed


async def test_the_code_has_its_arguments_folder_environment_and_input(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv, os.getcwd(), os.environ['HOME'], input(), __name__)"
    pipe = subprocess.PIPE
    env = {**environment(tmp_path), "HOME": "/home/é"}
    process = start(code, "a b", b"\xff", stdin=pipe, stdout=pipe, cwd=tmp_path, env=env)
    assert process.stdin is not None
    await process.stdin.send_all(b"given\n")
    found = (await text(process)).strip()
    assert found == rf"['-c', 'a b', '\udcff'] {tmp_path} /home/é given __main__"
    assert await process.wait() == 0 == process.returncode


@pytest.mark.parametrize(
    ("code", "status"), [("pass", 0), ("raise SystemExit(3)", 3), ("1 / 0", 1), ("import os; os._exit(4)", 4)]
)
async def test_the_exit_code_is_that_of_an_interpreter(tmp_path: Path, code: str, status: int) -> None:
    process = start(code, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = b"".join([chunk async for chunk in process.stderr])
    assert await process.wait() == status
    assert (b"ZeroDivisionError" in errors) == (status == 1)


async def test_what_an_interpreter_does_at_its_end_is_done(tmp_path: Path) -> None:
    code = "import atexit; atexit.register(print, 'the end'); print('unflushed', end=' ')"
    process = start(code, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE)
    assert await text(process) == "unflushed the end\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_the_code_is_negative(tmp_path: Path, number: signal.Signals) -> None:
    code = "print('up', flush=True); import signal; signal.pause()"
    process = start(
        code, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    await Running(process).line("up")
    assert process.returncode is None
    process.send_signal(number)
    with trio.fail_after(PATIENCE):
        assert await process.wait() == -number
    process.kill()  # of one that has ended: nothing
    assert process.wait_blocking(0) == -number


async def test_each_is_a_process_of_its_own_with_nothing_left_open_of_the_others(tmp_path: Path) -> None:
    code = "import os, random; print(os.getpid(), len(os.listdir('/proc/self/fd')), random.random())"
    several = [start(code, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE) for _ in range(3)]
    found = [(await text(one)).split() for one in several]
    assert [int(pid) for pid, _, _ in found] == [one.pid for one in several]
    assert {files for _, files, _ in found} == {"4"}
    assert len({chance for _, _, chance in found}) == 3


async def test_it_has_the_modules_of_the_commands_already(tmp_path: Path) -> None:
    code = "import atexit, sys; had = {*sys.modules}\n"
    code += f"atexit.register(lambda: print('new', *{{*sys.modules}} - had)); {CODE}"
    process = start(code, "settings", cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE)
    assert "tasktree" not in (await text(process)).splitlines()[-1]


def test_a_variable_of_the_interpreter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"\['PYTHONUTF8'\]: only a process that is not forked"):
        start("pass", cwd=tmp_path, env={**environment(tmp_path), "PYTHONUTF8": "0"})


def test_it_has_the_streams_of_this_process_where_no_other_is_given(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as output:
        process = start("print('here')", cwd=tmp_path, env=environment(tmp_path), stdout=writing)
        os.close(writing)
        assert output.read() == b"here\n"
    assert process.wait_blocking(PATIENCE) == 0


async def test_none_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from tests.cli.forking import start
from tests.cli.processes import environment
folder = Path({str(tmp_path)!r})
start("import signal; signal.pause()", cwd=folder, env=environment(folder))
os._exit(0)
"""
    with trio.fail_after(PATIENCE):  # the child has standard output too, whose end is awaited
        await trio.run_process([sys.executable, "-c", program], capture_stdout=True, cwd=ROOT)
