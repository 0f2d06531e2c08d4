"""The page for who moves AutoGPT's WebSocket server here: its settings, its commands, its client."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import trio

from tasktree_rt.cli.sources import load
from tasktree_rt.core.topics import live_topic
from tasktree_rt.dialects.autogpt.channels import EXECUTION
from tests.browser import program
from tests.dialects.autogpt.golden import USER
from tests.test_examples import run, text
from tests.web.realhub import real_hub

PAGE = text("migrate/autogpt.md")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "tasktree-rt.toml"
    file.write_text(blocks("toml")[0], encoding="utf-8")
    settings = load(config=file, environ={}).settings
    assert settings.autogpt.redis_url
    assert settings.auth.on
    assert not settings.mirrors_autogpt


async def test_the_commands_and_the_client_of_the_page_do_what_they_say() -> None:
    ready, push, state, notify = re.split(r"^# .*\n", blocks("sh")[0], flags=re.MULTILINE)[1:]
    async with real_hub() as running:
        printed: list[str] = []

        async def curl(command: str) -> Any:
            return json.loads(await run(program("sh"), "-ec", command, HUB=running.url))

        async def watch() -> None:
            code = blocks("python")[0].replace("127.0.0.1:8000", running.url.removeprefix("http://"))
            printed.append(await run(sys.executable, "-c", code, "e1"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            while not running.hub.live.watched(live_topic(EXECUTION, USER, "e1")):
                await trio.lowlevel.checkpoint()
            assert (await curl(ready))["status"] == "ready"
            assert (await curl(push)) == {"channels": 1}
            assert (await curl(state))["data"]["state"] == "running"
            assert (await curl(notify))["user_id"] == USER
            await curl(push.replace("RUNNING", "COMPLETED"))
        assert printed == ["RUNNING\nCOMPLETED\n"]
