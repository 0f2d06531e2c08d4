"""The decoders of messages, without a hub: requests, events, positions, tokens, and what a client is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import attrs
import jwt
import pytest

from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.watcher.decode import read_position
from tasktree_rt.client.watcher.subscription_state import SubscriptionState
from tasktree_rt.client.watcher.tree_view import TreeView
from tasktree_rt.core.access import Scope
from tasktree_rt.core.events import MAX_DEPTH, deeper_than, normalise_time, parse_event, project_id
from tasktree_rt.core.log import Position
from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.protocol import (
    Ack,
    Answer,
    Command,
    Failure,
    Instruct,
    Ping,
    Refresh,
    Subscribe,
    Unsubscribe,
)
from tasktree_rt.core.reducer import reduce
from tasktree_rt.dialects.base import decode_body, decode_json, digest, encode_body, measure, named
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.dialects.tasktree import Native, Plain
from tasktree_rt.dialects.tasktree.requests import RequestError, read_since
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.settings import LONGEST, Auth, Settings
from tasktree_rt.web.auth.authenticator import Authenticator
from tasktree_rt.web.auth.origins import OriginPolicy
from tests.at_once import at_once
from tests.fuzz.target import json_of, text_of, told_well
from tests.model import NaiveTree

NOW: Final = "2026-01-02T03:04:05.000006Z"
SECRET: Final = "s" * 32
LEEWAY: Final = 5.0
HUB: Final = Authenticator(Auth(secret=SECRET, leeway=LEEWAY, max_lifetime=LONGEST))
"""A hub that takes tokens until 2058."""

JSON_WORDS: Final = (
    *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"null", b"true", b"false", b"0", b"-1", b"1e400", b"0.5"),
    *(b"9" * 20, b"18446744073709551616", b"\\u0000", b"\\ud800", b"\\u00e9", b"\xc3\xa9", b"\xff", b'""'),
    *(b'"type":', b'"id":', b'"project_id":', b'"data":', b'"timestamp":', b'"node_id":', b'"changes":'),
    *(b'"since":', b'"seq":', b'"epoch":', b'"state":', b'"policy":', b'"events":', b'"p"', b'"*"', b'"a:1"'),
    b"[" * 70 + b"]" * 70,
    b'{"a":' * 70 + b"1" + b"}" * 70,
)
REQUEST_WORDS: Final = (
    *JSON_WORDS,
    *(b'"subscribe"', b'"unsubscribe"', b'"ping"', b'"ack"', b'"refresh"', b'"token":"t"', b'"conflate"'),
    *(b'"answer"', b'"command"', b'"prompt_id":"q"', b'"proceed":true', b'"value":', b'"feedback":""'),
    *(b'"user_id":"u"', b'"name":"cancel"', b'"args":{}'),
)
WORK_WORDS: Final = (
    *JSON_WORDS,
    *(b"start\n", b"change\n", b"claim\n", b'"workflow_id":"w"', b'"input_data":{}', b'"worker_id":"w"'),
    *(b'"status":"pending"', b'"status":"running"', b'"status":"completed"', b'"status":"failed"'),
    *(b'"progress":', b'"message":', b'"result":', b'"error":', b'"message":"m"'),
)
EVENT_WORDS: Final = (
    *JSON_WORDS,
    *(b'"node_update"', b'"project_update"', b'"log"', b'"state_transition"', b'"project_deleted"'),
    *(b'"task_created"', b'"tasks_reset"', b'"task_deleted"', b'"task_id":', b'"parent_id":', b'"progress":'),
    *(b'"deleted":true', b'"depends_on":', b'"level":"info"', b'"message":"m"', b'"to":"done"', b'"status":'),
    *(b'"2026-01-02T03:04:05Z"', b'"2026-12-31T23:59:59.999999+23:59"', b'"0001-01-01T00:00:00+01:00"'),
    *(b'"coordination_update"', b'"active_agents":1', b'"agents":{}', b'"order":', b'"t1"', b'"1-p"'),
)
TOKEN_WORDS: Final = (
    *(b".", b"..", b"=", b"-", b"_", b"\xff", b"eyJhbGciOiJIUzI1NiJ9", b"eyJhbGciOiJub25lIn0", b"e30"),
    *(b"eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19", b"eyJleHAiOjF9", b"Bearer "),
)
CLAIM_WORDS: Final = (
    *JSON_WORDS,
    *(
        b'"sub":"a"',
        b'"exp":2700000000',
        b'"nbf":',
        b'"iat":',
        b'"aud":',
        b'"tasktree":',
        b'"watch":',
        b'"push":',
    ),
    *(
        b'"admin":true',
        b"Infinity",
        b"NaN",
        b"http://",
        b"https://",
        b"localhost",
        b":80",
        b"[",
        b"]",
        b"@",
        b"/",
    ),
)
CLIENT_WORDS: Final = (
    *JSON_WORDS,
    *(b'"welcome"', b'"subscribed"', b'"project_state"', b'"conflated"', b'"heartbeat"', b'"unsubscribed"'),
    *(b'"reply"', b'"error"', b'"code":', b'"overloaded"', b'"positions":', b'"part":1', b'"parts":1'),
    *(b'"removed":', b'"nodes":', b'"after":0', b'"events":', b'"logs_skipped":', b'"reason":"gap"'),
    *(b'"recovered":', b'"project_deleted"', b'"node_update"', b"\n", b'"retry_after_ms":'),
)


def run_request(data: bytes) -> None:
    """A watcher's request: a command that says what was said, or an error that names the place."""
    assert Plain().decode(data) is None
    text = text_of(data)
    for form in (data,) if text is None else (data, text):
        try:
            command = Native().decode(form)
        except RequestError as error:
            told_well(error)
        except InvalidInput as error:
            told_well(error, "invalid_json", "invalid_message")
        else:
            assert command is not None
            write = _WRITERS.get(type(command))
            if write is not None:
                assert Native().decode(json.dumps(write(command))) == command


def run_execution(data: bytes) -> None:
    """What who watches an execution says: a ping, or an error that can be told in that language."""
    text = text_of(data)
    for form in (data,) if text is None else (data, text):
        try:
            assert Execution().decode(form) == Ping()
        except InvalidInput as error:
            told_well(error, "invalid_json", "invalid_message")
            Execution().encode(Failure(error.code, error.message, field=error.field))


def _answer(said: Answer) -> dict[str, Any]:
    places = {name: value for topic in said.within for name, value in named(topic).items()}
    return {**said.given, **places, "type": "answer", "prompt_id": said.prompt_id, "id": said.id}


def _subscribe(said: Subscribe) -> dict[str, Any]:
    since: Any = said.since
    if isinstance(since, dict):
        since = {name: str(position) for name, position in since.items()}
    return {
        "type": "subscribe",
        **named(said.project_id),
        "since": None if since is None else since if isinstance(since, dict) else str(since),
        "policy": said.policy and said.policy.value,
        "state": said.state,
        "token": said.token,
    }


def _about(said: Unsubscribe | Ack) -> dict[str, Any]:
    """Which topic a request is about, as the wire names it."""
    fields = {name: value for name, value in attrs.asdict(said).items() if name != "project_id"}
    return fields | named(said.project_id)


def _written(kind: str) -> Callable[[Any], dict[str, Any]]:
    return lambda said: {"type": kind, **attrs.asdict(said)}


_WRITERS: Final[dict[type[Command], Callable[[Any], dict[str, Any]]]] = {
    Subscribe: lambda said: _subscribe(said) | {"id": said.id},
    Unsubscribe: lambda said: _about(said) | {"type": "unsubscribe"},
    Ping: _written("ping"),
    Ack: lambda said: _about(said) | {"type": "ack"},
    Refresh: _written("refresh"),
    Answer: _answer,
    Instruct: lambda said: {**said.given, "type": "command", "project_id": said.project_id, "id": said.id},
}


def run_event(data: bytes) -> None:
    """Events as JSON, one a line: the log keeps each as it was, and the tree is the plain model's."""
    tree, model = Nodes(), NaiveTree("p")
    for line in data.split(b"\n"):
        try:
            value = decode_json(line)
            event = parse_event(value, now=NOW, project=project_id("p"))
            body = encode_body(event)
        except InvalidInput as error:
            told_well(error)
            continue
        assert decode_body(body) == event
        assert not deeper_than(MAX_DEPTH, event.data)
        again = parse_event(decode_json(body), now="", project=event.project_id)
        assert again == event
        assert normalise_time(event.timestamp, "timestamp") == event.timestamp
        assert digest(value) == digest(decode_json(json.dumps(value)))
        tree.apply(reduce(tree, event, len(body), measure))
        model.apply(event.type, event.data)
        picture = {**tree.top, "nodes": {one: node.fields for one, node in tree.nodes.items()}}
        assert picture == model.picture()
        for node in tree.nodes.values():
            assert measure(node.fields) <= node.bound


def run_position(data: bytes) -> None:
    """Positions, project ids, times, patterns: accepted means unchanged."""
    text = data.decode(errors="surrogateescape")
    for read in (Position.parse, project_id):
        try:
            assert str(read(text)) == text
        except InvalidInput as error:
            told_well(error)
    try:
        once = normalise_time(text, "timestamp")
    except InvalidInput as error:
        told_well(error)
    else:
        assert normalise_time(once, "timestamp") == once
        assert len(once) == 27
    try:
        read_since(json_of(data), "*")
    except InvalidInput as error:
        told_well(error)
    with suppress(ConnectionEnded):
        read_position(text)
    for pattern in (text, text + "*"):
        assert Scope((pattern,)).covers(text)


def run_token(data: bytes) -> None:
    """Something that says it is a token: refused, for the reasons there are."""
    token = data.decode("latin-1")
    for one in (token, text_of(data)):
        with pytest.raises(Refused) as refused:
            at_once(HUB.authenticate(one))
        told_well(refused.value, "unauthorized")


def run_claims(data: bytes) -> None:
    """Claims that somebody with the secret has signed, and an Origin: let in, or refused in order."""
    claims = json_of(data)
    if isinstance(claims, dict):
        token = jwt.encode(claims, SECRET, "HS256", headers={"typ": "JWT"})
        try:
            grants = at_once(HUB.authenticate(token))
        except Refused as error:
            told_well(error, "unauthorized")
        else:
            assert grants.subject == claims["sub"]
            assert grants.expires == float(claims["exp"]) + LEEWAY
            assert not grants.admin or claims["tasktree"]["admin"] is True
    text = data.decode("latin-1")
    policy = OriginPolicy(Settings())
    for host in ("localhost:8000", text, None):
        policy.knows_host(host)
        if policy.admits(text, host):
            assert host is not None
            assert text.lower().partition("://")[2].startswith(host.lower().removesuffix(":80")[:1])


def run_client(data: bytes) -> None:
    """What a hub says, a JSON object a line: a watcher takes it or gives the connection up, no more."""
    follower = SubscriptionState("conflate")
    follower.subscribe("p", None, True)
    follower.subscribe("*", None, False)
    follower.opening()
    view = TreeView("p")
    for line in data.split(b"\n"):
        message = json_of(line)
        if not isinstance(message, dict):
            continue
        try:
            told = follower.receive(message)
        except ConnectionEnded:
            return
        for one in told:
            view.apply(one)
        for root in view.roots():
            view.children(root)
        assert all(isinstance(one, dict) for one in follower.requests)
