"""The sites of deploy/ in real nginx and Caddy, in front of a real hub."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import jwt
import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.proxies import CADDY, DEPLOY, HOST, NGINX, PROXIES, Site, both, dial, dial_tls, proxied
from tests.secure import ClientStream
from tests.server.peers import NATIVE, node
from tests.server.process import HubProcess
from tests.wsclient import TEXT, WsClient, request_head

SECRET = "a secret of at least thirty-two bytes, for tests"


def test_the_page_has_the_exact_lines_of_both_sites() -> None:
    page = (DEPLOY.parent / "docs" / "security.md").read_text()
    assert f"```nginx\n{NGINX}```" in page
    assert f"```caddy\n{CADDY}```" in page


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_websocket_through_a_proxy_hears_what_is_published(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy) as (hub, port), await WsClient.dial(port) as client:
        host = f"{HOST}:{port}"
        await client.raw(request_head("/ws/updates?project_id=p", [("Origin", f"http://{host}")], host=host))
        answer = await client.answer()
        assert answer.status == 101, answer
        await hub.post("p", node("p", "n1"))
        with trio.fail_after(PATIENCE):
            heard = json.loads((await client.recv()).data)
        assert (heard["project_id"], heard["data"]["node_id"]) == ("p", "n1")


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_stream_of_events_through_a_proxy_is_not_held_back(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy) as (hub, port), await WsClient.dial(port) as client:
        await client.raw(f"GET /api/v1/projects/p/stream HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        heard = await until(client.stream, b"data: ", b"")
        assert heard.startswith(b"HTTP/1.1 200 "), heard
        await hub.post("p", node("p", "n1"))
        await until(client.stream, b'"n1"', heard)


def upgrade_to(protocol: str, port: int, path: str = "/healthz") -> bytes:
    asks = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{asks}Upgrade: {protocol}\r\n\r\n".encode()


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("protocol", ["h2c", "H2C", "websocket, h2c", "anything"])
async def test_no_upgrade_but_a_websockets_makes_a_tunnel_past_the_rules_of_a_proxy(
    tmp_path: Path, proxy: str, protocol: str
) -> None:
    async with both(tmp_path, proxy) as (_, port), await WsClient.dial(port) as client:
        await client.raw(upgrade_to(protocol, port))
        answer = await client.answer()
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "healthy"})
        await client.raw(f"GET /metrics HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        assert (await client.answer()).status == 403


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize(("protocol", "passed"), [("h2c", None), ("WebSocket", "websocket"), (None, None)])
async def test_a_proxy_asks_its_upstream_for_websockets_only(
    tmp_path: Path, proxy: str, protocol: str | None, passed: str | None
) -> None:
    """Whatever stands behind it: the upstream here writes down what it is asked."""
    heads: list[bytes] = []

    async def upstream(stream: trio.SocketStream) -> None:
        async with stream:
            heads.append(await until(stream, b"\r\n\r\n", b""))
            await stream.send_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, upstream, listeners)
        address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        async with proxied(Site(proxy, tmp_path, address)) as port, await WsClient.dial(port) as client:
            plain = f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
            await client.raw(upgrade_to(protocol, port) if protocol else plain)
            assert (await client.answer()).status == 204
        nursery.cancel_scope.cancel()
    asked = [line.lower() for line in heads[0].decode().splitlines() if line.lower().startswith("upgrade:")]
    assert asked == ([f"upgrade: {passed}"] if passed else [])


async def until(stream: ClientStream, wanted: bytes, heard: bytes) -> bytes:
    with trio.fail_after(PATIENCE):
        while wanted not in heard:
            more = await stream.receive_some()
            assert more, heard
            heard += more
    return heard


def asking(path: str, port: int, *headers: tuple[str, str]) -> bytes:
    """A plain GET through the proxy."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n{lines}\r\n".encode()


async def logged(file: Path, holds: str) -> str:
    """The text of a log once it holds this."""
    with trio.fail_after(PATIENCE):
        while not file.exists() or holds not in file.read_text():  # noqa: ASYNC110
            await trio.sleep(0.02)  # another process writes it
    return file.read_text()


@pytest.mark.parametrize("proxy", PROXIES)
async def test_the_hub_knows_the_clients_address_and_believes_no_client(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy, "trusted_proxies=127.0.0.1") as (hub, port):
        client = await dial(port, source="127.0.0.9")
        forged = [("X-Forwarded-For", "10.9.8.7"), ("Forwarded", "for=10.9.8.7"), ("X-Real-IP", "10.9.8.7")]
        await client.raw(request_head("/ws/updates", [NATIVE, *forged], host=f"{HOST}:{port}"))
        assert (await client.answer()).status == 101
        await client.recv()
        assert [one["address"] for one in await hub.connections()] == ["127.0.0.9"]
        await client.stream.aclose()


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_token_in_a_query_or_a_subprotocol_is_in_no_log(tmp_path: Path, proxy: str) -> None:
    token = jwt.encode({"sub": "ada", "exp": 4_000_000_000, "tasktree": {"watch": ["*"]}}, SECRET, "HS256")
    async with both(tmp_path, proxy) as (hub, port):
        client = await dial(port)
        shown = ("Authorization", f"Bearer {token}")
        await client.raw(asking(f"/api/v1/projects?limit=7&token={token}", port, shown))
        assert (await client.answer()).status == 200
        other = await dial(port)
        offered = ("Sec-WebSocket-Protocol", f"tasktree.v1, bearer.{token}")
        await other.raw(request_head(f"/ws/updates?token={token}", [offered], host=f"{HOST}:{port}"))
        assert (await other.answer()).status == 101
        await other.close()
        await other.rest()
        for one in (client, other):
            await one.stream.aclose()
        text = await logged(tmp_path / "tasktree-rt.log", "/ws/updates")
        assert "/api/v1/projects" in text
        assert token not in text
        assert token.split(".")[2] not in text
        assert token not in hub.log


async def large(hub: HubProcess, project: str = "p", nodes: int = 60) -> None:
    """Give a project a state of some megabytes."""
    for number in range(0, nodes, 5):
        await hub.post(
            project, *(node(project, f"n{number + one}", message="y" * 60_000) for one in range(5))
        )


@pytest.mark.parametrize("proxy", PROXIES)
async def test_tls_ends_at_the_proxy_and_large_states_go_through(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy, tls=True) as (hub, port):
        await large(hub)
        client = await dial_tls(port, tmp_path)
        await client.raw(asking("/api/v1/projects/p/state", port, ("Connection", "close")))
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"strict-transport-security: max-age=31536000" in head.lower()
        assert body.count(b'"node_id":') == 60
        socket = await dial_tls(port, tmp_path)
        host = f"{HOST}:{port}"
        asked = [NATIVE, ("Origin", f"https://{host}")]
        await socket.raw(request_head("/ws/updates?project_id=p&state=1", asked, host=host))
        assert (await socket.answer()).status == 101
        size = 0
        with trio.fail_after(PATIENCE):
            while size < 3_000_000:
                size += len((await socket.recv()).data)
        for one in (client, socket):
            await one.stream.aclose()


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_slow_reader_behind_a_proxy_is_ended_and_costs_nothing(tmp_path: Path, proxy: str) -> None:
    """The proxy stops to read when its client does, so the hub sees a slow reader as it does without one."""
    small = ("delivery.stall_timeout=1", "delivery.outbox_bytes=131072", "limits.max_message_size=65536")
    async with both(tmp_path, proxy, *small, "limits.max_node_size=60000") as (hub, port):
        host = f"{HOST}:{port}"
        slow, quick = await dial(port, receive_buffer=4096), await dial(port)
        for one in (slow, quick):
            await one.raw(request_head("/ws/updates?project_id=p", [], host=host))
            assert (await one.answer()).status == 101
        number = 0
        with trio.fail_after(PATIENCE):
            while len(await hub.connections()) > 1:
                for _ in range(20):
                    number += 1
                    await hub.post("p", node("p", "n", message="y" * 50_000, number=number))
                    heard = await quick.recv()
                    assert heard.opcode == TEXT
                    assert json.loads(heard.data)["data"]["changes"]["number"] == number
        assert len(await hub.connections()) == 1
        for one in (slow, quick):
            await one.stream.aclose()


QUIET = {
    "proxy_read_timeout 120s": "proxy_read_timeout 2s",
    "proxy_send_timeout 120s": "proxy_send_timeout 2s",
}


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_quiet_connection_outlives_the_proxys_timeouts(tmp_path: Path, proxy: str) -> None:
    """Of a sixtieth of the time: the hub speaks every 0.13 s in place of 8, and nginx waits 2 s, not 120."""
    async with both(tmp_path, proxy, "delivery.heartbeat_interval=0.13", nginx=QUIET) as (_, port):
        client, stream = await dial(port), await dial(port)
        await client.raw(request_head("/ws/updates?project_id=p", [NATIVE], host=f"{HOST}:{port}"))
        assert (await client.answer()).status == 101
        await stream.raw(asking("/api/v1/projects/p/stream", port))
        beats = 0
        with trio.fail_after(PATIENCE):
            while beats < 30:  # 4 s of nothing else
                beats += json.loads((await client.recv()).data)["type"] == "heartbeat"
        heard = await until(stream.stream, b"\n:", b"")
        assert heard.startswith(b"HTTP/1.1 200 ")
        for one in (client, stream):
            await one.stream.aclose()


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_form_of_another_site_is_refused_behind_a_proxy_too(tmp_path: Path, proxy: str) -> None:
    async with both(tmp_path, proxy) as (_, port), httpx.AsyncClient(timeout=PATIENCE) as http:
        url = f"http://127.0.0.1:{port}/api/v1/projects/p/events"
        for origin, status in (("http://evil.example", 403), (f"http://{HOST}:{port}", 200)):
            given = {"Host": f"{HOST}:{port}", "Origin": origin}
            answer = await http.post(url, json=[node("p", "n")], headers=given)
            assert answer.status_code == status, answer.text
