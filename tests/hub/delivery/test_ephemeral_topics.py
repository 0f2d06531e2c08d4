"""Live topics: shown to who watches now; a slow reader gets the newest of each key, whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.protocol import Ephemeral, Message, Personal, Policy
from tasktree_rt.dialects.base import encode_json, text_frame
from tasktree_rt.dialects.tasktree import Native, Plain, ServerSentEvents
from tasktree_rt.errors import Refused
from tasktree_rt.hub.delivery.last_value_queue import LastValueQueue
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.sessions.base import ConnectionSession
from tests.hub.held_store import HeldMemory, Store
from tests.hub.transport import Carried
from tests.hub.world import small


class Bare(Plain):
    """Says live events as they are."""

    name = "bare"
    encodings = 0

    def encode(self, message: Message) -> bytes | None:
        if isinstance(message, Ephemeral):
            self.encodings += 1
            if message.kind == "broken":
                raise RuntimeError("cannot say it")
            return None if message.kind == "unsaid" else text_frame(encode_json(message.data))
        return super().encode(message)


class Watching(ConnectionSession):
    """Says nothing by itself."""

    async def message(self, message: str | bytes) -> None:
        self.subscriber.reply(Personal({"reply": str(message)}))


class House:
    def __init__(self, hub: Hub, nursery: trio.Nursery) -> None:
        self.hub = hub
        self.nursery = nursery
        self.dialect = Bare()

    def watcher(self, *topics: str, room: int | None = None) -> Carried:
        session = Watching(self.hub, self.dialect, grants=OPEN, policy=Policy.NEWEST, address="")
        carried = Carried(session, self.nursery, room)
        for topic in topics:
            self.hub.ephemeral_topics.subscribe(session.subscriber, topic)
        return carried

    def say(self, key: str, value: Any, *, topic: str = "t", kind: str = "said", last: bool = False) -> int:
        return self.hub.ephemeral_topics.publish(Ephemeral(topic, kind, {key: value}, key, last))


@asynccontextmanager
async def a_house(
    faults: list[str] | None = None, *, broker: Broker | None = None, **settings: Any
) -> AsyncIterator[House]:
    def failed(where: str, error: BaseException) -> None:
        assert faults is not None, error
        faults.append(where)

    async with (
        open_hub(broker or MemoryBroker(), small(**settings), on_error=failed) as hub,
        trio.open_nursery() as nursery,
    ):
        yield House(hub, nursery)
        nursery.cancel_scope.cancel()


async def told(watcher: Carried) -> list[Any]:
    """All that a watcher is told once its socket takes everything."""
    watcher.transport.allow(None)
    await wait_all_tasks_blocked()
    return watcher.received()


async def test_an_event_reaches_the_watchers_of_its_topic_at_once_and_is_encoded_once() -> None:
    async with a_house() as house:
        first, second, other = house.watcher("t"), house.watcher("t", "u"), house.watcher("u")
        assert house.say("k", 1) == 2
        assert first.received() == second.received() == [{"k": 1}]
        assert other.received() == []
        assert house.dialect.encodings == 1
        assert first.session.subscriber.idle


async def test_a_slow_reader_gets_the_newest_of_each_key_in_the_order_the_keys_began_to_wait() -> None:
    async with a_house() as house:
        slow, quick = house.watcher("t", room=0), house.watcher("t")
        for value in range(50):
            house.say("a", value)
            house.say("b", value)
        assert len(quick.received()) == 100
        assert slow.session.subscriber.outbox.waiting == 2
        assert await told(slow) == [{"a": 49}, {"b": 49}]
        assert slow.session.subscriber.outbox.waiting == slow.session.subscriber.outbox.waiting_bytes == 0
        house.say("a", 50)
        assert slow.received() == [{"a": 50}]


async def test_the_last_of_a_key_comes_behind_all_that_waits() -> None:
    async with a_house() as house:
        slow = house.watcher("t", room=0)
        house.say("all", 1)
        house.say("part", 1)
        house.say("all", 2, last=True)
        assert await told(slow) == [{"part": 1}, {"all": 2}]


@pytest.mark.parametrize("room", range(1, 12))
async def test_a_begun_event_is_finished_before_a_newer_one(room: int) -> None:
    async with a_house() as house:
        slow = house.watcher("t", room=room)
        house.say("k", "first")
        house.say("k", "second")
        house.say("k", "third")
        assert await told(slow) == [{"k": "first"}, {"k": "third"}]


async def test_more_keys_than_the_outbox_holds_messages_close_the_connection() -> None:
    async with a_house() as house:
        slow, quick = house.watcher("t", room=0), house.watcher("t")
        for key in range(17):
            house.say(str(key), 0)
        assert len(quick.received()) == 17
        assert await told(slow) == []
        assert slow.transport.close_read == (4008, "slow consumer")
        assert slow.session.subscriber.outbox.waiting_bytes == 0


async def test_more_bytes_than_the_outbox_holds_close_the_connection() -> None:
    async with a_house() as house:
        slow = house.watcher("t", room=0)
        house.say("a", "x" * 1500)
        house.say("a", "y" * 1500)
        assert slow.session.subscriber.outbox.waiting == 1
        house.say("b", "z" * 1500)
        assert await told(slow) == []
        assert slow.transport.close_read == (4008, "slow consumer")


async def test_one_event_larger_than_the_outbox_may_wait_alone() -> None:
    async with a_house() as house:
        slow = house.watcher("t", room=0)
        house.say("a", "x" * 9000)
        assert await told(slow) == [{"a": "x" * 9000}]


async def test_replies_come_before_what_waits_and_are_never_replaced() -> None:
    async with a_house() as house:
        slow = house.watcher("t", room=1)
        house.say("begun", 0)
        house.say("k", 1)
        slow.send("one")
        slow.send("two")
        await wait_all_tasks_blocked()
        house.say("k", 2)
        assert await told(slow) == [{"begun": 0}, {"reply": "one"}, {"reply": "two"}, {"k": 2}]


async def test_what_waits_of_a_topic_goes_with_its_subscription() -> None:
    async with a_house() as house:
        slow = house.watcher("t", "u", room=0)
        house.say("k", 1)
        house.say("k", 2, topic="u")
        assert house.hub.ephemeral_topics.unsubscribe(slow.session.subscriber, "t")
        assert not house.hub.ephemeral_topics.unsubscribe(slow.session.subscriber, "t")
        assert house.say("k", 3) == 0
        assert await told(slow) == [{"k": 2}]


async def test_closing_drops_what_waits_and_finishes_what_is_begun() -> None:
    async with a_house() as house:
        slow = house.watcher("t", room=3)
        house.say("k", 1)
        house.say("k", 2)
        house.hub.stopping.begun = True
        await house.hub.drain()
        assert await told(slow) == [{"k": 1}]
        assert slow.transport.close_read == (1012, "service restart")
        house.say("k", 3)
        assert slow.received() == []


async def test_a_reader_that_takes_nothing_is_aborted_and_forgotten(autojump_clock: MockClock) -> None:
    async with a_house() as house:
        slow = house.watcher("t", room=0)
        house.say("k", 1)
        await trio.sleep(house.hub.settings.delivery.stall_timeout + 1)
        assert slow.transport.fate() == "aborted"
        slow.end()
        assert house.say("k", 2) == 0
        assert not house.hub.ephemeral_topics.watched("t")


async def test_a_dialect_that_fails_harms_nobody_else_and_is_told() -> None:
    faults: list[str] = []
    async with a_house(faults) as house:
        broken, other = house.watcher("t"), house.watcher("u")
        house.say("k", 1, kind="broken")
        house.say("k", 1, topic="u")
        assert await told(broken) == []
        assert broken.transport.close_read == (1011, "internal error")
        assert other.received() == [{"k": 1}]
    assert faults == ["live"]


async def test_what_a_language_does_not_say_is_not_sent() -> None:
    async with a_house() as house:
        watcher = house.watcher("t")
        house.say("k", 1, kind="unsaid")
        assert watcher.received() == []
    for dialect in (Plain(), Native(), ServerSentEvents()):
        assert dialect.encode(Ephemeral("t", "said", {}, "k")) is None


async def test_topics_are_bounded_and_counted() -> None:
    async with a_house(limits={"max_subscriptions": 2}) as house:
        watcher = house.watcher("a", "b", "a")
        subscriber = watcher.session.subscriber
        with pytest.raises(Refused, match="at most 2 subscriptions") as error:
            house.hub.ephemeral_topics.subscribe(subscriber, "c")
        assert error.value.code == "too_many_subscriptions"
        assert house.hub.connections.topics_of(subscriber) == {"a", "b"}
        assert house.hub.statistics().subscriptions == 2


PUT = st.tuples(st.sampled_from("abcd"), st.binary(max_size=5), st.booleans())


@given(st.lists(PUT | st.none() | st.sampled_from("tu")))
def test_the_newest_of_each_key_waits_and_every_byte_is_counted(steps: list[Any]) -> None:
    newest, model = LastValueQueue(), dict[tuple[str, str], bytes]()
    for step in steps:
        match step:
            case (key, data, last):
                full = ("t" if key in "ab" else "u", key)
                known = model.pop(full, None) if last else model.get(full)
                model[full] = data
                assert newest.put(full, data, last=last) == (known is not None)
            case None if model:
                assert newest.take() == model.pop(next(iter(model)))
            case str(topic):
                newest.forget(topic)
                model = {one: data for one, data in model.items() if one[0] != topic}
        assert len(newest) == len(model)
        assert newest.size == sum(map(len, model.values()))
    newest.forget(None)
    assert (len(newest), newest.size) == (0, 0)


async def test_a_notification_that_is_kept_is_also_shown_live_to_its_user_only() -> None:
    async with a_house() as house:
        ours, theirs = house.watcher("@ann"), house.watcher("@bob")
        await house.hub.notifications.notify("ann", {"title": "Done"}, grants=OPEN)
        await house.hub.notifications.notify("ann", {"title": "Done"}, grants=OPEN)
        assert ours.received() == [{"title": "Done"}, {"title": "Done"}]
        assert theirs.received() == []


async def test_what_is_kept_is_shown_even_if_its_teller_hangs_up_before_it_is() -> None:
    broker = HeldMemory()
    broker.store = Store()
    given = {"user_id": "ann", "prompt_id": "q", "message": "Go?"}
    opened: list[str] = []
    async with a_house(broker=broker) as house:
        ours = house.watcher("@ann")
        broker.store.appends.hold()
        async with trio.open_nursery() as tellers:
            tellers.start_soon(lambda: house.hub.notifications.notify("ann", {"title": "Done"}, grants=OPEN))
            await wait_all_tasks_blocked()
            tellers.start_soon(
                lambda: house.hub.prompts.ask(given, grants=OPEN, opened=lambda one: opened.append(one.id))
            )
            await wait_all_tasks_blocked()
            tellers.cancel_scope.cancel()
        assert ours.received() == []
        broker.store.mend()
        await wait_all_tasks_blocked()
        assert [one.get("title", one.get("prompt_id")) for one in ours.received()] == ["Done", "q"]
        assert opened == ["q"]
