"""Attacks from web pages of other sites, on a hub without authentication."""

from __future__ import annotations

import json

from tasktree_rt.settings import Auth
from tests.attacks.arena import SECRET
from tests.attacks.attacker import NATIVE, OWN, Attacker
from tests.attacks.table import attack

KIND = "pages"
AUTH = Auth()
EVIL = "http://evil.example"
EVENT = {"type": "node_update", "data": {"node_id": "n", "changes": {}}}


@attack(KIND, "a WebSocket from a page of another site (CSWSH)", "403")
def test_a_websocket_of_another_site(attacker: Attacker) -> None:
    for origin in (
        EVIL,
        "null",
        f"http://{attacker.host}.evil.example",
        "file://",
        "http://localhost",
    ):
        for path in (
            "/ws/updates",
            "/ws/orchestrator?producer_id=x",
            "/ws",
            "/ws/aiecs",
            "/api/v1/ws/executions/e",
        ):
            attacker.handshake(path, [("Origin", origin)]).refused(403)


@attack(
    KIND, "a write from another site: a form, `text/plain`, a beacon, `no-cors`", "403; nothing is stored"
)
def test_a_form_of_another_site(attacker: Attacker) -> None:
    path = f"/api/v1/projects/{OWN}/events"
    for kind in (
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json",
    ):
        given = [("Origin", EVIL), ("Content-Type", kind)]
        attacker.http("POST", path, given, json.dumps(EVENT).encode()).refused(403, code="forbidden")
    attacker.http("DELETE", f"/api/v1/projects/{SECRET}", [("Origin", EVIL)]).refused(403, code="forbidden")
    attacker.http("POST", path, [("Origin", "null")], EVENT).refused(403, code="forbidden")


@attack(KIND, "a read from another site", "no header allows the page to read the answer")
def test_a_read_of_another_site(attacker: Attacker) -> None:
    for path in (
        "/api/v1/projects",
        f"/api/v1/projects/{SECRET}/state",
        "/api/v1/connections",
        "/metrics",
        "/nowhere",
    ):
        answer = attacker.http("GET", path, [("Origin", EVIL)])
        assert "access-control-allow-origin" not in answer.headers, path


@attack(KIND, "a preflight from another site", "no permission in the answer")
def test_a_preflight_of_another_site(attacker: Attacker) -> None:
    asked = [("Origin", EVIL), ("Access-Control-Request-Method", "DELETE")]
    answer = attacker.http("OPTIONS", f"/api/v1/projects/{SECRET}", asked)
    assert not any(name.startswith("access-control-allow") for name in answer.headers)


@attack(
    KIND,
    "a host name of the attacker's that resolves to this machine (DNS rebinding)",
    "403 for every `Host` that is not the hub's",
)
def test_rebinding(attacker: Attacker) -> None:
    port = attacker.host.rpartition(":")[2]
    for host in (
        f"evil.example:{port}",
        "evil.example",
        f"127.0.0.1.evil.example:{port}",
        "localhost.evil.example",
        f"[::ffff:7f00:1]:{port}",
        f"2130706433:{port}",
        f"0x7f.1:{port}",
        "169.254.169.254",
    ):
        given = [("Host", host), ("Origin", f"http://{host}")]
        for path in ("/", f"/api/v1/projects/{SECRET}/state", "/metrics", "/healthz"):
            attacker.http("GET", path, given).refused(403, code="forbidden")
        attacker.handshake("/ws/updates", [NATIVE, ("Origin", f"http://{host}")], host=host).refused(403)


@attack(KIND, "a request whose `Sec-Fetch-Site` says that another site makes it, without an `Origin`", "403")
def test_sec_fetch_site(attacker: Attacker) -> None:
    for site in ("cross-site",):
        given = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "no-cors")]
        for path in ("/api/v1/projects", f"/api/v1/projects/{SECRET}/state"):
            attacker.http("GET", path, given).refused(403, code="forbidden")
        attacker.http("POST", f"/api/v1/projects/{OWN}/events", given, EVENT).refused(403, code="forbidden")


@attack(
    KIND,
    "the dashboard in a frame, its answers as scripts or images of another site",
    "refused by `frame-ancestors`, `nosniff` and CORP",
)
def test_frames(attacker: Attacker) -> None:
    page = attacker.http("GET", "/", [("Accept", "text/html")])
    policy = page.headers.get("content-security-policy", "")
    assert page.status == 200
    assert "frame-ancestors 'none'" in policy, policy
    assert "unsafe-eval" not in policy
    for path in ("/", "/api/v1/projects", f"/api/v1/projects/{SECRET}/events"):
        answer = attacker.http("GET", path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@attack(
    KIND,
    "markup in titles, messages and logs that a page shows",
    "JSON is never served as HTML; pages show text only",
    keeps=True,
)
def test_markup_in_events(attacker: Attacker) -> None:
    markup = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    event = {
        "type": "node_update",
        "data": {"node_id": markup, "changes": {"title": markup, "message": markup}},
    }
    assert attacker.publish(OWN, event).status == 200
    for path in (
        f"/api/v1/projects/{OWN}/state",
        f"/api/v1/projects/{OWN}/events",
        f"/api/v1/projects/{markup}/state",
    ):
        answer = attacker.http("GET", path.replace(" ", "%20"), [("Accept", "text/html")])
        assert "json" in answer.headers["content-type"], path


@attack(
    KIND,
    "a reader's token in a `Referer` or a cache",
    "`Referrer-Policy: no-referrer` on pages; API answers are not stored",
)
def test_leaks_of_an_address(attacker: Attacker) -> None:
    page = attacker.http("GET", "/", [("Accept", "text/html")])
    assert page.headers["referrer-policy"] in ("no-referrer", "same-origin"), page.headers
