"""What is accepted as an event, what is not, and what is said about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.event_schema import SHAPES
from tasktree_rt.core.events import (
    MAX_DEPTH,
    NOT_KEPT,
    Event,
    ProjectId,
    deeper_than,
    format_time,
    is_project_id,
    micros_to_time,
    normalise_time,
    parse_event,
    project_id,
)
from tasktree_rt.dialects.base import encode_body
from tasktree_rt.errors import InvalidInput
from tests.core.strategies import json_values

NOW = "2026-01-02T03:04:05.000006Z"


def parse(value: object, field: str = "event") -> Event:
    return parse_event(value, now=NOW, field=field)


def refusal(value: object, field: str = "event") -> tuple[str, str | None, str]:
    with pytest.raises(InvalidInput) as caught:
        parse(value, field)
    return caught.value.code, caught.value.field, caught.value.message


def fault_of(value: object) -> InvalidInput | None:
    try:
        encode_body(parse(value))
    except InvalidInput as error:
        return error
    return None


def test_an_event_is_taken_as_it_is() -> None:
    data = {"node_id": "a", "changes": {"title": "T", "own": {"x": [1, None]}}, "more": 1}
    event = parse({"type": "node_update", "project_id": "p", "data": data, "timestamp": NOW, "id": 5})
    assert event == Event("node_update", ProjectId("p"), data, NOW)
    assert event.data is data


def test_a_missing_timestamp_and_missing_data_are_filled_in() -> None:
    assert parse({"type": "x", "project_id": "p"}) == Event("x", ProjectId("p"), {}, NOW)
    assert parse({"type": "x", "project_id": "p", "timestamp": None}).timestamp == NOW


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        (5, "events[3]", "expected an object, got 5"),
        ([], "events[3]", "expected an object, got an array"),
        ({}, "events[3].type", "expected a string, got nothing"),
        ({"type": None}, "events[3].type", "expected a string, got null"),
        ({"type": ""}, "events[3].type", "expected 1-128 characters without control characters, got ''"),
        (
            {"type": "x\n"},
            "events[3].type",
            "expected 1-128 characters without control characters, got 'x\\n'",
        ),
        ({"type": "x", "data": []}, "events[3].data", "expected an object, got an array"),
        ({"type": "x", "data": None}, "events[3].data", "expected an object, got null"),
        ({"type": "x", "timestamp": 5}, "events[3].timestamp", "expected an RFC 3339 time, got 5"),
        ({"type": "x", "timestamp": "now"}, "events[3].timestamp", "expected an RFC 3339 time, got 'now'"),
        ({"type": "node_update"}, "events[3].data.node_id", "expected a string, got nothing"),
        ({"type": "log", "data": {"level": "i"}}, "events[3].data.message", "expected a string, got nothing"),
    ],
)
def test_a_fault_is_told_with_its_place(value: object, field: str, message: str) -> None:
    if isinstance(value, dict):
        value = {"project_id": "p", **value}
    assert refusal(value, "events[3]") == ("invalid_event", field, message)


def test_types_left_out_of_conflated_messages_are_known_types() -> None:
    assert set(SHAPES) >= NOT_KEPT


# --- project ids


@pytest.mark.parametrize("value", ["a", "9", "A.b_c:d@e~f-g", "a" * 128])
def test_project_ids(value: str) -> None:
    assert is_project_id(value)
    assert project_id(value) == value


@pytest.mark.parametrize(
    "value", ["", ".a", "-a", "a b", "a/b", "a*", "*", "é", "a\n", "٣", "a" * 129, None, 5, [], b"a"]
)
def test_what_is_no_project_id(value: object) -> None:
    assert not is_project_id(value)
    with pytest.raises(InvalidInput) as caught:
        project_id(value, "x.project_id")
    assert (caught.value.code, caught.value.field) == ("invalid_project_id", "x.project_id")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "x"}, "expected a string, got nothing"),
        ({"type": "x", "project_id": None}, "expected a string, got null"),
        ({"type": "x", "project_id": 5}, "expected a string, got 5"),
    ],
)
def test_an_event_needs_a_project(value: object, message: str) -> None:
    assert refusal(value) == ("invalid_project_id", "event.project_id", message)


def test_the_request_may_name_the_project_instead() -> None:
    event = parse_event({"type": "x"}, now=NOW, project=ProjectId("p"))
    assert event.project_id == "p"
    same = parse_event({"type": "x", "project_id": "p"}, now=NOW, project=ProjectId("p"))
    assert same.project_id == "p"


@pytest.mark.parametrize(("named", "code"), [("q", "mixed_projects"), (5, "invalid_project_id")])
def test_an_event_of_another_project_than_the_request_names(named: object, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_event({"type": "x", "project_id": named}, now=NOW, project=ProjectId("p"))
    assert (caught.value.code, caught.value.field) == (code, "event.project_id")


# --- times


@pytest.mark.parametrize(
    ("given_time", "normal"),
    [
        ("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500000Z"),
        ("2026-01-02T03:04:05.123Z", "2026-01-02T03:04:05.123000Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.123456", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02 03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02t03:04:05.123456z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05.123456z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05.000000Z"),
        ("2026-01-02T03:04:05.000001-05:30", "2026-01-02T08:34:05.000001Z"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.000000Z"),
        ("0999-01-02T03:04:05Z", "0999-01-02T03:04:05.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60.000000Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60.5", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31 23:59:60z", "2016-12-31T23:59:59.999999Z"),
        ("2017-01-01T05:29:60.25+05:30", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T15:59:60-08:00", "2016-12-31T23:59:59.999999Z"),
    ],
)
def test_times_are_normalised(given_time: str, normal: str) -> None:
    assert normalise_time(given_time, "t") == normal


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        1.5,
        True,
        [],
        {},
        "",
        "now",
        "2026",
        "2026-01-02",
        "03:04:05",
        "20260102T030405Z",
        "1767323045",
        "2026-W01-5T12:00:00.123456Z",
        "2026-001T12:00:00Z",
        "2026-13-02T03:04:05Z",
        "2026-02-30T03:04:05Z",
        "2026-01-02T24:00:00.000000Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T24:04:60Z",
        "2026-01-02T03:60:60Z",
        "2026-02-30T23:59:60Z",
        "2026-01-02T03:04:60,5Z",
        "2026-01-02T03:04:60.Z",
        "9999-12-31T23:59:60-01:00",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,5Z",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05 Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "-026-01-02T03:04:05Z",
        "2026-01-02T03:04Z",
        "٢٠٢٦-01-02T03:04:05.123456Z",
        "2026-01-02T03:04:05.12345\ud800Z",
        "2026-01-02\ud80003:04:05Z",
        "2026-01-02T03:04:05+99:99",
        "2026-01-02T03:04:05." + "1" * 99 + "Z",
        pytest.param("9" * 100000, id="long"),
    ],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        normalise_time(value, "event.timestamp")
    assert (caught.value.code, caught.value.field) == ("invalid_event", "event.timestamp")
    assert len(caught.value.message) < 100


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-720, 720))  # noqa: DTZ001
def test_a_time_is_the_same_moment_after_normalising(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    normal = normalise_time(aware.isoformat(), "t")
    assert datetime.fromisoformat(normal) == aware
    assert len(normal) == 27
    assert normal == normalise_time(normal, "t") == format_time(aware)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_767_323_045_999_999, "2026-01-02T03:04:05.999999Z"),
    ],
)
def test_micros_as_time(micros: int, text: str) -> None:
    assert micros_to_time(micros) == text


@given(st.integers(0, 253_402_300_799_999_999))
def test_micros_keep_every_microsecond(micros: int) -> None:
    moment = datetime.fromisoformat(micros_to_time(micros))
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == micros


# --- whatever comes

_keys = sorted(
    {name for shape in SHAPES.values() for name in shape.fields} | {"parent_id", "progress", "deleted"}
)
_near = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(SHAPES)) | json_values, "project_id": st.just("p") | json_values},
    optional={
        "data": json_values
        | st.dictionaries(
            st.sampled_from(_keys), json_values | st.dictionaries(st.sampled_from(_keys), json_values)
        ),
        "timestamp": json_values | st.datetimes().map(datetime.isoformat),
    },
)


@given(json_values | _near)
def test_any_json_is_an_event_or_invalid_input(value: object) -> None:
    error = fault_of(value)
    if error is not None:
        assert error.field is not None
        assert error.message.isprintable()
        assert len(str(error).encode()) < 300


def test_the_deepest_nesting_is_told_from_the_next() -> None:
    value: object = 5
    for depth in range(1, 4 * MAX_DEPTH):
        value = [value] if depth % 2 else {"a": 1, "b": value}
        assert deeper_than(depth - 1, value)
        assert not deeper_than(depth, value)
    assert not deeper_than(0, 5)
