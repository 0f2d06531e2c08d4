"""Reading OTLP bodies, protobuf and JSON: the same spans, and nothing a peer can send breaks more than its
own."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import asdict
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.dialects.base import encode_json
from tasktree_rt.dialects.otlp import json_records, protobuf_records
from tasktree_rt.dialects.otlp.records import (
    MAX_ATTRIBUTES,
    MAX_EVENTS,
    MAX_TEXT,
    LogRecord,
    Malformed,
    Span,
    Unread,
)
from tests.dialects.otlp.encode import (
    START,
    TRACE,
    as_json,
    as_protobuf,
    described,
    logs_as_protobuf,
    message,
    span_id,
)

GOLDEN: Final = sorted((Path(__file__).parent / "golden").glob("*.binpb"))
VALUES: Final = st.recursive(
    st.text(max_size=20)
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES: Final = st.text(min_size=1, max_size=30)


@st.composite
def spans(draw: st.DrawFn) -> dict[str, Any]:
    moment = st.integers(0, (1 << 64) - 1)
    return described(
        draw(st.integers(1, 99)),
        draw(st.integers(0, 99)),
        name=draw(st.text(max_size=40)),
        kind=draw(st.integers(0, 5)),
        start=draw(moment),
        end=draw(moment),
        attributes=draw(st.dictionaries(NAMES, VALUES, max_size=5)),
        events=[
            {
                "time": draw(moment),
                "name": draw(NAMES),
                "attributes": draw(st.dictionaries(NAMES, VALUES, max_size=2)),
            }
        ],
        links=[(TRACE, span_id(draw(st.integers(1, 9))))],
        status=draw(st.integers(0, 2)),
        status_message=draw(st.text(max_size=20)),
        remote_parent=draw(st.booleans()),
    )


def read(body: bytes, reader: Any = protobuf_records) -> list[Any]:
    return [one for one in reader.read_spans(body) if one is not None]


def without_size(found: list[Any]) -> list[Any]:
    return [{key: value for key, value in asdict(one).items() if key != "size"} for one in found]


@given(st.lists(spans(), min_size=1, max_size=3))
def test_both_encodings_say_the_same(given_spans: list[dict[str, Any]]) -> None:
    told = without_size(read(as_protobuf(*given_spans, service_name="a")))
    assert told == without_size(read(as_json(*given_spans, service_name="a"), json_records))
    for one, span in zip(given_spans, told, strict=True):
        for name, value in one.items():
            if name not in ("events", "parent_id"):
                assert span[name] == value, name
    assert told[0]["source"] == {"resource": {"service.name": "a"}, "scope": "lib"}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_are_refused(body: bytes) -> None:
    for reader in (protobuf_records, json_records):
        for read_all in (reader.read_spans, reader.read_logs):
            try:
                list(read_all(body))
            except Malformed:
                continue


@given(st.sampled_from(GOLDEN), st.data())
def test_a_damaged_recording_is_read_or_refused(path: Path, data: st.DataObject) -> None:
    body = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(1, len(body))) :]
    try:
        found = list(protobuf_records.read_spans(body))
    except Malformed:
        return
    assert all(isinstance(one, (Span, Unread, type(None))) for one in found)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "scope",
                    "name",
                    "traceId",
                    "spanId",
                    "attributes",
                    "key",
                    "value",
                    "stringValue",
                    "intValue",
                    "arrayValue",
                    "values",
                    "kvlistValue",
                    "doubleValue",
                    "events",
                    "links",
                    "status",
                    "code",
                    "flags",
                    "kind",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
)


@given(JSON)
def test_any_json_is_a_request_or_is_refused(value: Any) -> None:
    for body in (
        encode_json(value),
        encode_json({"resourceSpans": [{"scopeSpans": [{"spans": [value, {"spanId": value}]}]}]}),
    ):
        with contextlib.suppress(Malformed):
            list(json_records.read_spans(body))


def test_a_span_without_ids_is_left_out_and_the_others_are_read() -> None:
    body = as_protobuf(described(1, trace_id="00" * 16), described(2, span_id="00" * 8), described(3))
    first, second, third = read(body)
    assert (first.reason, second.reason) == (
        "trace_id: expected 16 bytes that are not all 0",
        "span_id: expected 8 bytes that are not all 0",
    )
    assert third.span_id == span_id(3)


def test_a_span_with_more_fields_than_may_be_read_is_left_out_alone() -> None:
    (first, second) = read(
        as_protobuf(described(1, attributes={f"a{n}": 1 for n in range(10_000)}), described(2))
    )
    assert isinstance(first, Unread)
    assert "8192 fields" in first.reason
    assert second.span_id == span_id(2)


def test_what_one_span_holds_is_bounded() -> None:
    event = {"time": START, "name": "e", "attributes": {}}
    one = described(
        1, attributes={f"a{n}": n for n in range(400)} | {"a0": "x" * 100_000}, events=[event] * 300
    )
    for body, reader in ((as_protobuf(one), protobuf_records), (as_json(one), json_records)):
        (span,) = read(body, reader)
        assert len(span.attributes) == MAX_ATTRIBUTES
        assert len(span.events) == MAX_EVENTS
        assert len(span.attributes["a0"]) == MAX_TEXT


def test_values_nested_for_ever_end() -> None:
    value: Any = "deep"
    for _ in range(100):
        value = [value]
    for body, reader in ((as_protobuf(described(1, attributes={"a": value})), protobuf_records),):
        (span,) = read(body, reader)
        assert "deep" not in str(span.attributes)


def test_every_step_of_a_body_of_empty_groups_is_a_pause() -> None:
    assert sum(one is None for one in protobuf_records.read_spans(message(1, b"") * 1_000)) == 1_000
    body = encode_json({"resourceSpans": [{}] * 1_000})
    assert sum(one is None for one in json_records.read_spans(body)) == 1_000


def test_a_log_record_is_read() -> None:
    body = logs_as_protobuf(
        {"body": "hello", "trace_id": TRACE, "span_id": span_id(1), "severity": 17}, service_name="a"
    )
    (record,) = (one for one in protobuf_records.read_logs(body) if isinstance(one, LogRecord))
    assert (record.body, record.trace_id, record.span_id, record.severity) == ("hello", TRACE, span_id(1), 17)


@pytest.mark.parametrize(
    "body", [b"\x0a", b"\x0a\x05\x12", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b"]
)
def test_a_cut_or_foreign_body_is_no_request(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body)


def test_numbers_that_are_none_are_texts_or_nothing() -> None:
    body = as_json(described(1)).replace(
        b'"attributes":[],"events"', b'"attributes":[{"key":"a","value":{"doubleValue":"NaN"}}],"events"'
    )
    (span,) = read(body, json_records)
    assert struct.pack("<d", span.attributes["a"]) == struct.pack("<d", float("nan"))
