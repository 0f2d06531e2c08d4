"""The bench itself: its load client notices what it is there to notice."""

from __future__ import annotations

import pytest

from tests.bench.__main__ import burst, connections
from tests.bench.client import DeliveryError, Stream, event
from tests.bench.process import Server, python


def frame(number: int) -> bytes:
    payload = event(number).encode()
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload


def test_a_short_run_against_the_hub_gives_every_figure() -> None:
    with Server("hub", python("tests.bench.peers.hub")) as server:
        figures = burst(server, watchers=5, events=50)
    assert set(figures) == {"burst_us", "single_us", "single_ms_median", "single_ms_p99"}
    assert all(value > 0 for value in figures.values())


def test_connections_cost_something_and_are_all_accepted() -> None:
    with Server("hub", python("tests.bench.peers.hub")) as server:
        assert connections(server, 20)["connect_ms"] > 0


def test_the_stream_takes_what_is_right_in_any_pieces() -> None:
    whole = frame(0) + frame(1)
    stream = Stream()
    for at in range(len(whole)):
        stream.compare(at, whole[at : at + 1])
    stream.compare(0, whole)
    assert stream.events == 2


@pytest.mark.parametrize("wrong", [frame(1), frame(0) + frame(0), frame(0) + frame(2)])
def test_a_lost_or_doubled_event_fails_the_run(wrong: bytes) -> None:
    with pytest.raises(DeliveryError, match="expected event"):
        Stream().compare(0, wrong)


def test_a_watcher_with_other_bytes_fails_the_run() -> None:
    stream = Stream()
    stream.compare(0, frame(0))
    with pytest.raises(DeliveryError, match="other bytes"):
        stream.compare(0, frame(0).replace(b"running", b"runninG"))
