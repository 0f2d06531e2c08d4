"""``tasktree-rt run`` with real commands, real pipes, real terminals and a real hub."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import PATIENCE, environment
from tests.cli.shell.programs import RUN, begun, ran, read_until, shell_script, terminal
from tests.live_hub import LiveHub, live_hub

ENDED = {"completed", "failed", "cancelled"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def only(hub: LiveHub, project: str) -> dict[str, Any]:
    (node,) = hub.nodes(project).values()
    return node


def told(node: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(node.get(name) for name in names)


def test_a_command_is_a_node_with_its_output_and_its_end(hub: LiveHub, tmp_path: Path) -> None:
    words = ("sh", "-c", "echo out; echo err >&2; exit 3")
    done = ran(tmp_path, "plain", "step", "--title", "One step", "--hub", hub.url, "--", *words)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out\n", b"err\n")
    node = hub.nodes("plain")["step"]
    assert told(node, "title", "status", "exit_code", "message") == ("One step", "failed", 3, "exit code 3")
    assert sorted(hub.lines("plain", "step")) == ["err", "out"]
    assert hub.state("plain") == "failed"


def test_input_and_output_pass_byte_for_byte(hub: LiveHub, tmp_path: Path) -> None:
    data = bytes(range(256)) * 2000
    done = ran(tmp_path, "bytes", "--hub", hub.url, "--", "cat", stdin=data)
    assert (done.returncode, done.stdout == data) == (0, True)
    assert told(only(hub, "bytes"), "status", "title") == ("completed", "cat")


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [("no-such-command", 127, "not found"), ("/dev/null", 126, "Permission denied")],
)
def test_what_cannot_be_started_has_a_shells_exit_code(
    hub: LiveHub, tmp_path: Path, command: str, code: int, message: str
) -> None:
    done = ran(tmp_path, f"start-{code}", "--hub", hub.url, "--", command)
    assert done.returncode == code
    assert done.stderr.decode() == f"tasktree-rt: run: {command}: {message}\n"
    assert told(only(hub, f"start-{code}"), "status", "message") == ("failed", f"{command}: {message}")


def test_a_killed_command_has_failed(hub: LiveHub, tmp_path: Path) -> None:
    with begun(tmp_path, "killed", "--hub", hub.url, "--", "sh", "-c", "echo $$; exec sleep 600") as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        assert process.wait(PATIENCE) == 128 + signal.SIGKILL
    assert told(only(hub, "killed"), "status", "message") == ("failed", "ended by SIGKILL")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_is_passed_on(hub: LiveHub, tmp_path: Path, number: signal.Signals) -> None:
    project = f"signal-{number.name}"
    script = f"trap 'echo got; exit 7' {number.value}; echo ready; while :; do sleep 0.05; done"
    with begun(tmp_path, project, "--hub", hub.url, "--", "sh", "-c", script) as process:
        read_until(process, b"ready")
        process.send_signal(number)
        read_until(process, b"got")
        assert process.wait(PATIENCE) == 7
    assert told(only(hub, project), "status", "exit_code") == ("cancelled", 7)
    assert hub.state(project) == "cancelled"


def test_what_runs_on_in_the_background_is_not_waited_for(hub: LiveHub, tmp_path: Path) -> None:
    done = ran(tmp_path, "p", "--hub", hub.url, "--", "sh", "-c", "sleep 600 & echo $!")
    os.kill(int(done.stdout), signal.SIGKILL)
    assert done.returncode == 0


def test_a_command_whose_reader_is_gone_ends_as_without_us(hub: LiveHub, tmp_path: Path) -> None:
    with begun(tmp_path, "p", "--hub", hub.url, "--", "yes") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) == 128 + signal.SIGPIPE


def test_a_command_runs_beside_a_hub_that_is_away_or_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        for port in (9, silent.getsockname()[1]):
            done = ran(
                tmp_path, "p", "--hub", f"http://127.0.0.1:{port}", "--", "sh", "-c", "echo on; exit 5"
            )
            assert (done.returncode, done.stdout) == (5, b"on\n")


def test_a_command_within_another_is_a_node_below_it(hub: LiveHub, tmp_path: Path) -> None:
    inner = f"{' '.join(RUN)} inner -- sh -c 'echo $TASKTREE_RT_PARENT'"
    done = ran(tmp_path, "nested", "outer", "--hub", hub.url, "--", "sh", "-c", inner)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"inner\n", b"")
    nodes = hub.nodes("nested")
    assert told(nodes["inner"], "parent_id", "status") == ("outer", "completed")
    assert hub.state("nested") == "completed"


def test_a_project_is_made_up_where_none_is_named(hub: LiveHub, tmp_path: Path) -> None:
    show = "echo $TASKTREE_RT_PROJECT"
    done = ran(tmp_path, "--", "sh", "-c", show, TASKTREE_RT_HUB=hub.url, PWD="/x/shop")
    project = done.stdout.decode().strip()
    assert project.startswith("shop-")
    assert hub.state(project) == "completed"


def test_in_a_terminal_the_command_has_one_of_the_same_size(hub: LiveHub, tmp_path: Path) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && stty size && tty <&1 && read x && echo got $x"
    command = (*RUN, "tty", "--hub", hub.url, "--", "sh", "-c", script)
    with terminal(tmp_path, *command, env=environment(tmp_path), rows=33) as shown:
        shown.until(b"/dev/pts")
        shown.type(b"keys\n")
        assert shown.end() == 0
    assert b"33 80\r\n" in shown.shown
    assert shown.shown.endswith(b"got keys\r\n")
    assert hub.lines("tty")[-1] == "got keys"


def test_a_terminals_new_size_is_the_commands_too(hub: LiveHub, tmp_path: Path) -> None:
    script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done"
    command = (*RUN, "p", "--hub", hub.url, "--", "sh", "-c", script)
    with terminal(tmp_path, *command, env=environment(tmp_path)) as shown:
        shown.until(b"ready")
        termios.tcsetwinsize(shown.master, (50, 123))
        shown.until(b"50 123")
        assert shown.end() == 0


def test_ctrl_c_reaches_the_command_once(hub: LiveHub, tmp_path: Path) -> None:
    script = "n=0; trap 'n=$((n+1)); echo int $n' INT; echo ready; read x; echo end $n; exit 130"
    command = (*RUN, "ctrl-c", "--hub", hub.url, "--", "bash", "-c", script)
    with terminal(tmp_path, *command, env=environment(tmp_path)) as shown:
        shown.until(b"ready")
        shown.type(b"\x03")
        shown.until(b"int 1")
        shown.type(b"\n")
        shown.until(b"end 1")
        assert shown.end() == 130
    assert only(hub, "ctrl-c")["status"] == "cancelled"


def test_without_pty_a_terminal_is_not_handed_on(hub: LiveHub, tmp_path: Path) -> None:
    words = ("p", "--no-pty", "--hub", hub.url, "--", "sh", "-c", "test -t 1; echo $?")
    with terminal(tmp_path, *RUN, *words, env=environment(tmp_path)) as shown:
        assert shown.end() == 0
    assert b"1\r\n" in shown.shown


MAKEFILE = """\
all: one two bad
one: ; @echo made one
two: ; @echo made two
bad: ; @echo breaks >&2; exit 4
"""


def test_make_shows_every_line_as_a_node(hub: LiveHub, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    command = ("make", "-k", "-j4", f"SHELL={shell_script(tmp_path)}")
    done = ran(tmp_path, "made", "make", "--hub", hub.url, "--", *command)
    assert done.returncode == 2
    assert {b"made one", b"made two"} <= set(done.stdout.splitlines())
    nodes = hub.nodes("made")
    below = {
        node["title"]: told(node, "status", "exit_code") for node in nodes.values() if "parent_id" in node
    }
    assert below == {
        "echo made one": ("completed", 0),
        "echo made two": ("completed", 0),
        "echo breaks >&2; exit 4": ("failed", 4),
    }
    assert {node.get("parent_id") for node in nodes.values()} == {None, "make"}


def test_just_shows_every_line_as_a_node(hub: LiveHub, tmp_path: Path) -> None:
    just = shutil.which("just", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert just is not None
    recipe = f'set shell := ["{shell_script(tmp_path)}", "-cu"]\n\nall:\n    @echo just one\n    @exit 3\n'
    (tmp_path / "justfile").write_text(recipe)
    done = ran(tmp_path, "just", "just", "--hub", hub.url, "--", just, "all")
    assert (done.returncode, done.stdout) == (3, b"just one\n")
    lines = {node["title"]: node["status"] for node in hub.nodes("just").values() if "parent_id" in node}
    assert lines == {"echo just one": "completed", "exit 3": "failed"}


def test_tasktree_sh_is_a_plain_shell_where_no_hub_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [shell_script(tmp_path), "-c", "echo $0 $1; exit 6", "name", "argument"],
        check=False,
        capture_output=True,
        env=environment(tmp_path),
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (6, b"name argument\n")


def test_ctrl_c_reaches_a_line_of_a_makefile(hub: LiveHub, tmp_path: Path) -> None:
    variables = {"TASKTREE_RT_HUB": hub.url, "TASKTREE_RT_PROJECT": "p"}
    script = "trap 'echo int' INT; echo ready; read x; echo end $x"
    command = (str(shell_script(tmp_path)), "-c", script)
    env = {**environment(tmp_path), **variables, "TASKTREE_RT_SHELL": "/bin/bash"}
    with terminal(tmp_path, *command, env=env) as shown:
        shown.until(b"ready")
        shown.type(b"\x03")
        shown.until(b"int")
        shown.type(b"line\n")
        shown.until(b"end line")
        assert shown.end() == 0


def test_run_loads_the_standard_library_only() -> None:
    modules = "tasktree_rt.cli.entry, tasktree_rt.cli.shell.run, tasktree_rt.cli.shell.sh"
    code = f"import {modules}, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True
    ).stdout
    heavy = {"asyncio", "click", "attrs", "email", "http.client", "msgspec", "ssl", "subprocess", "trio"}
    assert heavy.isdisjoint(loaded.split())
