"""Who may talk to a hub: pages by Origin and Host, callers by token; and no token is ever written down."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio

from tests.cli.processes import PATIENCE
from tests.server.peers import (
    NATIVE,
    Closed,
    EventStream,
    Json,
    Peer,
    connect,
    handshake,
    node,
    produce,
    watch,
    watch_plain,
)
from tests.server.process import HubProcess, hub_process

LISTED = "https://board.example.org"
FOREIGN = "https://evil.example.com"
SECRET = "a secret of at least thirty-two bytes, for tests"
AUTH = {
    "TASKTREE_RT_AUTH_SECRET": SECRET,
    "TASKTREE_RT_AUTH_LEEWAY": "0",
    "TASKTREE_RT_AUTH_MESSAGE_TIMEOUT": "0",
}


# --- pages ------------------------------------------------------------------------------------------


def _origins(hub: HubProcess) -> list[tuple[str | None, bool]]:
    return [
        (None, True),
        (hub.url, True),
        (LISTED, True),
        (FOREIGN, False),
        ("null", False),
        (f"http://127.0.0.1:{hub.port + 1}", False),
        (f"http://localhost:{hub.port}", False),
        (LISTED + ".evil.com", False),
    ]


async def test_a_websocket_is_for_pages_of_the_hub_and_those_listed(tmp_path: Path) -> None:
    async with hub_process(tmp_path, f"cors_origins={LISTED}", store="memory:") as hub:
        for path in ("/ws/updates", "/ws/orchestrator?producer_id=p"):
            for origin, welcome in _origins(hub):
                _, answer = await handshake(hub, path, [("Origin", origin)] if origin else [])
                assert answer.status == (101 if welcome else 403), (path, origin)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:PORT", True),
        ("localhost:PORT", True),
        ("[::1]:PORT", True),
        ("LOCALHOST", True),
        ("evil.example.com:PORT", False),
        ("127.0.0.1.evil.com", False),
        ("192.168.1.5:PORT", False),
    ],
)
async def test_a_host_that_is_not_the_hubs_is_refused_so_that_no_name_can_be_rebound_to_it(
    tmp_path: Path, host: str, known: bool
) -> None:
    async with hub_process(tmp_path, store="memory:") as hub:
        given = host.replace("PORT", str(hub.port))
        # The page and its Host agree, as they do after DNS rebinding.
        _, answer = await handshake(hub, "/ws/updates", [("Origin", f"http://{given}")], host=given)
        assert answer.status == (101 if known else 403)
        async with hub.http() as client:
            for path in ("/", "/api/v1/projects", "/healthz", "/metrics"):
                response = await client.get(path, headers={"Host": given})
                assert response.status_code == (200 if known else 403), path


async def test_server_names_are_hosts_of_the_hub(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "server_names=hub.example.org", store="memory:") as hub:
        async with hub.http() as client:
            response = await client.get("/api/v1/projects", headers={"Host": "hub.example.org"})
            assert response.status_code == 200
            response = await client.get("/api/v1/projects", headers={"Host": "other.example.org"})
            assert response.status_code in (403, 404)
        headers = [("Origin", "http://hub.example.org")]
        _, answer = await handshake(hub, "/ws/updates", headers, host="hub.example.org")
        assert answer.status == 101


async def test_a_foreign_page_can_neither_write_nor_read_over_http(tmp_path: Path) -> None:
    async with hub_process(tmp_path, f"cors_origins={LISTED}") as hub, hub.http() as client:
        await hub.post("a", node("a", "n"))
        for origin, welcome in _origins(hub):
            headers = {"Origin": origin} if origin else {}
            answer = await client.post("/api/v1/projects/a/events", json=node("a", "m"), headers=headers)
            assert answer.status_code == (200 if welcome else 403), origin
            answer = await client.delete("/api/v1/projects/none", headers=headers)
            assert answer.status_code == (404 if welcome else 403), origin
            answer = await client.get("/api/v1/projects/a/state", headers=headers)
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert allowed == (LISTED if origin == LISTED else None), origin
            if origin == LISTED:
                assert "Origin" in answer.headers["Vary"]


async def test_a_preflight_is_granted_to_listed_pages_only(tmp_path: Path) -> None:
    async with hub_process(tmp_path, f"cors_origins={LISTED}", env=AUTH) as hub, hub.http() as client:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
        }
        path = "/api/v1/projects/a/events"
        granted = await client.options(path, headers={"Origin": LISTED, **asked})
        assert granted.status_code < 300
        assert granted.headers["Access-Control-Allow-Origin"] == LISTED
        assert "POST" in granted.headers["Access-Control-Allow-Methods"]
        headers = granted.headers["Access-Control-Allow-Headers"].lower()
        assert all(one in headers for one in asked["Access-Control-Request-Headers"].split(","))
        refused = await client.options(path, headers={"Origin": FOREIGN, **asked})
        assert "Access-Control-Allow-Origin" not in refused.headers


async def test_a_listed_page_may_read_an_event_stream_and_its_errors(tmp_path: Path) -> None:
    async with hub_process(tmp_path, f"cors_origins={LISTED}") as hub, hub.http() as client:
        await hub.post("a", node("a", "n"))
        path = "/api/v1/projects/a/stream"
        async with client.stream("GET", path, headers={"Origin": LISTED}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == LISTED
            assert response.headers["Content-Type"].startswith("text/event-stream")
        missing = await client.get("/api/v1/projects/none/state", headers={"Origin": LISTED})
        assert missing.status_code == 404
        assert missing.headers["Access-Control-Allow-Origin"] == LISTED


# --- tokens -----------------------------------------------------------------------------------------


def _token(secret: str = SECRET, *, lasts: float = 3600, **claims: Any) -> str:
    return jwt.encode({"exp": time.time() + lasts, **claims}, secret, algorithm="HS256")


def _for(subject: str, **allowed: Any) -> str:
    return _token(sub=subject, tasktree=allowed)


BAD = {
    "none": ("", 4001),
    "without sub": (_token(), 4002),
    "an empty sub": (_token(sub=""), 4002),
    "expired": (_token(sub="u", lasts=-60), 4003),
    "of another secret": (_token("another secret of at least thirty-two bytes", sub="u"), 4003),
    "unsigned": (jwt.encode({"sub": "u", "exp": time.time() + 60}, "", algorithm="none"), 4003),
    "without exp": (jwt.encode({"sub": "u"}, SECRET, algorithm="HS256"), 4003),
    "no token at all": ("nonsense", 4003),
}


TAKES_TOKENS = (
    "/ws/updates?",
    "/ws/orchestrator?producer_id=p&",
    "/ws/aiecs?",
    "/api/v1/ws/executions/e?",
)
"""And AutoGPT's, whose tokens are AutoGPT's (tests/compat/autogpt/test_routes.py)."""


async def test_a_bad_token_closes_with_its_own_code_and_is_401_over_http(tmp_path: Path) -> None:
    async with hub_process(tmp_path, store="memory:", env=AUTH) as hub, hub.http() as client:
        for name, (token, code) in BAD.items():
            query = f"token={token}" if token else ""
            for path in TAKES_TOKENS:
                for headers in ([NATIVE], []) if "updates" in path else ([],):
                    peer = await connect(hub, path + query, headers)
                    assert (await peer.end()).code == code, (name, path)
            for method, path in (("GET", "/api/v1/projects"), ("POST", "/api/v1/projects/a/events")):
                answer = await client.request(method, f"{path}?{query}", json={})
                assert answer.status_code == 401, name
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert answer.json()["code"] == "unauthorized"
            answer = await client.get("/metrics", params={"token": token})
            assert answer.status_code == 401
        for path in ("/healthz", "/readyz", "/"):
            answer = await client.get(path, headers={"Accept": "application/json"})
            assert answer.status_code == 200


async def test_a_token_may_come_in_the_header_or_in_the_query(tmp_path: Path) -> None:
    token = _token(sub="u")
    async with hub_process(tmp_path, store="memory:", env=AUTH) as hub, hub.http() as client:
        for headers, query in (([("Authorization", f"Bearer {token}")], ""), ([], f"?token={token}")):
            peer = await connect(hub, f"/ws/updates{query}", [NATIVE, *headers])
            await peer.hear_type("welcome")
            answer = await client.get(f"/api/v1/projects{query}", headers=dict(headers))
            assert answer.status_code == 200


async def test_of_two_tokens_the_header_wins_everywhere(tmp_path: Path) -> None:
    good = _token(sub="ada", aud="authenticated", tasktree={"watch": ["*"], "push": ["*"]})
    bad = _token(sub="ada", lasts=-60)
    async with hub_process(tmp_path, store="memory:", env=AUTH) as hub, hub.http() as client:
        hub.token = good
        await hub.post("execution:e", node("execution:e", "n"))
        for header, query, welcome in ((good, bad, True), (bad, good, False)):
            shown = [("Authorization", f"Bearer {header}")]
            answer = await client.get(f"/api/v1/projects?token={query}", headers=dict(shown))
            assert answer.status_code == (200 if welcome else 401)
            for path in TAKES_TOKENS:
                protocols = [NATIVE] if "updates" in path else []
                peer = await connect(hub, f"{path}token={query}", [*shown, *protocols])
                if not welcome:
                    assert (await peer.end()).code == 4003, path
                peer.leave()
            _, asked = await handshake(hub, f"/ws?token={query}", shown)
            assert asked.status == (101 if welcome else 403)
            basic = [("Authorization", "Basic dTpw")]  # is no token
            answer = await client.get(f"/api/v1/projects?token={good}", headers=dict(basic))
            assert answer.status_code == 200


async def test_every_language_takes_a_token_in_the_header_and_in_the_query(tmp_path: Path) -> None:
    token = _token(sub="ada", aud="authenticated", tasktree={"watch": ["*"], "push": ["*"]})
    hello: tuple[tuple[str, Json, str, Any], ...] = (
        ("/ws/orchestrator", {"type": "ping"}, "type", "pong"),
        ("/api/v1/ws/executions/e", {"type": "ping"}, "status", "running"),
        ("/ws/aiecs", {"action": "subscribe", "user_id": "ada"}, "user_id", "ada"),
        (
            "/ws",
            {"method": "subscribe_graph_exec", "data": {"graph_exec_id": "e"}},
            "channel",
            "ada|graph_exec#e",
        ),
    )
    async with hub_process(tmp_path, store="memory:", env=AUTH) as hub:
        hub.token = token
        await hub.post("execution:e", node("execution:e", "n", status="running"))
        for headers, query in (([("Authorization", f"bearer {token}")], ""), ([], f"?token={token}")):
            for path, said, field, answer in hello:
                peer = await connect(hub, path + query, headers)
                assert (await peer.ask(said))[field] == answer, path
            plain = await connect(hub, f"/ws/updates{query}", headers)
            await hub.post("p", node("p", "n"))
            await plain.hear_type("node_update")


async def test_grants_limit_what_is_watched_named_or_by_everything(tmp_path: Path) -> None:
    async with hub_process(tmp_path, env=AUTH) as hub:
        hub.token = _for("root", watch=["*"], push=["*"], admin=True)
        for project in ("build-1", "secret", "build-2"):
            await hub.post(project, node(project, "n"))
        token = _for("u", watch=["build-*"])
        watcher = await watch(hub, f"project_id=secret&token={token}")
        await watcher.hear_type("welcome")
        assert (await watcher.hear_type("error"))["code"] == "forbidden"
        refused = await watcher.ask({"type": "subscribe", "id": 1, "project_id": "secret", "state": True})
        assert (refused["code"], refused["id"]) == ("forbidden", 1)
        await watcher.say({"type": "subscribe", "id": 2, "project_id": "*", "since": {"secret": "x:1"}})
        opened = [await watcher.hear() for _ in range(6)]
        assert [(one["type"], one.get("project_id")) for one in opened] == [
            ("subscribed", "build-1"),
            ("node_update", "build-1"),
            ("subscribed", "build-2"),
            ("node_update", "build-2"),
            ("unsubscribed", "secret"),
            ("reply", None),
        ]
        plain = await watch_plain(hub, f"token={token}")
        for project in ("secret", "build-3", "secret2", "build-1"):
            await hub.post(project, node(project, "m"))
        assert [(await plain.hear())["project_id"] for _ in range(2)] == ["build-3", "build-1"]
        assert [(await watcher.hear())["project_id"] for _ in range(3)] == ["build-3", "build-3", "build-1"]
        hub.token = token
        listed = (await hub.get("/api/v1/projects"))["projects"]
        assert [one["project_id"] for one in listed] == ["build-1", "build-2", "build-3"]
        for path in ("state", "events", "stream", "snapshots"):
            problem = await hub.get(f"/api/v1/projects/secret/{path}", status=403)
            assert problem["code"] == "forbidden"
        for path in ("/api/v1/connections", "/api/v1/stats", "/metrics"):
            assert (await hub.get(path, status=403))["code"] == "forbidden"


async def test_grants_limit_what_is_pushed(tmp_path: Path) -> None:
    async with hub_process(tmp_path, env=AUTH) as hub, hub.http() as client:
        token = _for("pusher", watch=[], push=["build-*", "docs"])
        producer = await produce(hub, "p", f"token={token}")
        for number, (project, kind) in enumerate(
            [("build-9", "ack"), ("docs", "ack"), ("docs2", "error"), ("build", "error")]
        ):
            request: Json = {"type": "publish", "id": number, "events": [node(project, "n")]}
            answer = await producer.ask(request)
            assert answer["type"] == kind, project
            assert answer.get("code", "forbidden") == "forbidden"
        headers = {"Authorization": f"Bearer {token}"}
        for project, status in (("build-9", 200), ("other", 403)):
            path = f"/api/v1/projects/{project}/events"
            answered = await client.post(path, json=node(project, "n"), headers=headers)
            assert answered.status_code == status
        for project, status in (("other", 403), ("docs", 200)):
            answered = await client.delete(f"/api/v1/projects/{project}", headers=headers)
            assert answered.status_code == status


async def test_one_subjects_idempotency_keys_are_not_anothers(tmp_path: Path) -> None:
    async with hub_process(tmp_path, env=AUTH) as hub:
        for number, subject in enumerate(("alice", "bob"), 1):
            hub.token = _for(subject, watch=["*"], push=["*"])
            answer = await hub.post("a", node("a", "n"), Idempotency_Key="1", Producer_Id="p")
            assert (answer["duplicate"], answer["positions"][0]["seq"]) == (False, number)


async def test_refresh_changes_what_a_connection_may_and_how_long(tmp_path: Path) -> None:
    async with hub_process(tmp_path, env=AUTH) as hub:
        peer = await watch(hub, f"project_id=a&token={_for('u', watch=['a'])}")
        await peer.hear_type("welcome")
        await peer.hear_type("subscribed")
        refused = await peer.ask({"type": "subscribe", "id": 1, "project_id": "b"})
        assert refused["code"] == "forbidden"
        bad = await peer.ask({"type": "refresh", "id": 2, "token": _token(sub="u", lasts=-1)})
        assert (bad["type"], bad["code"], bad["id"]) == ("error", "unauthorized", 2)
        token = _for("u", watch=["a", "b"])
        assert await peer.ask({"type": "refresh", "id": 3, "token": token}) == {"type": "reply", "id": 3}
        opened = await peer.ask({"type": "subscribe", "id": 4, "project_id": "b"})
        assert (opened["type"], opened["id"]) == ("subscribed", 4)
        narrower = _for("u", watch=["b"])
        gone = await peer.ask({"type": "refresh", "id": 5, "token": narrower})
        assert (gone["type"], gone["project_id"]) == ("unsubscribed", "a")
        assert await peer.hear() == {"type": "reply", "id": 5}
        hub.token = _for("root", push=["*"])
        await hub.post("a", node("a", "n"))
        await hub.post("b", node("b", "n"))
        assert (await peer.hear_type("subscribed"))["project_id"] == "b"
        assert (await peer.hear_type("node_update"))["project_id"] == "b"


async def test_a_token_that_runs_out_ends_its_connection_unless_it_was_refreshed(tmp_path: Path) -> None:
    async with hub_process(tmp_path, env=AUTH) as hub:
        soon = _token(sub="u", lasts=2, tasktree={"watch": ["a"]})
        kept = await watch(hub, f"project_id=a&token={soon}")
        ended = await watch_plain(hub, f"project_id=a&token={soon}")
        await kept.hear_type("welcome")
        await kept.hear_type("subscribed")
        assert (await kept.ask({"type": "refresh", "token": _for("u", watch=["a"])}))["type"] == "reply"
        assert (await ended.end()).code == 4003
        assert (await kept.ask({"type": "ping"}))["type"] == "pong"


async def test_an_event_stream_ends_with_its_token(tmp_path: Path) -> None:
    async with hub_process(tmp_path, "delivery.heartbeat_interval=0.2", env=AUTH) as hub:
        soon = _token(sub="u", lasts=2, tasktree={"watch": ["a"]})
        stream = await EventStream.open(hub, "a", f"since=:0&token={soon}")
        assert (await stream.hear())["type"] == "subscribed"
        with trio.fail_after(PATIENCE):
            assert (await stream.end()).code == 1000


async def test_no_token_is_ever_logged(tmp_path: Path) -> None:
    async with hub_process(tmp_path, flags=("--log-level", "debug"), env=AUTH) as hub:
        hub.token = _for("root", watch=["*"], push=["*"], admin=True)
        await hub.post("a", node("a", "n"))
        tokens = [hub.token, *(token for token, _ in BAD.values() if len(token) > 10)]
        for token in tokens:
            for peer in (
                await watch(hub, f"token={token}"),
                await watch_plain(hub, f"token={token}&project_id=a"),
                await produce(hub, "p", f"token={token}"),
            ):
                await _talk(peer, token)
            async with hub.http() as client:
                await client.get(f"/api/v1/projects/a/state?token={token}")
                await client.get(f"/api/v1/nowhere?token={token}")
        assert await hub.stop() == 0
        assert "closed" in hub.log
        for token in tokens:
            assert token not in hub.log
            assert token.split(".")[1] not in hub.log


async def _talk(peer: Peer, token: str) -> None:
    try:
        await peer.say({"type": "refresh", "id": 1, "token": token})
        await peer.client.close()
        await peer.end()
    except (Closed, trio.BrokenResourceError):
        pass
    peer.leave()
