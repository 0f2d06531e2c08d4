"""The drop-in managers at a hub with an authority of its own that demands clients' certificates."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.compat import aiecs, tasktree
from tasktree_rt.errors import ConnectionLost
from tests.certificates import Authority
from tests.cli.processes import PATIENCE
from tests.client.test_tls import secure_hub
from tests.compat.tasktree.test_manager import Browser


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def told(manager: tasktree.WebSocketManager) -> list[str]:
    """What a browser hears of an event and of a message without a project."""
    browser = Browser()
    async with asyncio.timeout(PATIENCE):
        await manager.connect(browser)
        await manager.broadcast_to_project("p", {"type": "step", "data": {"n": 1}})
        await manager.broadcast({"type": "news", "data": {"n": 2}})
        await browser.until(lambda: len(browser.heard) >= 2)
    await manager.aclose()
    return sorted(one["type"] for one in browser.heard)


@pytest.mark.parametrize("by", ["arguments", "environment"])
async def test_tasktrees_manager_trusts_an_authority_and_shows_a_certificate(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    own = authority.issue("client")
    given: dict[str, Any] = {"verify": authority.file, "cert": (own.cert, own.key)}
    if by == "environment":
        given = {}
        for name, path in (("CAFILE", authority.file), ("CLIENT_CERT", own.cert), ("CLIENT_KEY", own.key)):
            monkeypatch.setenv(f"TASKTREE_RT_{name}", str(path))
    async with secure_hub(authority.issue(), client_ca=str(authority.file)) as hub:

        async def main() -> list[str]:
            return await told(tasktree.WebSocketManager(hub.url, spool="", **given))

        assert await trio.to_thread.run_sync(asyncio.run, main()) == ["news", "step"]


async def test_aiecs_manager_trusts_an_authority_and_shows_a_certificate(authority: Authority) -> None:
    own = authority.issue("client")

    async def main(url: str) -> None:
        async with aiecs.WebSocketManager(url=url, verify=authority.file, cert=(own.cert, own.key)) as one:
            assert one.get_status()["running"]
            await one.broadcast_message({"type": "news"})
        with pytest.raises(ConnectionLost, match="may demand a client certificate"):
            await aiecs.WebSocketManager(url=url, verify=authority.file).start_server()

    async with secure_hub(authority.issue(), client_ca=str(authority.file)) as hub:
        await trio.to_thread.run_sync(asyncio.run, main(hub.url))


def test_a_file_that_cannot_be_used_is_named_at_once(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    with pytest.raises(ValueError, match=r"verify: .*missing\.pem"):
        tasktree.WebSocketManager("https://hub", spool="", verify=missing)
    with pytest.raises(ValueError, match=r"cert: .*missing\.pem: no such file"):
        aiecs.WebSocketManager(url="https://hub", cert=missing)
