"""Every WebSocket, with every way of a token and every kind of token: what is admitted, and the refusals."""

from __future__ import annotations

import json
from typing import Final

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.settings import Aiecs, Auth
from tests.cli.processes import free_port
from tests.web.auth.test_presented import dialled, first, offers
from tests.web.realhub import SECRET, RealHub, node_update, real_hub, signed
from tests.wsclient import WsClient

NATIVE: Final = "tasktree.v1"
SOCKETS: Final = {
    "native": ("/ws/updates?project_id=p&", (NATIVE,)),
    "plain": ("/ws/updates?project_id=p&", ()),
    "orchestrator": ("/ws/orchestrator?", ()),
    "execution": ("/api/v1/ws/executions/e?", ()),
    "aiecs": ("/ws/aiecs?", ()),
    "aiecs' own port": ("/?", ()),
    "autogpt": ("/ws?", ()),
}
"""The path of each socket, and the subprotocols that its clients offer."""
WAYS: Final = ("header", "query", "subprotocol", "message")
CLAIMS: Final = {"sub": "ada", "aud": "authenticated", "tasktree": {"watch": ["*"], "push": ["*"]}}
TOKENS: Final = {
    "none": "",
    "wrong": signed(CLAIMS)[:-4] + "AAAA",
    "expired": signed(CLAIMS | {"exp": 1}),
    "right": signed(CLAIMS),
}


def expected(socket: str, way: str, kind: str) -> int | str:
    """The close code, or the status of the handshake, or "admitted"."""
    if kind == "right":
        return "admitted"
    if socket == "autogpt" and way != "message" and (way, kind) != ("header", "none"):
        return 403  # a header without a token is none: the first message may bring one
    return 4001 if kind == "none" else 4003


async def met(client: WsClient, running: RealHub) -> int | str:
    """What the connection got."""
    await wait_all_tasks_blocked(0.01)
    if [one.grants.subject for one in running.hub.connections.values()] == ["ada"]:
        return "admitted"
    found = await first(client)
    assert isinstance(found, int), found
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("socket", SOCKETS)
async def test_a_token_counts_alike_on_every_socket_whichever_way_it_comes(socket: str, way: str) -> None:
    path, offered = SOCKETS[socket]
    patience = 0.05 if way == "header" else 60.0
    auth = Auth(secret=SECRET, leeway=0.0, audience="authenticated", message_timeout=patience)
    port = free_port()
    async with real_hub(auth=auth, aiecs=Aiecs(port=port)) as running:
        await running.publish("execution:e", node_update("n"))
        for kind, token in TOKENS.items():
            query = f"token={token}" if way == "query" else ""
            bearer = [f"bearer.{token}"] if way == "subprotocol" else []
            headers = [offers(*offered, *bearer)] if offered or bearer else []
            headers += [("Authorization", f"Bearer {token}")] if way == "header" else []
            at = port if "own port" in socket else None
            client, status, _ = await dialled(running, path + query, *headers, port=at)
            async with client:
                got: int | str = status
                if status == 101:
                    if way == "message":
                        said = {"type": "authenticate", "token": token} if token else {"type": "ping"}
                        await client.text(json.dumps(said))
                    got = await met(client, running)
            assert got == expected(socket, way, kind), kind
            await wait_all_tasks_blocked(0.01)


@pytest.mark.parametrize("socket", SOCKETS)
async def test_a_socket_that_brings_no_token_in_time_is_closed(socket: str) -> None:
    path, offered = SOCKETS[socket]
    auth = Auth(secret=SECRET, message_timeout=0.05, audience="authenticated")
    port = free_port()
    async with real_hub(auth=auth, aiecs=Aiecs(port=port)) as running:
        headers = [offers(*offered)] if offered else []
        at = port if "own port" in socket else None
        client, _, _ = await dialled(running, path, *headers, port=at)
        async with client:
            with trio.fail_after(30):
                assert await first(client) == 4001
        await wait_all_tasks_blocked(0.01)
        assert not running.hub.connections
        assert not running.hub.sessions


async def test_without_authentication_autogpts_clients_need_no_first_message() -> None:
    async with real_hub() as running:
        client, status, _ = await dialled(running, "/ws")
        async with client:
            await client.text(json.dumps({"method": "heartbeat"}))
            said = await first(client)
        assert (status, said) == (101, {"method": "heartbeat", "data": "pong", "success": True})
