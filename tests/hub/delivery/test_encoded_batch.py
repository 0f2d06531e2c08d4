"""A tick's events of one project: encoded once for each language, and where a watcher stands in between."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position
from tasktree_rt.dialects.base import Encoding
from tasktree_rt.dialects.tasktree import Native, Plain
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tests.hub.transport import read_frame


def batch(events: int, *, first: int = 5, opens: bool = False, ends: bool = False) -> Batch:
    kinds = ["x"] * events
    if ends:
        kinds[-1] = "project_deleted"
    bodies = [json.dumps({"type": kind, "project_id": "p", "data": {}}).encode() for kind in kinds]
    records = [Record(first + at, kinds[at], None, 0, body) for at, body in enumerate(bodies)]
    return Batch("p", "e", tuple(records), opens=opens)


def read(encoding: Encoding) -> list[tuple[str, int]]:
    """Type and seq of each message, one whole frame to each of `ends`."""
    found, begin = [], 0
    for end in encoding.ends:
        frame = read_frame(encoding.data[begin:end])
        assert frame is not None
        assert frame[2] == end - begin
        message = json.loads(frame[1])
        found.append((message["type"], message["seq"]))
        begin = end
    assert begin == len(encoding.data)
    return found


def test_every_event_is_a_message_of_its_own() -> None:
    made = batch(3)
    assert read(made.encoding(Plain())) == read(made.encoding(Native())) == [("x", 5), ("x", 6), ("x", 7)]
    assert made.size == sum(len(record.body) for record in made.records)


def test_the_beginning_of_a_life_is_said_where_there_is_a_word_for_it() -> None:
    made = batch(2, first=1, opens=True)
    assert made.subscribed.position == Position("e", 0)
    assert read(made.encoding(Native())) == [("subscribed", 0), ("x", 1), ("x", 2)]
    assert read(made.encoding(Plain())) == [("x", 1), ("x", 2)]


def test_the_end_of_a_life_can_be_said_alone() -> None:
    for made in (batch(3, first=1, opens=True, ends=True), batch(1, ends=True)):
        assert made.ends
        assert read(made.only_last(Native())) == [("project_deleted", made.records[-1].seq)]
    assert not batch(3).ends


def test_a_language_is_encoded_once_for_all_who_speak_it() -> None:
    calls = 0

    class Counting(Native):
        def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
            nonlocal calls
            calls += 1
            return super().encode_events(records, epoch)

    made, language = batch(3), Counting()
    assert made.encoding(language) is made.encoding(language)
    made.only_last(language)
    assert calls == 1


@pytest.mark.parametrize(
    ("opens", "start", "stands"),
    [
        (False, 0, (4, False)),
        (False, 1, (5, False)),
        (False, 3, (7, False)),
        (True, 0, (4, True)),
        (True, 1, (4, False)),
        (True, 2, (5, False)),
        (True, 4, (7, False)),
    ],
)
def test_where_a_watcher_stands_who_has_so_many_of_its_messages(
    opens: bool, start: int, stands: tuple[int, bool]
) -> None:
    made = batch(3, opens=opens)
    assert made.before(start, len(made.encoding(Native()).ends)) == stands
