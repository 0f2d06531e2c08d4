"""Attacks with API keys, revoked tokens, subscription tokens, and tokens of another issuer."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tasktree_rt.settings import Auth
from tests.attacks.arena import SECRET as PROJECT
from tests.attacks.attacker import OWN, SUBJECT, Answer, Attacker
from tests.attacks.table import attack
from tests.attacks.test_tokens import signed
from tests.web.realhub import SECRET, node_update

KIND = "keys"
PUBLIC = (
    generate_private_key(65537, 2048)
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)


def _pem() -> str:
    path = Path(tempfile.mkdtemp(prefix="tasktree-rt-attacks-")) / "public.pem"
    path.write_bytes(PUBLIC)
    return str(path)


AUTH = Auth(
    secret=SECRET,
    public_keys=(_pem(),),
    issuer="https://issuer.example",
    audience="hub",
    max_lifetime=30 * 86_400.0,
)
ADMIN: dict[str, Any] = {"watch": ["*"], "push": ["*"], "admin": True}
TREE = f"/api/v1/projects/{PROJECT}/state"


def root(attacker: Attacker) -> str:
    """An administrator's token, which the attacker has not."""
    return attacker.arena.token("root", **ADMIN)


def administer(attacker: Attacker, method: str, path: str, body: object = b"") -> Answer:
    """Do what an administrator does."""
    return attacker.http(method, f"/api/v1/admin/{path}", body=body, token=root(attacker))


def refused(attacker: Attacker, *tokens: str) -> None:
    """Each is 401 over HTTP and 4003 on a WebSocket."""
    assert attacker.http("GET", TREE, token=root(attacker)).status == 200
    for one in tokens:
        attacker.http("GET", TREE, token=one).refused(401, code="unauthorized")
        attacker.websocket(token=one).closed(4003)


@attack(KIND, "a token of another issuer or for another audience, or in a list of others", "401; close 4003")
def test_another_issuer_and_audience(attacker: Attacker) -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"iss": "https://evil.example"},
        {"iss": "https://issuer.example.evil"},
        {"aud": "other"},
        {"aud": ["other", "third"]},
        {"aud": "hub2"},
        {"aud": []},
    )
    refused(attacker, *(attacker.arena.token("root", claims=one, **ADMIN) for one in changes))


@attack(
    KIND,
    "a token that lasts for years, or whose `exp` is beyond all times",
    "401; close 4003: at most `auth.max_lifetime`",
)
def test_the_far_future(attacker: Attacker) -> None:
    now = int(time.time())
    refused(
        attacker,
        *(attacker.arena.token("root", claims={"exp": exp}, **ADMIN) for exp in (now + 40 * 86_400, 10**30)),
        attacker.arena.token("root", claims={"exp": now + 3600, "iat": now - 40 * 86_400}, **ADMIN),
    )


@attack(
    KIND,
    "HMAC with the hub's own public key as the secret (RS256 to HS256)",
    "401; close 4003: a key is bound to its algorithm",
)
def test_the_public_key_as_secret(attacker: Attacker) -> None:
    claims = {
        "sub": "root",
        "exp": int(time.time()) + 600,
        "iss": AUTH.issuer,
        "aud": AUTH.audience,
        "tasktree": ADMIN,
    }
    for key in (PUBLIC, PUBLIC.strip(), PUBLIC.replace(b"\n", b"\r\n")):
        refused(attacker, signed({"alg": "HS256"}, claims, key), signed({"alg": "RS256"}, claims, key))


@attack(
    KIND,
    "guessing API keys: by form, with a known id, a hundred at once",
    "401, then 429 for wrong keys of this address; others go on",
)
def test_guessing_keys(attacker: Attacker) -> None:
    made = administer(attacker, "POST", "keys", {"name": "ci", "grants": {"watch": ["*"]}}).problem
    key = made["key"]
    assert attacker.http("GET", TREE, token=key).status == 200
    one = attacker.socket("127.0.0.88")
    head = key.rpartition("_")[0]
    for wrong in (
        head,
        f"{head}_",
        f"{head}_{'0' * 63}",
        key.upper(),
        f"{key}0",
        "ttk_",
        "ttk_' OR 1=1 --_x",
    ):
        attacker.http("GET", TREE, token=wrong, on=one).refused(401, code="unauthorized")
    statuses = [attacker.http("GET", TREE, token=f"{head}_{n:064x}", on=one).status for n in range(40)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert attacker.http("GET", TREE, token=key).status == 200
    assert administer(attacker, "DELETE", f"keys/{made['id']}").status == 200


@attack(
    KIND,
    "a revoked token or key: on open connections, in new ones, in a refresh",
    "close 4003 at once; then 401",
)
def test_revoked_credentials(attacker: Attacker) -> None:
    key = administer(attacker, "POST", "keys", {"name": "ci", "grants": {"watch": ["mallory-*"]}}).problem
    shown = attacker.granted(claims={"jti": "stolen", "iat": int(time.time())})
    by_key, by_token, other = (attacker.watcher(token=one) for one in (key["key"], shown, attacker.granted()))
    assert administer(attacker, "POST", "revoke", {"token_id": "stolen"}).status == 200
    assert administer(attacker, "POST", "revoke", {"key": key["id"]}).status == 200
    by_key.closed(4003)
    by_token.closed(4003)
    for one in (shown, key["key"]):
        attacker.http("GET", TREE, token=one).refused(401, code="unauthorized")
    heard = other.ask({"type": "refresh", "id": 1, "token": shown})
    assert (heard["type"], heard["code"]) == ("error", "unauthorized")
    assert other.ask({"type": "ping", "id": 2})["type"] == "pong"


@attack(
    KIND,
    "an administrator's routes without the grant: to make keys, revoke, disconnect, look",
    "403",
)
def test_administration_without_the_grant(attacker: Attacker) -> None:
    for method, path, body in (
        ("GET", "keys", b""),
        ("POST", "keys", {"name": "x", "grants": {"admin": True}}),
        ("DELETE", "keys/x", b""),
        ("GET", "revocations", b""),
        ("POST", "revoke", {"user": "ada"}),
        ("POST", "disconnect", {"user": "ada"}),
        ("GET", "connections", b""),
    ):
        attacker.http(method, f"/api/v1/admin/{path}", body=body).refused(403, code="forbidden")


@attack(
    KIND,
    "a subscription token for anything but its project: to publish, list, administer, share, renew",
    "401 or 403",
    keeps=True,
)
def test_a_subscription_token_elsewhere(attacker: Attacker) -> None:
    assert attacker.publish(OWN, node_update("n")).status == 200
    path = f"/api/v1/projects/{OWN}/tokens"
    shared = attacker.http("POST", path, body={"lifetime": 60}).problem["token"]
    assert attacker.http("GET", f"/api/v1/projects/{OWN}/state", token=shared).status == 200
    for method, other in (
        ("GET", TREE),
        ("POST", f"/api/v1/projects/{OWN}/events"),
        ("DELETE", f"/api/v1/projects/{OWN}"),
        ("POST", path),
        ("GET", "/api/v1/stats"),
        ("GET", "/api/v1/admin/keys"),
        ("GET", "/metrics"),
    ):
        bodies: dict[str, object] = {path: {}, f"/api/v1/projects/{OWN}/events": [node_update("m")]}
        answer = attacker.http(method, other, token=shared, body=bodies.get(other, b""))
        assert answer.status in (401, 403), (other, answer)
    one = attacker.socket()
    assert attacker.http("GET", "/api/v1/projects", token=shared, on=one).text.count(PROJECT) == 0
    attacker.http("POST", f"/api/v1/projects/{PROJECT}/tokens", body={}).refused(403, code="forbidden")
    changed = shared[:-6] + ("A" * 6 if not shared.endswith("A" * 6) else "B" * 6)
    attacker.http("GET", f"/api/v1/projects/{OWN}/state", token=changed).refused(401, code="unauthorized")


@attack(
    KIND,
    "a subscription token past its end, or as a token of the other kind",
    "close 4003, or `unauthorized`",
)
def test_a_subscription_token_past_its_end(attacker: Attacker) -> None:
    native = attacker.watcher()
    foreign = attacker.arena.token(SUBJECT, claims={"project_id": PROJECT}, watch=["mallory-*"])
    for shown in (foreign, "nonsense", ""):
        heard = native.ask({"type": "subscribe", "id": 1, "project_id": PROJECT, "token": shown})
        assert heard["type"] == "error", heard
        assert heard["code"] in ("unauthorized", "forbidden", "invalid_message"), heard
