"""Attacks of a caller with a token, on what others have."""

from __future__ import annotations

import time
from typing import Any

from tests.attacks.arena import HEALTHY, PRIVATE, SECRET, USER
from tests.attacks.attacker import OWN, SUBJECT, Attacker
from tests.attacks.table import attack
from tests.web.realhub import node_update, token
from tests.wsclient import closing

KIND = "grants"
TREE = f"/api/v1/projects/{SECRET}"
QUESTION = {"message": "?", "default": {"proceed": False}}


def root() -> str:
    """An administrator's token, which the attacker has not."""
    return token(subject="root", watch=["*"], push=["*"], answer=["*"], command=["*"], admin=True)


@attack(
    KIND, "every route of a project that is not granted", "403 `forbidden`, whether or not the project exists"
)
def test_routes_of_another(attacker: Attacker) -> None:
    for name in (SECRET, "never-made"):
        tree = f"/api/v1/projects/{name}"
        for path in ("state", "state?at=1", "events", "stream", "snapshots", "snapshots/x"):
            attacker.http("GET", f"{tree}/{path}").refused(403, code="forbidden")
        for method, path in (
            ("POST", "events"),
            ("POST", "snapshots"),
            ("POST", "commands"),
            ("POST", "recover"),
        ):
            answer = attacker.http(method, f"{tree}/{path}", body={"name": "x"} if path != "events" else [])
            answer.refused(403, code="forbidden")
        attacker.http("DELETE", tree).refused(403, code="forbidden")
        attacker.http("DELETE", f"{tree}/snapshots/x").refused(403, code="forbidden")


@attack(
    KIND,
    "a subscription to a project that is not granted, in every language",
    "`forbidden`, or silence; no event",
)
def test_subscriptions_to_another(attacker: Attacker) -> None:
    native = attacker.watcher()
    for extra in ({}, {"state": True}, {"since": ":0"}):
        assert (
            native.ask({"type": "subscribe", "id": 1, "project_id": SECRET, **extra})["code"] == "forbidden"
        )
    plain = attacker.websocket(f"/ws/updates?project_id={SECRET}&project_id={HEALTHY}", ())
    assert attacker.handshake(f"/api/v1/ws/executions/{SECRET}", []).status in (101, 403, 404)
    attacker.arena.deliver()
    plain.send(closing(1000))
    heard = plain.rest()
    assert heard.startswith(b"\x88")  # a close is the first that it hears
    assert b"hidden" not in heard


@attack(
    KIND,
    "`*`: everything, with positions of what is not granted",
    "only what is granted; no name of another project",
)
def test_everything(attacker: Attacker) -> None:
    one = attacker.watcher()
    one.say({"type": "subscribe", "id": 1, "project_id": "*", "since": {SECRET: ":0", HEALTHY: ":0"}})
    heard: list[dict[str, Any]] = []
    while not heard or heard[-1].get("id") != 1:
        heard.append(one.hear())
    named = {entry.get("project_id") for entry in heard if entry["type"] not in ("unsubscribed", "reply")}
    assert named <= {None, OWN, "*"}, heard
    attacker.arena.deliver()
    assert one.ask({"type": "ping", "id": 2})["type"] == "pong"


@attack(
    KIND,
    "names that look alike: other case, a prefix cut, Cyrillic or full-width letters, a dot, a space",
    "another name, or 400; a grant that is no name is 401",
    keeps=True,
)
def test_look_alikes(attacker: Attacker) -> None:
    shown = token(
        subject=SUBJECT,
        watch=["secret-", "SECRET-*", "secret", "s?cret-1", "secret-*x", "\u0455ecret-1", "", " *", "**x"],
    )
    for name in (SECRET, "SECRET-1x", "Secret-1", "secret"):
        answer = attacker.http("GET", f"/api/v1/projects/{name}/state", token=shown)
        assert answer.status in (401, 403, 404), (name, answer)
        assert "hidden" not in answer.text
    for name in (
        "%D1%95ecret-1",
        "%EF%BD%93ecret-1",
        "secret-1%20",
        "secret-1%C2%A0",
        ".",
        "..",
        "secret-1%00",
    ):
        answer = attacker.http("GET", f"/api/v1/projects/{name}/state", token=root())
        assert answer.status in (400, 404), (name, answer)


@attack(KIND, "a grant's wildcard in a project's id", "400: `*` is no letter of an id")
def test_wildcard_as_id(attacker: Attacker) -> None:
    for name in ("*", "mallory-*", "secret-*"):
        attacker.publish(name, node_update("n")).refused(400, code="invalid_project_id")
    one = attacker.watcher()
    assert one.ask({"type": "subscribe", "id": 1, "project_id": "secret-*"})["code"] == "invalid_project_id"


@attack(
    KIND,
    "a publish that mixes an own project with another's, or names another than the path",
    "refused as a whole",
    keeps=False,
)
def test_mixed_publishes(attacker: Attacker) -> None:
    mixed = [{"project_id": OWN, **node_update("n")}, {"project_id": SECRET, **node_update("n")}]
    attacker.publish(OWN, *mixed).refused(400)
    attacker.publish(OWN, mixed[1]).refused(400)
    one = attacker.producer()
    heard = one.ask({"type": "publish", "id": 1, "events": mixed})
    assert heard["code"] in ("forbidden", "mixed_projects")


@attack(KIND, "another user's topic, notifications, read position, prompts", "403 or 404")
def test_topics_of_another_user(attacker: Attacker) -> None:
    one = attacker.watcher()
    for user in ("ada", "root", "ADA", "Mallory", "mallory "):
        assert one.ask({"type": "subscribe", "id": 1, "user_id": user})["code"] == "forbidden", user
    for method, path in (
        ("GET", "notifications"),
        ("POST", "notifications"),
        ("POST", "read"),
        ("POST", "recover"),
    ):
        body = b"" if method == "GET" else {"message": "x"} if path == "notifications" else {"seq": 1}
        attacker.http(method, f"/api/v1/users/ada/{path}", body=body).refused(403, code="forbidden")
    attacker.http("POST", "/api/v1/prompts", body={"user_id": "ada", **QUESTION}).refused(
        403, code="forbidden"
    )


@attack(
    KIND,
    "the topic of a user as if it were a project",
    "400, 404, or a project of that name; never the user's log",
    keeps=True,
)
def test_a_topic_as_project(attacker: Attacker) -> None:
    everything = token(subject=SUBJECT, watch=["*"], push=["*"])
    for name in (f"user:{USER}", f"@{USER}", f"%40{USER}", f"users/{USER}", f"%00{USER}", USER):
        answer = attacker.http("GET", f"/api/v1/projects/{name}/events", token=everything)
        assert PRIVATE not in answer.text, (name, answer)


@attack(
    KIND,
    "a prompt of another: to see it, answer it, cancel it, guess its id",
    "404, the same as for one that there is not",
    keeps=True,
)
def test_prompts_of_another(attacker: Attacker) -> None:
    asked = {"prompt_id": "secret-prompt", "project_id": "secret-2", **QUESTION}
    assert attacker.http("POST", "/api/v1/prompts", body=asked, token=root()).status == 201
    for name in ("secret-prompt", "no-such-prompt"):
        path = f"/api/v1/prompts/{name}"
        attacker.http("GET", path).refused(404, code="not_found")
        attacker.http("POST", f"{path}/answer", body={"proceed": True}).refused(404, code="not_found")
        attacker.http("DELETE", path).refused(404, code="not_found")
    heard = attacker.watcher().ask({"type": "answer", "id": 1, "prompt_id": "secret-prompt", "proceed": True})
    assert heard["code"] == "not_found"
    assert attacker.http("GET", "/api/v1/prompts?status=all").problem["prompts"] == []
    assert attacker.http("DELETE", "/api/v1/prompts/secret-prompt", token=root()).status == 200


@attack(
    KIND,
    "an idempotency key or a producer's id of another subject",
    "keys belong to a subject: nothing is repeated, nothing is lost",
    keeps=True,
)
def test_keys_of_another(attacker: Attacker) -> None:
    attacker.arena.deliver()
    one = attacker.websocket("/ws/orchestrator?producer_id=healthy", ())
    heard = one.ask({"type": "publish", "id": 1, "events": [{"project_id": OWN, **node_update("n")}]})
    assert (heard["type"], heard.get("duplicate", False)) == ("ack", False), heard
    key = [("Idempotency-Key", "1"), ("Producer-Id", "healthy")]
    answer = attacker.publish(OWN, node_update("m"), headers=key)
    assert answer.status == 409 or answer.problem["duplicate"] is False, answer


@attack(KIND, "commands: sent to another's orchestrator, or taken in its place", "403: both need a grant")
def test_commands_of_another(attacker: Attacker) -> None:
    attacker.http("POST", f"{TREE}/commands", body={"name": "stop"}).refused(403, code="forbidden")
    assert (
        attacker.watcher().ask({"type": "command", "id": 1, "project_id": SECRET, "name": "stop"})["code"]
        == "forbidden"
    )
    answer = attacker.handshake(f"/ws/orchestrator?producer_id=x&commands={SECRET}", [])
    answer.refused(403, code="forbidden")


@attack(
    KIND, "the list of projects, its stream and its searches", "only granted projects are listed and counted"
)
def test_the_directory(attacker: Attacker) -> None:
    for query in ("", "?limit=1000", "?after=a", "?prefix=sec", "?search=secret"):
        answer = attacker.http("GET", f"/api/v1/projects{query}")
        assert SECRET not in answer.text, query
        assert HEALTHY not in answer.text, query


@attack(KIND, "what is an administrator's: statistics, connections, metrics, recovery, broadcast", "403")
def test_what_is_an_administrators(attacker: Attacker) -> None:
    for path in ("/api/v1/stats", "/api/v1/connections", "/metrics"):
        attacker.http("GET", path).refused(403, code="forbidden")
    attacker.http("POST", "/api/v1/broadcast", body={"type": "x"}).refused(403, code="forbidden")
    attacker.http("POST", "/api/v1/users/ada/recover").refused(403, code="forbidden")


@attack(
    KIND,
    "the history of a project that was deleted, by an old position",
    "404 or 410: a new epoch has none of the old events",
)
def test_history_of_a_deleted_project(attacker: Attacker) -> None:
    assert attacker.publish(OWN, node_update("bygone")).status == 200
    attacker.http("POST", f"/api/v1/projects/{OWN}/snapshots", body={"name": "kept"})
    epoch = attacker.http("GET", f"/api/v1/projects/{OWN}/state").problem["epoch"]
    assert attacker.http("DELETE", f"/api/v1/projects/{OWN}").status == 200
    for path in (f"events?since={epoch}:0", "state", "state?at=1"):
        answer = attacker.http("GET", f"/api/v1/projects/{OWN}/{path}")
        assert "bygone" not in answer.text, (path, answer)
    assert attacker.http("GET", f"/api/v1/projects/{OWN}/snapshots").problem.get("snapshots", []) == []


@attack(
    KIND,
    "an answer that lasts longer than its grants: a stream past the token's `exp`",
    "the stream ends with its token",
)
def test_a_stream_past_its_token(attacker: Attacker) -> None:
    shown = token(subject=SUBJECT, watch=[OWN], expires=int(time.time()) + 600)
    one = attacker.websocket(token=shown)
    assert one.hear()["type"] == "welcome"
    attacker.arena.jump(620.0)
    one.closed(4003)
