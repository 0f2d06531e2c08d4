"""Watchers that follow a shared stream: their accounts stay exact, however the bytes are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.load.account import Account
from tasktree_rt.load.following import join_stream, leave_stream, trim
from tasktree_rt.load.languages.base import Event
from tasktree_rt.load.languages.tasktree import TaskTree
from tasktree_rt.load.shared_stream import SharedStream
from tasktree_rt.load.watcher import Kind, Topic, Watcher
from tasktree_rt.load.workload import Workload


def follower(stream: SharedStream, following: int) -> Watcher:
    topic = Topic("p", TaskTree(Workload(3, 0)), 0, 0, "e", stream)
    return Watcher(0, topic, Kind.NORMAL, Account(following, following - 1))


def stream_of(sizes: list[int]) -> SharedStream:
    stream = SharedStream(contiguous=True)
    for number, size in enumerate(sizes, start=1):
        assert stream.append(bytes([number % 250]) * size, Event(number, number, 10))
    return stream


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.data())
def test_leaving_gives_the_exact_account_and_the_bytes_of_the_incomplete_frame(
    sizes: list[int], data: st.DataObject
) -> None:
    stream = stream_of(sizes)
    watcher = follower(stream, 1)
    join_stream(watcher)
    assert watcher.at == 0
    watcher.at = at = data.draw(st.integers(0, len(stream.data)))
    leave_stream(watcher)
    whole = sum(end <= at for end in stream.ends)
    assert watcher.account.next == whole + 1
    assert watcher.account.number == whole
    assert bytes(watcher.rest) == bytes(stream.data[([0, *stream.ends])[whole] : at])
    join_stream(watcher)
    assert (watcher.at, bytes(watcher.rest)) == (at, b"")


def test_a_watcher_whose_incomplete_bytes_differ_does_not_join() -> None:
    watcher = follower(stream_of([5, 5]), 2)
    watcher.rest += b"xx"
    join_stream(watcher)
    assert watcher.at == -1


def test_a_watcher_that_is_behind_what_came_before_its_connection_does_not_join() -> None:
    watcher = follower(stream_of([5, 5]), 2)
    watcher.live_since = 11  # after the second event was due
    join_stream(watcher)
    assert watcher.at == -1


def test_a_trimmed_stream_keeps_every_account() -> None:
    stream = stream_of([1 << 20] * 9)
    watchers = [follower(stream, number) for number in range(1, 11)]
    for watcher in watchers:
        join_stream(watcher)
    assert stream.long
    trim(stream, watchers)
    assert len(stream.data) <= 4 << 20
    for number, watcher in enumerate(watchers, start=1):
        leave_stream(watcher)
        assert watcher.account.next == number


def test_an_event_of_another_program_keeps_the_last_number() -> None:
    stream = SharedStream(contiguous=True)
    for position, number in ((1, 1), (2, None), (3, None)):
        stream.append(b"x", Event(position, number))
    assert stream.numbers == [1, 1, 1]


def test_a_frame_beyond_the_next_one_is_not_added() -> None:
    stream = stream_of([1, 1])
    assert not stream.append(b"x", Event(4, 4))
    assert stream.append(b"x", Event(1, 1))
    assert stream.positions == [1, 2]
