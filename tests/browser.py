"""Debian's Chromium without a window, driven over the DevTools protocol: what a page really does.

Where it is not installed the tests that need it are skipped, but fail in CI, which installs it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from tests.cli.processes import PATIENCE


def program(*names: str) -> str:
    """The path of the first of these programs that is installed; skips the test if none is, fails in CI."""
    for name in names:
        found = shutil.which(name)
        if found is not None:
            return found
    reason = f"{names[0]} is not installed"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Page:
    """One tab. `faults` collects what its console and its security policy complain about."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._ids = count(1)
        self._waiting: dict[int, tuple[trio.Event, list[Any]]] = {}
        self.session: str | None = None
        self.faults: list[str] = []

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the DevTools protocol and its result."""
        number, done, answer = next(self._ids), trio.Event(), list[Any]()
        self._waiting[number] = done, answer
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_message(
            json.dumps(message | ({"sessionId": self.session} if self.session else {}))
        )
        with trio.fail_after(PATIENCE):
            await done.wait()
        assert "error" not in answer[0], answer[0]
        return answer[0]["result"]

    async def listen(self) -> None:
        """Take what the browser says, until it is gone."""
        while True:
            try:
                message = json.loads(await self._socket.get_message())
            except ConnectionClosed:
                return
            if "id" in message:
                done, answer = self._waiting.pop(message["id"])
                answer.append(message)
                done.set()
            elif message["method"] == "Runtime.exceptionThrown":
                self.faults.append(json.dumps(message["params"]["exceptionDetails"]))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.faults.append(json.dumps(message["params"]["entry"]))

    async def go(self, url: str) -> None:
        """Open an address."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, of what it resolves to if it is a promise."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait for a JavaScript expression to be truthy."""
        with trio.move_on_after(PATIENCE):
            while True:
                # A navigation takes the page's promises away, so that none may be long.
                found = await self.evaluate(
                    f"""new Promise((resolve) => {{
                        const look = (left) => {{
                            let found = false;
                            try {{ found = Boolean({condition}); }} catch {{ }}
                            if (found || !left) resolve(found); else setTimeout(look, 10, left - 1);
                        }};
                        look(20);
                    }})"""
                )
                if found:
                    return
        raise AssertionError(
            f"never came true: {condition}; the page says {await self.text('body')!r}; {self.faults}"
        )

    async def text(self, selector: str) -> str:
        """What can be read there."""
        found = await self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return str(found)

    async def look(self, *, width: int = 1200, height: int = 800, dark: bool = False) -> None:
        """Change the window's size and the system's colours."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self, path: Path) -> None:
        """Keep what is seen as a PNG."""
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def open_page(folder: Path, *more: str) -> AsyncIterator[Page]:
    """A browser with a profile of its own under `folder`, and one empty page in it. `more`: flags."""
    path = program("chromium", "chromium-browser", "google-chrome")
    arguments = [
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={folder / 'profile'}",
        "--remote-debugging-port=0",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        *more,
    ]
    process = await trio.lowlevel.open_process([path, *arguments, "about:blank"], stderr=subprocess.PIPE)
    try:
        url = await _address(process)
        async with (
            trio.open_nursery() as nursery,
            open_websocket_url(url, max_message_size=1 << 26) as socket,
        ):
            page = Page(socket)
            nursery.start_soon(page.listen)
            target = await page.call("Target.createTarget", url="about:blank")
            attached = await page.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            page.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await page.call(f"{domain}.enable")
            await page.look()
            yield page
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _address(process: trio.Process) -> str:
    assert process.stderr is not None
    said = b""
    with trio.fail_after(PATIENCE):
        async for piece in process.stderr:
            said += piece
            found = re.search(rb"DevTools listening on (ws://\S+)\s", said)
            if found is not None:
                return found[1].decode()
    raise AssertionError(f"the browser did not start: {said.decode(errors='replace')}")
