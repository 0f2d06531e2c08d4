"""API keys and revocations on a hub of its own process: made by the command, used, revoked, and kept."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio

from tasktree_rt.client import open_orchestrator
from tasktree_rt.client.interactions.administration import open_administration
from tasktree_rt.errors import ConnectionLost, PublishRefused, RequestRefused
from tests.cli.processes import finished
from tests.server.process import HubProcess
from tests.web.realhub import TOMORROW

SECRET = "s" * 40


async def first_key(hub: HubProcess) -> str:
    """An administrator's key, made on the store before the hub runs."""
    code, out, error = await finished(hub.folder, "key", "create", "root", "--admin", "--store", hub.store)
    assert (code, "not shown again" in error) == (0, True)
    return out.strip()


async def ask(hub: HubProcess, key: str, *arguments: str) -> tuple[int, str, str]:
    """The command ``tasktree-rt key`` at the running hub, with an administrator's key."""
    return await finished(hub.folder, "key", *arguments, "--hub", hub.url, TASKTREE_RT_TOKEN=key)


def make(tmp_path: Path, *settings: str, **env: str) -> HubProcess:
    return HubProcess(tmp_path, settings, f"sqlite:{tmp_path / 'hub.db'}", (), env)


def token(**claims: Any) -> str:
    allowed = {"watch": ["*"], "push": ["*"]}
    return jwt.encode({"sub": "ada", "exp": TOMORROW, "tasktree": allowed, **claims}, SECRET, "HS256")


async def test_a_key_made_by_the_command_publishes_and_ends_when_it_is_revoked(tmp_path: Path) -> None:
    hub = make(tmp_path, "auth.keys=true")
    try:
        root = await first_key(hub)
        await hub.start()
        code, key, _ = await ask(hub, root, "create", "ci", "--push", "build-*", "--expires", "90d")
        assert code == 0
        key_id = key.split("_")[1]
        with trio.fail_after(60), suppress(ConnectionLost, PublishRefused):
            async with open_orchestrator(hub.url, "ci", token=key.strip()) as orchestrator:
                receipt = await orchestrator.publish({"type": "note", "project_id": "build-1"})
                await receipt.acked()
                code, _, error = await ask(hub, root, "revoke", key_id)
                assert (code, "1 connections ended" in error) == (0, True)
                while True:
                    receipt = await orchestrator.publish({"type": "note", "project_id": "build-1"})
                    await receipt.acked()
        code, listed, _ = await ask(hub, root, "list")
        assert f"{key_id}  ci" in listed
        assert "revoked" in next(line for line in listed.splitlines() if key_id in line)
        assert key.strip() not in listed + hub.log
    finally:
        await hub.close()


async def test_keys_and_revocations_outlive_a_restart_and_a_kill(tmp_path: Path) -> None:
    hub = make(tmp_path, TASKTREE_RT_AUTH_SECRET=SECRET)
    try:
        root = await first_key(hub)
        await hub.start()
        async with open_administration(hub.url, token=root) as admin:
            made = await admin.create_key("ci", {"watch": ["*"]})
            await admin.revoke(token_id="bad")
        await hub.stop()
        await hub.start()
        await expect(hub, {made["key"]: 200, token(jti="bad"): 401, token(jti="good"): 200})
        async with open_administration(hub.url, token=root) as admin:
            await admin.revoke(user="ada")
            await admin.revoke_key(made["id"])
        await hub.kill()
        await hub.start()
        await expect(hub, {made["key"]: 401, token(jti="good"): 401, root: 200})
    finally:
        await hub.close()


async def expect(hub: HubProcess, answers: dict[str, int]) -> None:
    for credential, status in answers.items():
        hub.token = credential
        await hub.get("/api/v1/projects", status)


async def test_the_store_of_a_running_hub_is_left_alone(tmp_path: Path) -> None:
    hub = make(tmp_path)
    try:
        await hub.start()
        code, out, error = await finished(tmp_path, "key", "create", "x", "--admin", "--store", hub.store)
        assert (code, out, "is open in another hub" in error) == (2, "", True)
        code, _, error = await ask(hub, "", "revoke", "unknown")
        assert (code, "not_found" in error) == (2, True)
        code, _, error = await ask(hub, "", "create", "x")
        assert (code, "expected --admin, --grants" in error) == (2, True)
        async with open_administration(hub.url) as admin:
            assert await admin.disconnect(user="nobody") == 0
            with pytest.raises(RequestRefused):
                await admin.disconnect(nonsense="x")
    finally:
        await hub.close()
