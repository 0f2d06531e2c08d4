import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.cli.events_input import BadInput, Item, batches, content_id, read_items
from tasktree_rt.core.events import ProjectId

P = ProjectId("p")
GOOD = b'{"type": "note", "data": {"x": 1}}'


def items(text: bytes) -> list[Item]:
    return list(read_items(io.BytesIO(text), P))


def test_lines_are_events_and_blank_lines_are_counted_but_nothing_else() -> None:
    found = items(b"\n" + GOOD + b"\n\n  \n" + GOOD)
    assert [item.place for item in found] == ["line 2", "line 5"]
    assert found[0].event == {"type": "note", "data": {"x": 1}, "project_id": "p"}


def test_an_array_is_events_by_number() -> None:
    found = items(b"  [" + GOOD + b",\n" + GOOD + b"]\n")
    assert [item.place for item in found] == ["item 1", "item 2"]


@pytest.mark.parametrize("text", [b"", b"\n\n", b"[]"])
def test_nothing_is_no_events(text: bytes) -> None:
    assert items(text) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "line 2: expected JSON"),
        (b"5", "line 2: event: expected an object, got 5"),
        (b'{"data": {}}', "line 2: event.type: expected a string"),
        (
            b'{"type": "node_update", "data": {"node_id": 5, "changes": {}}}',
            "line 2: event.data.node_id: expected a string",
        ),
        (
            b'{"type": "note", "project_id": "other"}',
            "line 2: event.project_id: expected 'p' as in the request",
        ),
        (b"\xff", "line 2: expected JSON"),
    ],
)
def test_what_is_no_event_is_named_by_its_line(line: bytes, told: str) -> None:
    with pytest.raises(BadInput) as bad:
        items(GOOD + b"\n" + line + b"\n" + GOOD)
    assert str(bad.value).startswith(told)


def test_what_is_wrong_in_an_array_is_named_by_its_number() -> None:
    with pytest.raises(BadInput, match="item 2: event: expected an object, got 5"):
        items(b"[" + GOOD + b",5]")
    with pytest.raises(BadInput, match="the array: expected JSON"):
        items(b"[" + GOOD)


def test_what_stands_before_the_fault_is_given_first() -> None:
    found = batches(read_items(io.BytesIO(GOOD + b"\n" + GOOD + b"\n5"), P))
    assert len(next(found).items) == 2
    with pytest.raises(BadInput):
        next(found)


def test_each_line_of_a_live_stream_comes_when_it_is_there() -> None:
    def stream() -> Iterator[bytes]:
        yield GOOD + b"\n"
        yield GOOD + b"\n"
        raise AssertionError("read too far")

    class Live(io.RawIOBase):
        lines = stream()

        def readable(self) -> bool:
            return True

        def readline(self, size: int | None = -1, /) -> bytes:
            return next(self.lines)

    found = batches(read_items(Live(), P), most=1)  # type: ignore[arg-type]
    assert [next(found).items[0].place, next(found).items[0].place] == ["line 1", "line 2"]


@given(st.lists(st.integers(0, 9), max_size=250), st.integers(1, 120))
def test_batches_are_the_events_in_order_and_the_same_every_time(values: list[int], most: int) -> None:
    text = b"\n".join(json.dumps({"type": "n", "data": {"x": value}}).encode() for value in values)
    once = list(batches(items(text), most=most))
    again = list(batches(items(text), most=most))
    assert once == again
    assert [item.event["data"]["x"] for batch in once for item in batch.items] == values
    assert all(len(batch.items) <= most for batch in once)
    assert len({batch.id for batch in once}) == len(once)


def test_large_events_make_small_batches() -> None:
    line = json.dumps({"type": "n", "data": {"x": "y" * 100_000}}).encode()
    assert max(len(batch.items) for batch in batches(items(b"\n".join([line] * 9)))) == 2


def test_a_producer_is_named_by_content_and_project() -> None:
    names = {
        content_id(io.BytesIO(text), ProjectId(project)) for text in (b"a", b"b") for project in ("p", "q")
    }
    assert len(names) == 4
    assert content_id(io.BytesIO(b"a"), P) == content_id(io.BytesIO(b"a"), P)
