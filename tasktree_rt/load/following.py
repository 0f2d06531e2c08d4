"""How a watcher follows the shared stream of its topic, and leaves it."""

from __future__ import annotations

from collections.abc import Iterable

from tasktree_rt.load.shared_stream import SharedStream
from tasktree_rt.load.watcher import Kind, Watcher


def leave_stream(watcher: Watcher) -> None:
    """Bring the account of a watcher up to date that follows the shared stream, and leave it."""
    if watcher.at < 0:
        return
    stream, index = watcher.stream, watcher.stream.before(watcher.at)
    if index:
        watcher.account.jump(stream.positions[index - 1], stream.numbers[index - 1])
    watcher.rest[:0] = stream.data[stream.begin(index) : watcher.at]
    watcher.at = -1


def join_stream(watcher: Watcher) -> None:
    """Follow the shared stream, if the watcher has caught up and its incomplete bytes are those of it."""
    stream, following = watcher.topic.stream, watcher.account.next
    if following is None or watcher.kind is Kind.SLOW or watcher.fragments is not None or watcher.parts:
        return
    at = stream.place(following)
    if at is None or watcher.topic.language.traits.streams:
        return
    caught_up = at == len(stream.data) or stream.dues[stream.before(at)] >= watcher.live_since
    if caught_up and stream.data.startswith(watcher.rest, at):
        watcher.stream, watcher.at = stream, at + len(watcher.rest)
        watcher.rest.clear()


def synchronise(watcher: Watcher) -> None:
    """Bring the account of a watcher up to date."""
    if watcher.at >= 0:
        leave_stream(watcher)
        join_stream(watcher)


def trim(stream: SharedStream, watchers: Iterable[Watcher]) -> None:
    """Drop the older half of a stream; a watcher that is still there leaves it."""
    followers = [one for one in watchers if one.stream is stream and one.at >= 0]
    keeps = stream.cut_at
    for watcher in followers:
        if watcher.at < keeps:
            leave_stream(watcher)
    moved = stream.cut()
    for watcher in followers:
        if watcher.at >= 0:
            watcher.at -= moved
