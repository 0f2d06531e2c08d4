"""The page for who moves AutoGPT's WebSocket server here: its settings, its commands, its client."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import trio

from tasktree_rt.cli.setting_options import BY_PATH
from tasktree_rt.cli.settings_sources import load
from tasktree_rt.compat.autogpt.channels import EXECUTION
from tasktree_rt.core.topics import live_topic
from tasktree_rt.settings import Settings
from tests.compat.autogpt.golden import USER
from tests.test_examples import blocks, run, text
from tests.test_migrate_pages import curl
from tests.web.realhub import real_hub

PAGE = "migrate/autogpt.md"


def settings_of(tmp_path: Path, number: int) -> Settings:
    file = tmp_path / "tasktree-rt.toml"
    file.write_text(blocks(PAGE, "toml")[number], encoding="utf-8")
    return load(config=file, environ={}).settings


@pytest.mark.parametrize(("number", "newer"), [(0, True), (1, False)])
def test_the_settings_of_the_page_are_settings(tmp_path: Path, number: int, newer: bool) -> None:
    settings = settings_of(tmp_path, number)
    assert settings.autogpt.redis_url
    assert settings.auth.on
    assert settings.cors_origins == ("https://autogpt.example.org",)
    assert not settings.mirrors_autogpt
    assert settings.autogpt.has_keys is newer
    assert bool(settings.autogpt.api_url) is newer


def test_every_setting_that_the_page_names_is_one() -> None:
    named = set(re.findall(r"`((?:autogpt|auth|limits|drain)\.[a-z_]+)", text(PAGE)))
    assert {"autogpt.jwks", "autogpt.public_key", "autogpt.inherit_window", "auth.secret"} <= named
    assert named <= set(BY_PATH)


async def test_the_commands_and_the_client_of_the_page_do_what_they_say() -> None:
    ready, push, state, notify = re.split(r"^# .*\n", blocks(PAGE, "sh")[0], flags=re.MULTILINE)[1:]
    async with real_hub() as running:
        printed: list[str] = []

        async def watch() -> None:
            code = blocks(PAGE, "python")[0].replace("127.0.0.1:8000", running.url.removeprefix("http://"))
            printed.append(await run(sys.executable, "-c", code, "e1"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            while not running.hub.ephemeral_topics.watched(live_topic(EXECUTION, USER, "e1")):
                await trio.lowlevel.checkpoint()
            assert (await curl(running, ready))["status"] == "ready"
            assert (await curl(running, push)) == {"channels": 1}
            assert (await curl(running, state))["data"]["state"] == "running"
            assert (await curl(running, notify))["user_id"] == USER
            await curl(running, push.replace("RUNNING", "COMPLETED"))
        assert printed == ["RUNNING\nCOMPLETED\n"]
