"""SIGHUP: every part that can is reloaded, and a terminal that closes still ends the hub."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from tasktree_rt.composition.reloading import Reloads, reload_on_hangup
from tasktree_rt.errors import SettingsError
from tests.cli.processes import CODE, PATIENCE, environment, get, hub


async def test_a_part_that_cannot_reload_keeps_no_other_from_it() -> None:
    reloads, done = Reloads(), []

    async def wrong() -> None:
        raise SettingsError("auth.secret_file: /none: no such file")

    async def broken() -> None:
        raise RuntimeError("a fault")

    async def right() -> None:
        done.append("right")

    reloads.add("secrets", wrong)
    reloads.add("keys", broken)
    reloads.add("certificate", right)
    with capture_logs() as logs:
        await reloads.run()
    assert done == ["right"]
    assert [(one["event"], one["part"]) for one in logs] == [
        ("reload failed", "secrets"),
        ("reload failed", "keys"),
        ("reloaded", "certificate"),
    ]
    assert logs[0]["reason"] == "auth.secret_file: /none: no such file"
    assert logs[0]["exc_info"] is None, "what the user can mend needs no traceback"
    assert isinstance(logs[1]["exc_info"], RuntimeError)


async def test_the_signal_reloads_each_time(nursery: trio.Nursery) -> None:
    reloads, shutdown = Reloads(), trio.Event()
    send, receive = trio.open_memory_channel[int](9)

    async def count() -> None:
        await send.send(1)

    reloads.add("certificate", count)
    with capture_logs():
        await nursery.start(reload_on_hangup, reloads, shutdown)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            await receive.receive()
    assert not shutdown.is_set()
    nursery.cancel_scope.cancel()


async def test_a_hub_goes_on_after_the_signal(tmp_path: Path) -> None:
    async with hub(tmp_path) as (running, address):
        running.signal(signal.SIGHUP)
        assert (await get(f"{address}/readyz"))["status"] == "ready"
        running.signal(signal.SIGTERM)
        assert (await running.end())[0] == 0


def test_a_hub_whose_terminal_closes_drains_and_ends(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = ["serve", "--bind", "127.0.0.1:0", "--store", "memory:"]
    options: dict[str, Any] = {"cwd": tmp_path, "env": environment(tmp_path), "stdin": theirs}
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **options,
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert b"listening on" in process.stdout.readline()
        os.close(ours)  # the terminal is gone; the kernel tells its session's leader with SIGHUP
        process.send_signal(signal.SIGHUP)
        try:
            assert process.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail("the hub outlived its terminal")
