"""Attacks within JSON: depth, numbers, keys, letters."""

from __future__ import annotations

import json
from typing import Any

from tests.attacks.attacker import OWN, Answer, Attacker
from tests.attacks.table import attack
from tests.wsclient import TEXT, masked

KIND = "json"


def publish(attacker: Attacker, data: bytes, name: bytes = b"x") -> Answer:
    """Publish an event with this field over HTTP."""
    event = b'{"type":"note","data":{"' + name + b'":' + data + b"}}"
    return attacker.http("POST", f"/api/v1/projects/{OWN}/events", body=event)


def state(attacker: Attacker) -> str:
    """The text of the attacker's own events."""
    return attacker.http("GET", f"/api/v1/projects/{OWN}/events").text


@attack(KIND, "a thousand levels of arrays or objects", "400 `invalid_json`, before the value is built")
def test_depth(attacker: Attacker) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * 10_000 + b"1" + closing * 10_000
        publish(attacker, deep).refused(400, code="invalid_json")
        publish(attacker, opening * 10_000).refused(400, code="invalid_json")
        one = attacker.watcher()
        one.send(masked(TEXT, deep))
        one.expect_error("invalid_json")


@attack(KIND, "65 levels in an event's data", "400 `invalid_event`")
def test_depth_of_data(attacker: Attacker) -> None:
    publish(attacker, b"[" * 64 + b"]" * 64).refused(400)


@attack(
    KIND, "a number of thousands of digits, `1e400`, `NaN`, `Infinity`", "400 `invalid_json`, with its place"
)
def test_giant_numbers(attacker: Attacker) -> None:
    for number in (
        b"9" * 5000,
        b"-" + b"9" * 400,
        b"1e400",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999999999",
    ):
        publish(attacker, number).refused(400, code="invalid_json")


@attack(KIND, "a position, a limit or an id beyond 64 bits", "400, with the field")
def test_numbers_as_arguments(attacker: Attacker) -> None:
    for query in (
        "limit=99999999999999999999",
        "limit=-1",
        "limit=1e3",
        "limit=%d9%a1",
        "since=a:99999999999999999999999",
    ):
        attacker.http("GET", f"/api/v1/projects/{OWN}/events?{query}").refused(400)
    one = attacker.watcher()
    one.say({"type": "ack", "project_id": OWN, "seq": 10**300})
    one.say({"type": "subscribe", "id": 10**400, "project_id": OWN})
    one.expect_error("invalid_json")


@attack(
    KIND,
    "the same key twice, once harmless and once not",
    "the last counts everywhere, also where it is checked",
    keeps=True,
)
def test_duplicate_keys(attacker: Attacker) -> None:
    twice = b'{"type":"note","type":"prompt","data":{}}'
    attacker.http("POST", f"/api/v1/projects/{OWN}/events", body=twice).refused(400, code="invalid_event")
    other = b'{"project_id":"%s","project_id":"secret-1","type":"note","data":{}}' % OWN.encode()
    answer = attacker.http("POST", f"/api/v1/projects/{OWN}/events", body=other)
    assert answer.status in (400, 403), answer
    one = attacker.producer()
    one.send(masked(TEXT, b'{"type":"publish","id":1,"events":[' + other + b"]}"))
    assert one.hear()["code"] == "forbidden"


@attack(KIND, "a lone surrogate as text, key, id or event type", "400 `invalid_json`")
def test_lone_surrogates(attacker: Attacker) -> None:
    publish(attacker, b'"\\ud800"').refused(400, code="invalid_json")
    publish(attacker, b"1", name=b"\\udfff").refused(400, code="invalid_json")
    one = attacker.watcher()
    one.send(masked(TEXT, b'{"type":"ping","id":"\\ud800"}'))
    one.expect_error("invalid_json")


@attack(
    KIND,
    "a key of 60 KB, ten thousand keys",
    "stored as data within the limit of a message, else 413",
    keeps=True,
)
def test_huge_keys(attacker: Attacker) -> None:
    assert publish(attacker, b"1", name=b"k" * 60_000).status == 200
    many = json.dumps({f"k{n}": n for n in range(4_000)}).encode()
    assert publish(attacker, many).status == 200
    publish(attacker, b"1", name=b"k" * 70_000).refused(413, code="too_large")


@attack(
    KIND,
    "`__proto__`, `constructor`, `prototype` as keys and ids",
    "data like any other; ids are checked as names",
    keeps=True,
)
def test_prototype_keys(attacker: Attacker) -> None:
    assert publish(attacker, b'{"admin":true}', name=b"__proto__").status == 200
    update = {"type": "node_update", "data": {"node_id": "__proto__", "changes": {"constructor": {"x": 1}}}}
    assert attacker.publish(OWN, update).status == 200
    found = attacker.http("GET", f"/api/v1/projects/{OWN}/state").problem
    assert [one["node_id"] for one in found["data"]["nodes"]] == ["__proto__"]
    attacker.publish("__proto__", update).refused(400, code="invalid_project_id")


@attack(KIND, "values of a wrong type wherever a field has one", "400, with the place and what was expected")
def test_wrong_types(attacker: Attacker) -> None:
    values: tuple[Any, ...] = (None, 5, "x", [], [[]], True)
    for value in values:
        attacker.publish(OWN, value).refused(400)
        attacker.publish(OWN, {"type": "node_update", "data": {"node_id": value, "changes": []}}).refused(
            400, code="invalid_event"
        )
    one = attacker.watcher()
    requests: tuple[Any, ...] = (
        [],
        5,
        {"type": []},
        {"type": "subscribe", "project_id": {}},
        {"type": "subscribe", "project_id": OWN, "since": 5},
    )
    for request in requests:
        one.say(request)
        assert one.hear()["type"] == "error", request


@attack(
    KIND,
    "an event whose type is the name of one of the hub's messages",
    "400 `invalid_event`: nobody can forge `subscribed` or `ack`",
)
def test_forged_messages(attacker: Attacker) -> None:
    for name in (
        "welcome",
        "subscribed",
        "ack",
        "project_state",
        "conflated",
        "draining",
        "error",
        "heartbeat",
        "pong",
        "reply",
    ):
        attacker.publish(OWN, {"type": name, "data": {}}).refused(400, "events[0].type", code="invalid_event")
    for name in ("prompt", "prompt_resolved", "command", "command_result", "notifications_read"):
        attacker.publish(OWN, {"type": name, "data": {}}).refused(400, code="invalid_event")


@attack(
    KIND,
    "a schema with a costly regular expression, with references in circles, or with thousands of branches",
    "400: refused by its cost before a match, or after a hundredth of a second",
)
def test_costly_schemas(attacker: Attacker) -> None:
    costly = (
        {"type": "string", "pattern": "(a+)+$"},
        {"type": "string", "pattern": "(a|aa)*b" * 20},
        {"type": "string", "pattern": "a{1,60000}{1,60000}"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}},
        {"$ref": "http://127.0.0.1:1/evil.json"},
        {"$ref": "file:///etc/passwd"},
    )
    for schema in costly:
        asked = {
            "prompt_id": "mallory-9",
            "project_id": OWN,
            "message": "?",
            "default": {"proceed": True, "value": "a" * 40},
            "schema": schema,
        }
        answer = attacker.http("POST", "/api/v1/prompts", body=asked)
        assert answer.status == 400, (schema, answer)
        assert "root:" not in answer.text
