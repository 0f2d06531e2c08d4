"""Compression with clients that others wrote: Chromium, websockets, and clients behind nginx and Caddy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.browser import open_page
from tests.cli.processes import PATIENCE
from tests.proxies import HOST, PROXIES, both
from tests.server.peers import NATIVE, node
from tests.server.process import HubProcess, hub_process
from tests.web.server.test_extension_offers import AGREED
from tests.wsclient import DEFLATE, TEXT, WsClient, deflated, request_head

LARGE = "the same few words, " * 500
QUERY = "project_id=p&state=1"
PING = json.dumps({"type": "ping", "id": "x" * 100}) + " " * 5_000


async def packed(hub: HubProcess) -> float:
    return await hub.metric("tasktree_compressed_messages_total")


@pytest.mark.parametrize("bits", [None, 12, 15])
async def test_the_library_websockets_reads_and_writes_compressed_messages(
    tmp_path: Path, bits: int | None
) -> None:
    async with hub_process(tmp_path, "compression.min_size=500") as hub:
        await hub.post("p", node("p", "a", text=LARGE))

        def talk() -> tuple[str, list[Any]]:
            offer = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=True)
            url, protocol = f"ws://{hub.authority}/ws/updates?{QUERY}", Subprotocol("tasktree.v1")
            with connect(url, subprotocols=[protocol], extensions=[offer]) as socket:
                assert socket.response is not None
                heard = [json.loads(socket.recv(PATIENCE)) for _ in range(3)]
                socket.send(PING)
                while heard[-1]["type"] != "pong":
                    heard.append(json.loads(socket.recv(PATIENCE)))
                return socket.response.headers["Sec-WebSocket-Extensions"], heard

        extension, heard = await trio.to_thread.run_sync(talk)
        assert extension == AGREED + ("; server_max_window_bits=12" if bits else "")
        state = next(one for one in heard if one["type"] == "project_state")
        assert state["data"]["nodes"][0]["text"] == LARGE
        assert heard[-1]["id"] == "x" * 100
        assert await packed(hub) == 1


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_proxy_passes_the_offer_and_the_frames_on(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy) as (hub, port), await WsClient.dial(port) as client:
        host = f"{HOST}:{port}"
        await client.raw(request_head(f"/ws/updates?{QUERY}", [*DEFLATE, NATIVE], host=host))
        client.extension = (await client.answer()).headers["sec-websocket-extensions"]
        await hub.post("p", node("p", "n1", text=LARGE))
        await client.frame(TEXT, deflated(PING.encode()), rsv=4)
        heard: list[Any] = []
        with trio.fail_after(PATIENCE):
            while {"pong", "node_update"} - {one["type"] for one in heard}:
                frame = await client.recv()
                heard.append(json.loads(frame.data))
                assert frame.packed is (heard[-1]["type"] == "node_update")


async def test_chromium_reads_and_writes_compressed_messages_states_and_streams(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, open_page(tmp_path) as page:
        await hub.post("p", node("p", "a", text=LARGE))
        await page.go(f"{hub.url}/docs")
        await page.evaluate(f"""void (
            window.heard = [], window.streamed = [],
            window.socket = new WebSocket(`ws://${{location.host}}/ws/updates?{QUERY}`, "tasktree.v1"),
            socket.onmessage = (event) => heard.push(JSON.parse(event.data)),
            socket.onopen = () => socket.send({json.dumps(PING)}),
            window.stream = new EventSource("/api/v1/projects/p/stream"),
            stream.onmessage = (event) => streamed.push(JSON.parse(event.data))
        )""")
        await page.until("heard.some((one) => one.type === 'pong') && streamed.length === 2")
        extensions = await page.evaluate("socket.extensions")
        assert extensions == AGREED
        before = await packed(hub)
        await hub.post("p", node("p", "b", text=LARGE), node("p", "c", progress=1))
        for heard in ("heard", "streamed"):
            await page.until(f"{heard}.filter((one) => one.type === 'node_update').length === 2")
            found = await page.evaluate(
                f"{heard}.find((one) => one.type === 'project_state').data.nodes[0].text"
            )
            assert found == LARGE
            texts = await page.evaluate(
                f"{heard}.filter((one) => one.data?.node_id === 'b')[0].data.changes.text"
            )
            assert texts == LARGE
        assert await packed(hub) >= before + 2, "once as a message, once for the stream"
        state = await page.evaluate("fetch('/api/v1/projects/p/state').then((answer) => answer.json())")
        assert [one["node_id"] for one in state["data"]["nodes"]] == ["a", "b", "c"]
        sizes = await page.evaluate(
            "(({encodedBodySize, decodedBodySize}) => [encodedBodySize, decodedBodySize])"
            "(performance.getEntriesByName(`${location.origin}/api/v1/projects/p/state`)[0])"
        )
        assert sizes[0] < sizes[1] / 20
        assert not page.faults
