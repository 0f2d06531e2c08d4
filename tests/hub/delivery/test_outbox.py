"""The queue of what one connection is still to be sent."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.core.events import Record
from tasktree_rt.dialects.base import join
from tasktree_rt.hub.delivery.encoded_batch import Batch
from tasktree_rt.hub.delivery.outbox import REPLY_ROOM, Item, Outbox
from tasktree_rt.settings import Delivery

ROOM = 1_000_000


def an_outbox(messages: int = 16, size: int = 4_096) -> Outbox:
    return Outbox(Delivery(outbox_messages=messages, outbox_bytes=size))


def events(name: str, *texts: bytes) -> Item:
    """Events of a project, one message each."""
    records = tuple(Record(seq, "node_update", "n", 0, text) for seq, text in enumerate(texts, 1))
    return Item(join(texts), Batch(name, "e", records))


def reply(text: bytes) -> Item:
    return Item(join([text]), None)


def test_what_waits_goes_out_in_order_and_counts_until_it_is_taken() -> None:
    outbox = an_outbox()
    for item in (events("p", b"1", b"22"), reply(b"re"), events("q", b"333")):
        outbox.put(item)
    outbox.put_newest(("t", "k"), b"live", last=False)
    assert (outbox.waiting, outbox.waiting_bytes) == (5, 12)
    assert [outbox.take(3), outbox.take(ROOM), outbox.take(ROOM), outbox.take(ROOM)] == [
        b"122",
        b"re333",
        b"live",
        None,
    ]
    assert (outbox.waiting, outbox.waiting_bytes) == (0, 0)


def test_the_rest_of_a_begun_message_goes_before_everything() -> None:
    outbox = an_outbox()
    outbox.put(reply(b"re"))
    outbox.rest = memoryview(b"begun")[2:]
    taken = outbox.take(ROOM)
    assert taken is not None
    assert bytes(taken) == b"gun"
    assert outbox.take(ROOM) == b"re"


def test_dropping_a_project_gives_its_oldest_item_also_if_a_part_of_it_is_taken() -> None:
    outbox = an_outbox()
    first = events("p", b"1", b"2", b"3")
    for item in (first, events("q", b"4"), events("p", b"5")):
        outbox.put(item)
    assert outbox.take(1) == b"1"
    assert outbox.first("p") is first
    assert outbox.unsent == {"p", "q"}
    assert outbox.drop("p") is first
    assert first.count == 2
    assert (outbox.take(ROOM), outbox.take(ROOM), outbox.drop("p")) == (b"4", None, None)


def test_events_that_do_not_fit_are_refused_and_replies_have_room_of_their_own() -> None:
    outbox = an_outbox(messages=16, size=4_096)
    outbox.put(events("p", *[b"x"] * 16))
    with pytest.raises(trio.WouldBlock):
        outbox.put(events("p", b"x"))
    outbox.put(reply(b"y" * 4_096))
    with pytest.raises(trio.WouldBlock):
        outbox.put(reply(b"y" * 4 * 4_096))
    assert outbox.waiting == 17


def test_at_its_end_the_outbox_keeps_what_is_begun_and_the_replies_and_nothing_else() -> None:
    outbox = an_outbox()
    for item in (events("p", b"1"), reply(b"a"), events("q", b"2"), reply(b"b")):
        outbox.put(item)
    outbox.put_newest(("t", "k"), b"live", last=False)
    outbox.rest = memoryview(b"rest")
    outbox.end(replies=True)
    assert [bytes(taken) for taken in iter(lambda: outbox.take(ROOM) or b"", b"")] == [b"rest", b"ab"]
    outbox.put(reply(b"c"))
    outbox.end(replies=False)
    assert (outbox.take(ROOM), outbox.waiting, outbox.waiting_bytes) == (None, 0, 0)


@pytest.mark.parametrize("how", ["taken", "ended"])
async def test_a_crowded_outbox_has_room_again_when_replies_are_taken_or_it_ends(how: str) -> None:
    outbox = an_outbox()
    for _ in range(REPLY_ROOM):
        outbox.put(reply(b"r"))
    assert outbox.crowded
    passed = trio.Event()

    async def wait() -> None:
        await outbox.room()
        passed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not passed.is_set()
        if how == "taken":
            outbox.take(1)
        else:
            outbox.end(replies=True)
        await passed.wait()
