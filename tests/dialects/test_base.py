"""The JSON codec, text frames, joining."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import OPEN, Protocol, Side

from tasktree_rt.core.events import MAX_DEPTH, Event, ProjectId, Record, parse_event
from tasktree_rt.dialects.base import (
    READABLE,
    Encoding,
    decode_body,
    decode_json,
    decode_object,
    digest,
    encode_body,
    encode_json,
    join,
    measure,
    plain,
    read_id,
    text_frame,
    with_position,
)
from tasktree_rt.errors import InvalidInput
from tests.core.strategies import json_values

NOW = "2026-01-02T03:04:05.000006Z"

clean_texts = st.text(max_size=8)
clean_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | clean_texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(clean_texts, inner, max_size=3),
    max_leaves=8,
)
clean_objects = st.dictionaries(clean_texts, clean_values, max_size=4)


def event(data: dict[str, Any]) -> Event:
    return Event("something", ProjectId("p"), data, NOW)


def nested(depth: int, kind: str = "list") -> dict[str, Any]:
    """Data that is `depth` deep, itself counted."""
    inner: Any = "x" if depth == 1 else []
    for _ in range(depth - 2):
        inner = [inner] if kind == "list" else {"a": 1, "b": inner}
    return {"d": inner}


# --- frames


def read_back(frames: bytes) -> list[bytes]:
    peer = Protocol(Side.CLIENT, state=OPEN, max_size=None)
    peer.receive_data(frames)
    assert peer.parser_exc is None
    received = peer.events_received()
    assert all(frame.opcode is Opcode.TEXT and frame.fin for frame in received)  # type: ignore[union-attr]
    return [bytes(frame.data) for frame in received]  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 3_000_000])
def test_frames_of_every_length_form_are_what_a_client_reads(size: int) -> None:
    payload = b"x" * size
    header = 2 if size < 126 else 4 if size < 65_536 else 10
    frame = text_frame(payload)
    assert len(frame) == header + size
    assert read_back(frame) == [payload]


@given(st.lists(st.text(max_size=200).map(str.encode), max_size=5))
def test_joined_frames_are_read_one_by_one(payloads: list[bytes]) -> None:
    encoding = join(map(text_frame, payloads))
    assert read_back(encoding.data) == payloads
    assert len(encoding.ends) == len(payloads)
    starts = (0, *encoding.ends[:-1])
    for start, end, payload in zip(starts, encoding.ends, payloads, strict=False):
        assert encoding.data[start:end] == text_frame(payload)


def test_nothing_joined_is_nothing() -> None:
    assert join([]) == Encoding(b"", ())


# --- bodies


@given(clean_objects, st.integers(1, 10**18), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_a_record_with_its_position_is_the_event_as_json(data: dict[str, Any], seq: int, epoch: str) -> None:
    happened = event(data)
    body = encode_body(happened)
    assert decode_body(body) == happened
    sent = json.loads(with_position(Record(seq, "something", None, 0, body), epoch))
    assert sent == {
        "type": "something",
        "project_id": "p",
        "data": data,
        "timestamp": NOW,
        "seq": seq,
        "epoch": epoch,
    }


def test_a_body_is_compact() -> None:
    assert encode_body(event({"a": [1, {"b": None}]})) == (
        b'{"type":"something","project_id":"p","data":{"a":[1,{"b":null}]},"timestamp":"%b"}' % NOW.encode()
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param({"\udfff": 1}, id="lone surrogate in a key"),
        pytest.param(10**5000, id="number of 5001 digits"),
        pytest.param(object(), id="no JSON"),
        pytest.param({(1,): 1}, id="no JSON key"),
    ],
)
def test_what_cannot_be_json_is_refused_everywhere(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        encode_body(event({"x": value}), "events[3].data")
    assert (caught.value.code, caught.value.field) == ("invalid_event", "events[3].data")
    with pytest.raises(InvalidInput) as caught:
        digest([value])
    assert caught.value.code == "invalid_message"
    with pytest.raises(InvalidInput) as caught:
        plain([value])
    assert caught.value.code == "invalid_event"
    caught.value.message.encode()


def test_a_lone_surrogate_in_a_type_is_refused_too() -> None:
    with pytest.raises(InvalidInput) as caught:
        encode_body(Event("\ud800", ProjectId("p"), {}, NOW))
    assert caught.value.code == "invalid_event"


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, 10**308])
def test_integers_beyond_64_bits_are_kept_exactly(value: int) -> None:
    assert decode_body(encode_body(event({"id": value}))).data == {"id": value}
    assert decode_json(encode_json(value)) == value
    assert digest(value) != digest(value + 1)


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_data_may_be_nested_so_deep_and_no_deeper(kind: str) -> None:
    deepest = event(nested(MAX_DEPTH, kind))
    assert decode_body(encode_body(deepest)) == deepest
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(InvalidInput, match=f"at most {MAX_DEPTH} levels") as caught:
            encode_body(event(nested(depth, kind)))
        assert (caught.value.code, caught.value.field) == ("invalid_event", "data")


def test_many_brackets_side_by_side_are_not_deep() -> None:
    wide = event({"text": "[" * 500, "list": [{"a": []}] * 500})
    assert decode_body(encode_body(wide)) == wide


def test_data_that_contains_itself_is_refused() -> None:
    data: dict[str, Any] = {}
    data["self"] = data
    with pytest.raises(InvalidInput):
        encode_body(event(data))
    with pytest.raises(InvalidInput):
        plain(data)
    with pytest.raises(InvalidInput):
        digest(data)


def test_an_event_that_is_accepted_is_readable_deep_in_a_call_stack() -> None:
    body = encode_body(event(nested(MAX_DEPTH)))

    def deeper(left: int) -> Event:
        return decode_body(body) if left == 0 else deeper(left - 1)

    assert deeper(600) == event(nested(MAX_DEPTH))


# --- decoding


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "nul",
        "NaN",
        "Infinity",
        "[1,]",
        "{'a':1}",
        "01",
        "1 2",
        '"\x01"',
        "\ufeff1",
        b"",
        b"\xff",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        '"\ud800"',
        '"\\ud800"',
        '"\\udc00x"',
        "1e999",
        pytest.param("1" * 5000, id="digits"),
        pytest.param("[" * 100000, id="open"),
        pytest.param("[" * 100000 + "]" * 100000, id="deep"),
        pytest.param('{"a":' * 5000, id="deep objects"),
    ],
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_json(text)
    assert caught.value.code == "invalid_json"
    caught.value.message.encode()


@given(st.binary(max_size=30) | st.text(max_size=30) | clean_values.map(json.dumps))
def test_decoding_raises_nothing_else(text: str | bytes) -> None:
    with suppress(InvalidInput):
        decode_json(text)


@pytest.mark.parametrize("text", ["[" * 500 + "1e400" + "]" * 500, '{"a":' * 500 + "1e400" + "}" * 500])
def test_a_mistake_deep_inside_is_told_in_a_line(text: str) -> None:
    with pytest.raises(InvalidInput, match="out of range") as caught:
        decode_json(text)
    assert len(caught.value.message) < 250


@given(clean_values)
def test_json_is_read_back_as_it_was(value: object) -> None:
    text = encode_json(value)
    assert decode_json(text) == value
    assert decode_json(text.decode()) == value
    assert json.loads(text) == value


@pytest.mark.parametrize("text", ["[]", "5", '"{}"', "null", "true"])
def test_an_object_is_wanted(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_object(text)
    assert caught.value.code == "invalid_message"


def test_an_object_is_given() -> None:
    assert decode_object(b'{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}
    with pytest.raises(InvalidInput) as caught:
        decode_object("{")
    assert caught.value.code == "invalid_json"


@given(clean_objects)
def test_a_measure_is_the_encoded_size(fields: dict[str, Any]) -> None:
    assert measure(fields) == len(encode_json(fields))


# --- digests


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(one) for one in value] if isinstance(value, list) else value


@given(clean_values)
def test_a_digest_does_not_depend_on_the_order_of_keys(value: object) -> None:
    assert digest(value) == digest(reordered(value))
    assert len(digest(value)) == 16


@given(clean_values, clean_values)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) == same


def test_a_digest_depends_on_the_order_of_an_array() -> None:
    assert digest([1, 2]) != digest([2, 1])


# --- what programs hand over


def test_what_a_program_made_becomes_what_the_wire_would_bring() -> None:
    made = {"t": (1, 2), 5: "key", "nan": float("nan"), "inf": [float("inf"), -float("inf")], "f": 1.5}
    assert plain(made) == {"t": [1, 2], "5": "key", "nan": None, "inf": [None, None], "f": 1.5}


@given(json_values)
def test_what_is_plain_survives_the_log(value: object) -> None:
    try:
        made = plain({"type": "x", "project_id": "p", "data": {"value": value}})
    except InvalidInput:
        return
    happened = parse_event(made, now=NOW)
    assert decode_body(encode_body(happened)) == happened


ids = st.integers(-(2**63), 2**63) | st.text(max_size=20)

# --- the id of a request that is no JSON -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"type":"publish","id":"r1","events":[{"type":"x","data":{"a":NaN', "r1"),
        ('{"type":"ping","id":7,}', 7),
        ('{"type":ping,"id":-7 }', -7),
        ('{"id":"r1" "type":"ping"}', "r1"),
        ('{"data":{"id":1,"x":[{"id":2}]},"a":NaN,"id":3,"b":4}', 3),
        ('\ufeff{"id":5,"type":"ping"}', 5),
        (b'{"id":5,"type":"\xff"}', 5),
        ('{"a":"say \\"id\\":1, ","id":2,', 2),
        (' {\n"id" :\t"a\\u0062" , ', "ab"),
        ('{"id":5,"type":"ping","id":5,', 5),
        ('{"id":5,"type":"ping","id":6,', None),
        ('{"id":12', None),
        ('{"id":12"', 12),
        ('{"id":"r1', None),
        ('{"id":"r\\x","a":', None),
        ('{"id":1.5,"a":', None),
        ('{"id":true,"a":', None),
        ('{"id":null,"a":', None),
        ('{"id":{"id":1},"a":', None),
        ('{"x":"id","y":5,', None),
        ('["id":5,"a"', None),
        ('{"a":["id":5,"b":', None),
        ('"id":5,"a"', None),
        ("{'id':5,'a':", None),
        ('{"id":"%s","a":' % ("x" * 128), "x" * 128),
        ('{"id":"%s","a":' % ("x" * 129), None),
        ('{"id":%s,"a":' % ("9" * 129), None),
        ('{"a":"%s","id":5,"b":' % ("x" * 8_192), None),
        ("", None),
        ("{", None),
    ],
)
def test_the_id_of_a_broken_request_is_read_where_it_can_be(text: str | bytes, found: object) -> None:
    with pytest.raises(InvalidInput):
        decode_object(text)
    assert (read_id(text), type(read_id(text))) == (found, type(found))


@given(st.dictionaries(st.text(max_size=3), json_values, max_size=4), st.integers(0, 60), ids)
def test_of_a_request_that_is_cut_its_own_id_is_read_or_none(
    others: dict[str, Any], cut: int, request: str | int
) -> None:
    others.pop("id", None)
    text = json.dumps({**others, "id": request, "more": [1, 2, 3]})
    assert read_id(text[: max(0, len(text) - cut)]) in (request, None)
    assert read_id(text[:-2]) in ((request,) if len(text) < READABLE else (request, None))


@given(st.text(alphabet='{}[]:,"\\id1 \ufeff') | st.binary())
def test_whatever_the_text_an_id_or_none_is_read(text: str | bytes) -> None:
    assert isinstance(read_id(text), str | int | None)


def test_a_long_text_is_read_once() -> None:
    """Words that could be long are not tried again from each of their places."""
    for text in ('{"' + '\\"' * 100_000, '{"id' * 100_000, '{"id":"' + "\\" * 200_001, "{" * 200_000):
        assert read_id(text) is None
