"""Attacks with tokens: forged, changed, old, of others."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from tests.attacks.arena import SECRET as PROJECT
from tests.attacks.attacker import NATIVE, Attacker
from tests.attacks.table import attack
from tests.web.realhub import SECRET, TOMORROW, token
from tests.wsclient import BINARY, TEXT, masked

KIND = "tokens"
ADMIN: dict[str, Any] = {"watch": ["*"], "push": ["*"], "admin": True}
CLAIMS: dict[str, Any] = {"sub": "ada", "exp": TOMORROW, "tasktree": ADMIN}


def part(value: object) -> str:
    """One part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any], claims: dict[str, Any] = CLAIMS, key: bytes = SECRET.encode()) -> str:
    """A token with any header, signed with HMAC."""
    text = f"{part(header)}.{part(claims)}"
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def refused(attacker: Attacker, *tokens: str, code: int = 4003) -> None:
    """Each token is refused over HTTP, in a query and by a close of a WebSocket, and is repeated nowhere."""
    for one in tokens:
        answer = attacker.http("GET", f"/api/v1/projects/{PROJECT}/state", token=one)
        answer.refused(401, code="unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert one not in answer.text
        socket = attacker.websocket(token=one)
        assert one not in socket.closed(code)


@attack(KIND, "no token, an empty one, or nonsense", "401; close 4001 or 4003")
def test_no_token(attacker: Attacker) -> None:
    control = attacker.http("GET", f"/api/v1/projects/{PROJECT}/state", token=signed({"alg": "HS256"}))
    assert control.status == 200  # so that what is refused below is refused for what was changed
    answer = attacker.http("GET", "/api/v1/projects", [("Authorization", "Bearer ")])
    answer.refused(401, code="unauthorized")
    refused(attacker, "nonsense", "a.b.c", "..", ".", "%00", "e30.e30.e30")
    waits = attacker.websocket(headers=[NATIVE, ("Authorization", "Bearer ")], token="")
    attacker.later()
    waits.closed(4001)


@attack(KIND, "the algorithm `none`, in any spelling", "401; close 4003")
def test_algorithm_none(attacker: Attacker) -> None:
    for name in ("none", "None", "NONE", "nOnE", ""):
        refused(attacker, f"{part({'alg': name, 'typ': 'JWT'})}.{part(CLAIMS)}.", signed({"alg": name}))


@attack(KIND, "a signature stripped, cut short, or of another token", "401; close 4003")
def test_signature_stripped(attacker: Attacker) -> None:
    head, claims, signature = attacker.token.split(".")
    other = token(subject="ada", **ADMIN).split(".")[1]
    refused(
        attacker,
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{head}.{claims}.{signature[:-4]}",
        f"{head}.{other}.{signature}",
    )


@attack(
    KIND,
    "a token signed with another secret, with an empty one, or with a public key as secret",
    "401; close 4003",
)
def test_another_key(attacker: Attacker) -> None:
    keys = [
        b"another secret of at least 32 bytes",
        b"",
        b"\0" * 32,
        b"-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
    ]
    refused(attacker, *(signed({"alg": "HS256"}, key=key) for key in keys))


@attack(
    KIND,
    "another algorithm than the key's: RS256, ES256, HS512",
    "401; close 4003: a key is bound to its algorithm",
)
def test_another_algorithm(attacker: Attacker) -> None:
    rsa = generate_private_key(65537, 2048)
    refused(
        attacker,
        jwt.encode(CLAIMS, rsa, "RS256"),
        jwt.encode(CLAIMS, SECRET * 2, "HS512"),
        signed({"alg": "RS256"}),
        signed({"alg": "HS512"}),
        signed({"alg": ["HS256"]}),
    )


@attack(
    KIND,
    "a `kid` that is a path, SQL, a URL, a command, or no text",
    "401; close 4003: it only selects among the hub's keys",
)
def test_kid_injection(attacker: Attacker) -> None:
    for kid in (
        "../../../../dev/null",
        "/dev/null",
        "' UNION SELECT 'x",
        "http://127.0.0.1/key",
        "|id",
        "\0",
    ):
        refused(attacker, signed({"alg": "HS256", "kid": kid}, key=b""))
    refused(
        attacker,
        signed({"alg": "HS256", "kid": 5}),
        signed({"alg": "HS256", "kid": {}}),
        signed({"alg": "HS256", "kid": ["a"]}),
    )


@attack(
    KIND,
    "a key in the token's own header: `jwk`, `jku`, `x5u`, `x5c`",
    "401; close 4003: nothing of it is read or fetched",
)
def test_a_key_in_the_header(attacker: Attacker) -> None:
    own = b"the attacker's own key, of 32 bytes and more"
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(own).decode(), "alg": "HS256"}
    address = f"http://{attacker.host}/healthz"
    for name, value in (("jwk", jwk), ("jku", address), ("x5u", address), ("x5c", ["MIIB"])):
        refused(attacker, signed({"alg": "HS256", name: value}, key=own))


@attack(KIND, "unknown critical headers (`crit`), another type, a nested token", "401; close 4003")
def test_critical_headers(attacker: Attacker) -> None:
    refused(
        attacker,
        signed({"alg": "HS256", "crit": ["x"], "x": 1}),
        signed({"alg": "HS256", "b64": False, "crit": ["b64"]}),
    )


@attack(KIND, "a token that expired, is not valid yet, or has no `exp`", "401; close 4003")
def test_times(attacker: Attacker) -> None:
    now = time.time()
    without = {name: value for name, value in CLAIMS.items() if name != "exp"}
    wrong: list[dict[str, Any]] = [
        {"exp": now - 3600},
        {"exp": 0},
        {"nbf": now + 3600},
        {"exp": "never"},
        {"exp": None},
        {"exp": {}},
        {"exp": True},
    ]
    refused(
        attacker,
        signed({"alg": "HS256"}, without),
        *(signed({"alg": "HS256"}, CLAIMS | one) for one in wrong),
    )


@attack(KIND, "a token without `sub`, or with one that is no text", "401; close 4002 or 4003")
def test_no_subject(attacker: Attacker) -> None:
    subjects: tuple[Any, ...] = (None, "", 5, [], {})
    for subject in subjects:
        shown = signed({"alg": "HS256"}, CLAIMS | {"sub": subject})
        attacker.http("GET", "/api/v1/projects", token=shown).refused(401, code="unauthorized")
        assert attacker.websocket(token=shown).until_close().code in (4002, 4003)


@attack(KIND, "a token that grants by a malformed claim", "401, or nothing is granted")
def test_malformed_claims(attacker: Attacker) -> None:
    for claim in (
        5,
        "admin",
        [],
        ["*"],
        {"watch": "*"},
        {"watch": {"*": True}},
        {"watch": [5]},
        {"admin": "true"},
        {"admin": 1},
    ):
        shown = signed({"alg": "HS256"}, {"sub": "mallory", "exp": TOMORROW, "tasktree": claim})
        for path in (f"/api/v1/projects/{PROJECT}/state", "/api/v1/stats"):
            answer = attacker.http("GET", path, token=shown)
            assert answer.status in (401, 403), (claim, path, answer)


@attack(KIND, "a token of 15 KB, of more than a head, or with ten thousand grants", "401, or 431")
def test_huge_tokens(attacker: Attacker) -> None:
    huge = signed({"alg": "HS256", "x": "y" * 9_000}, key=b"another")
    attacker.http("GET", "/api/v1/projects", token=huge).refused(401)
    attacker.http("GET", "/api/v1/projects", token="x" * 20_000).refused(431)
    one = attacker.watcher()
    one.say({"type": "refresh", "id": 1, "token": "x" * 60_000})
    assert one.hear()["code"] == "unauthorized"


@attack(
    KIND,
    "a refresh with a token of another subject, or with a bad one",
    "`unauthorized` or `forbidden`; the connection keeps its own grants",
)
def test_refresh_to_another_subject(attacker: Attacker) -> None:
    one = attacker.watcher()
    for shown in (signed({"alg": "HS256"}), signed({"alg": "none"}), "nonsense"):
        heard = one.ask({"type": "refresh", "id": 1, "token": shown})
        assert heard["type"] == "error", heard
        assert heard["code"] in ("unauthorized", "forbidden")
    refusal = one.ask({"type": "subscribe", "id": 2, "project_id": PROJECT})
    assert refusal["code"] == "forbidden"


@attack(KIND, "a token in `Authorization` and another in the query", "the header's counts, on every route")
def test_two_tokens(attacker: Attacker) -> None:
    root = token(subject="root", **ADMIN)
    answer = attacker.http("GET", f"/api/v1/projects/{PROJECT}/state?token={root}")
    answer.refused(403, code="forbidden")
    one = attacker.websocket(f"/ws/updates?project_id={PROJECT}&token={root}")
    assert one.hear()["type"] == "welcome"
    assert one.hear()["code"] == "forbidden"


@attack(KIND, "guessing: a hundred tokens from one connection", "401 each, in the same words")
def test_guessing(attacker: Attacker) -> None:
    one = attacker.socket()
    answers = {
        attacker.http("GET", "/api/v1/stats", token=signed({"alg": "HS256"}, key=b"%032d" % n), on=one).text
        for n in range(100)
    }
    assert len(answers) == 1


@attack(
    KIND,
    "a token in each way at once, and more of them on the open connection",
    "the first way counts; `authenticate` on a connection that has a token is an error",
)
def test_tokens_in_every_way(attacker: Attacker) -> None:
    root = token(subject="root", **ADMIN)
    again = {"type": "authenticate", "id": 7, "token": root}
    offered = ("Sec-WebSocket-Protocol", f"tasktree.v1, bearer.{root}, bearer.{root}")
    by_header = attacker.websocket(f"/ws/updates?project_id=mallory-1&token={root}", [offered])
    mine = ("Sec-WebSocket-Protocol", f"tasktree.v1, bearer.{attacker.token}, bearer.{root}")
    by_protocol = attacker.websocket(headers=[mine], token="")
    by_message = attacker.websocket(token="")
    by_message.say(again | {"token": attacker.token, "id": 6})
    for one in (by_header, by_protocol, by_message):
        assert one.hear()["type"] == "welcome"
        assert one.ask(again)["type"] == "error"
        refusal = one.ask({"type": "subscribe", "id": 8, "project_id": PROJECT})
        assert refusal["code"] == "forbidden"


@attack(
    KIND,
    "a first message that is no token: huge, binary, no JSON, another request, many at once",
    "close 4001 before anything of it is done",
)
def test_a_first_message_without_a_token(attacker: Attacker) -> None:
    watch = {"type": "subscribe", "id": 1, "project_id": PROJECT}
    for data in (
        masked(TEXT, b"x" * 60_000),
        masked(BINARY, b"\0\xff" * 100),
        masked(TEXT, b'{"type":"authenticate"}'),
        masked(TEXT, b'{"type":"authenticate","token":' + b"[" * 5_000),
        masked(TEXT, json.dumps(watch).encode()) * 50,
        masked(TEXT, json.dumps({"type": "authenticate", "token": "x" * 17_000}).encode()),
    ):
        for path in ("/ws/updates?project_id=secret-1", "/ws/orchestrator?producer_id=x", "/ws/aiecs"):
            one = attacker.websocket(path, (), token="")
            one.send(data)
            one.closed(4001)


@attack(
    KIND,
    "a hundred connections that never send their first message, or send it too late",
    "close 4001 after `auth.message_timeout`; a late token counts for nothing",
)
def test_a_first_message_that_is_late(attacker: Attacker) -> None:
    waiting = [attacker.websocket(token="") for _ in range(100)]
    attacker.arena.deliver()
    attacker.later()
    for one in waiting:
        one.say({"type": "authenticate", "token": attacker.token})
        one.closed(4001)
