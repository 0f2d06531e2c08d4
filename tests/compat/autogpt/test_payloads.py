"""What AutoGPT publishes: passed on byte for byte, or refused with the name of the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.compat.autogpt.channels import Place, Through
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.notifications import as_notification, from_autogpt
from tasktree_rt.compat.autogpt.payloads import (
    Execution,
    Push,
    read_execution,
    read_notification,
    too_large,
)
from tasktree_rt.errors import InvalidInput
from tests.compat.autogpt.test_dialect import JSON, text_of

GRAPH = {
    "event_type": "graph_execution_update",
    "id": "e",
    "user_id": "u",
    "graph_id": "g",
    "status": "RUNNING",
}
NODE = {
    "event_type": "node_execution_update",
    "user_id": "u",
    "graph_id": "g",
    "graph_exec_id": "e",
    "node_exec_id": "x",
    "node_id": "n",
    "status": "QUEUED",
}
NAMED = Place("u", "g", "e")


def body(payload: Any) -> bytes:
    return json.dumps({"payload": payload}).encode()


def without(payload: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in fields}


def test_a_payload_goes_on_as_it_came_to_the_last_byte() -> None:
    raw = b'{ "id":"e","user_id" : "u",\n"graph_id":"g","event_type":"graph_execution_update","status":"X",'
    raw += b'"inputs":{"big":12345678901234567890.10,"e":1e400,"twice":1,"twice":2,"u":"\\u00fc\xc3\xbc"} }'
    event = read_execution(b'{"other":1,"payload":' + raw + b"}")
    assert event.body == raw
    sent = [AutoGpt().encode(live) or b"" for live in event.live()]
    assert all(raw in one for one in sent)
    assert len(sent) == 3


def test_a_graph_event_goes_out_on_three_channels_and_a_nodes_on_one() -> None:
    def said(event: Execution) -> list[tuple[str, str, str, bool]]:
        return [(one.kind, one.data.channel, one.key, one.last) for one in event.live()]

    method = "graph_execution_event"
    assert said(read_execution(body(GRAPH))) == [
        (method, "u|graph_exec#e", "graph:e", False),
        (method, "u|graph#g|executions", "graph:e", False),
        (method, "u|graph_execs#g", "graph:e", False),
    ]
    assert said(read_execution(body(NODE))) == [("node_execution_event", "u|graph_exec#e", "node:x", False)]


@pytest.mark.parametrize(
    ("status", "over"),
    [("QUEUED", False), ("REVIEW", False), ("COMPLETED", True), ("FAILED", True), ("TERMINATED", True)],
)
def test_nothing_follows_an_execution_that_is_over(status: str, over: bool) -> None:
    live = read_execution(body({**GRAPH, "status": status})).live()
    assert [one.last for one in live] == [over] * 3


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (b"", None),
        (b"nonsense", None),
        (b"[]", None),
        (b"{}", "payload"),
        (b'{"payload":5}', "payload"),
        (body({}), "payload.event_type"),
        (body({**GRAPH, "event_type": 5}), "payload.event_type"),
        (body({**GRAPH, "event_type": "graph_execution"}), "payload.event_type"),
        (body(without(GRAPH, "id")), "payload.id"),
        (body({**GRAPH, "id": 5}), "payload.id"),
        (body({**GRAPH, "user_id": ""}), "payload.user_id"),
        (body({**GRAPH, "user_id": "x" * 513}), "payload.user_id"),
        (body(without(GRAPH, "graph_id")), "payload.graph_id"),
        (body(without(GRAPH, "status")), "payload.status"),
        (body({**GRAPH, "status": None}), "payload.status"),
        (body(without(NODE, "graph_exec_id")), "payload.graph_exec_id"),
        (body(without(NODE, "node_exec_id")), "payload.node_exec_id"),
        (body(without(NODE, "node_id")), "payload.node_id"),
        (body({"event_type": "error_comms_update", "error": "x"}), "payload.user_id"),
        (b'{"payload":' + b"[" * 100_000, None),
        (body(GRAPH).replace(b'"RUNNING"', b'"RUNNING","inputs":"\xff"'), None),
    ],
)
def test_a_bad_event_is_refused_by_the_name_of_its_field(sent: bytes, field: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_execution(sent)
    assert refused.value.field == field
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    ("named", "field"),
    [
        (Place("v", "g", "e"), "user_id"),
        (Place("u", "h", "e"), "graph_id"),
        (Place("u", "g", "f"), "id"),
        (Place("u", "h", None, Through.GRAPH), "graph_id"),
    ],
)
def test_an_event_must_be_of_whom_it_was_published_for(named: Place, field: str) -> None:
    assert read_execution(body(GRAPH), NAMED).user == "u"
    with pytest.raises(InvalidInput, match="as in the channel") as refused:
        read_execution(body(GRAPH), named)
    assert refused.value.field == f"payload.{field}"


@pytest.mark.parametrize(
    ("payload", "through", "shown"),
    [
        (GRAPH, Through.ALL, ["u|graph_exec#e", "u|graph#g|executions", "u|graph_execs#g"]),
        (GRAPH, Through.EXECUTION, ["u|graph_exec#e"]),
        (GRAPH, Through.GRAPH, ["u|graph#g|executions", "u|graph_execs#g"]),
        (NODE, Through.ALL, ["u|graph_exec#e"]),
        (NODE, Through.EXECUTION, ["u|graph_exec#e"]),
        (NODE, Through.GRAPH, ["u|graph#g|executions"]),
    ],
)
def test_what_was_published_for_the_execution_or_the_graph_goes_there_only(
    payload: dict[str, Any], through: Through, shown: list[str]
) -> None:
    place = Place("u", "g", "e" if through is not Through.GRAPH else None, through)
    assert [one.data.channel for one in read_execution(body(payload), place).live()] == shown
    if payload is GRAPH:
        assert [one.data.channel for one in too_large(place, 9, 5).live()] == shown


def test_a_place_is_called_on_a_cluster_what_the_platform_calls_it() -> None:
    assert Place("u", "g", "e").redis_channel == "execution_event/{u/g}/exec/e"
    assert Place("u", "g", None).redis_channel == "execution_event/{u/g}/all"


def test_what_is_too_large_is_told_of_in_the_platforms_own_words() -> None:
    own = {"event_type": "error_comms_update", "error": "x", "original_size_bytes": 9, "max_size_bytes": 5}
    for event in (read_execution(body(own), NAMED), too_large(NAMED, 9, 5)):
        told = event.live()
        assert [one.data.channel for one in told] == [
            "u|graph_exec#e",
            "u|graph#g|executions",
            "u|graph_execs#g",
        ]
        assert {one.key for one in told} == {"error:e"}
        said = json.loads(event.body)
        assert said.keys() == own.keys()
        assert (said["original_size_bytes"], said["max_size_bytes"]) == (9, 5)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (5, "payload"),
        ({}, "payload.user_id"),
        ({"user_id": 5, "payload": {}}, "payload.user_id"),
        ({"user_id": "u"}, "payload.payload"),
        ({"user_id": "u", "payload": []}, "payload.payload"),
        ({"user_id": "u", "payload": {"event": "e"}}, "payload.payload.type"),
        ({"user_id": "u", "payload": {"type": "t", "event": None}}, "payload.payload.event"),
        ({"user_id": "", "payload": {"type": "t", "event": "e"}}, "payload.user_id"),
    ],
)
def test_a_bad_notification_is_refused_by_the_name_of_its_field(payload: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_notification(body(payload))
    assert refused.value.field == field


def test_a_notification_must_be_of_whom_it_was_published_for() -> None:
    sent = body({"user_id": "u", "payload": {"type": "t", "event": "e"}})
    assert read_notification(sent, "u") == ("u", {"type": "t", "event": "e"})
    with pytest.raises(InvalidInput, match="as in the channel"):
        read_notification(sent, "v")


PAYLOADS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


@given(PAYLOADS, st.text(max_size=300), st.text(max_size=300))
def test_a_notification_comes_through_the_hub_as_it_was(more: dict[str, Any], kind: str, event: str) -> None:
    payload = {**more, "type": kind, "event": event}
    kept = from_autogpt(payload)
    assert 0 < len(kept["title"]) <= 256
    assert as_notification(kept) == payload


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()) | PAYLOADS.map(body))
def test_no_bytes_make_it_fail(sent: bytes) -> None:
    for read in (read_execution, read_notification):
        try:
            read(sent)
        except InvalidInput as error:
            assert error.message  # noqa: PT017 - either way is good


@given(JSON, JSON)
def test_whatever_is_in_a_payload_a_client_gets_it_as_json(inputs: Any, stats: Any) -> None:
    payload = {**GRAPH, "inputs": inputs, "stats": stats}
    sent = json.dumps({"payload": payload}).encode("utf-8", "surrogatepass")
    try:
        event = read_execution(sent)
    except InvalidInput:
        return  # NaN is no JSON
    live = event.live()[0]
    assert isinstance(live.data, Push)
    assert json.dumps(text_of(AutoGpt().encode(live) or b"")["data"]) == json.dumps(payload)
