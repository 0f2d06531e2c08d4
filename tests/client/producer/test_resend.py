"""Whatever happens to the connections, each publish is kept exactly once, in order."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tasktree_rt.client import Backoff, Receipt, open_orchestrator
from tasktree_rt.errors import PublishRefused
from tests.client.fakehub import Json, Peer, Script, Store, fake_hub, node_event


class Fate(Enum):
    """What the hub does with the next publish it reads."""

    ACK = "keep and acknowledge"
    KEEP_SILENTLY = "keep, and say so with the next one"
    KEEP_AND_DROP = "keep, then die before saying so"
    DROP = "die before keeping"
    OVERLOADED = "refuse this and all behind it for now, then close 1013"
    DRAIN = "keep, announce a restart, acknowledge, close 1012"


WAYS = st.lists(st.sampled_from(Fate), max_size=25)


class Fickle:
    """A hub that follows a list of fates over all its connections; at the end of it, it behaves."""

    def __init__(self, fates: list[Fate]) -> None:
        self.store = Store()
        self._fates: Iterator[Fate] = iter(fates)

    async def serve(self, peer: Peer) -> None:
        answers: list[tuple[str, Json]] = []
        going_on = True
        while going_on:
            with trio.move_on_after(3) as pause:
                going_on = await self._meet(await peer.hear("publish"), answers, peer)
            if pause.cancelled_caught:
                await _say_all(answers, peer)

    async def _meet(self, publish: Json, answers: list[tuple[str, Json]], peer: Peer) -> bool:
        """What happens to one publish; whether the connection goes on."""
        publish_id = publish["id"]
        if publish["events"][0]["data"].get("bad"):
            answers.append(("error", {"id": publish_id, "code": "invalid_event", "message": "no"}))
            return True
        fate = next(self._fates, Fate.ACK)
        if fate is Fate.OVERLOADED:
            refusal = {"id": publish_id, "code": "overloaded", "message": "no", "retry_after_ms": 900}
            await _say_all([*answers, ("error", refusal)], peer)
            await peer.close(1013)
        elif fate is not Fate.DROP:
            answers.append(("ack", self.store.commit(publish)))
        if fate is Fate.DRAIN:
            await peer.say("draining", data={"reconnect_after_ms": 700})
        if fate in (Fate.ACK, Fate.DRAIN):
            await _say_all(answers, peer)
        if fate is Fate.DRAIN:
            await peer.close(1012)
        return fate in (Fate.ACK, Fate.KEEP_SILENTLY)


async def _say_all(answers: list[tuple[str, Json]], peer: Peer) -> None:
    for kind, fields in answers:
        await peer.say(kind, **fields)
    answers.clear()


async def _live(
    script: Script, numbers: list[int], bad: set[int], window: int, spool: Path | None, life: float | None
) -> list[Receipt]:
    """One life of a producer: publishes `numbers` and leaves, or is cancelled after `life` seconds."""
    receipts: list[Receipt] = []
    with trio.move_on_after(float("inf") if life is None else life):
        async with (
            fake_hub(script) as hub,
            open_orchestrator(
                hub.url,
                "prod",
                max_in_flight=window,
                backoff=Backoff(1.0, 4.0),
                flush_timeout=100_000,
                spool=spool,
                on_refused=lambda *_: None,
            ) as hubward,
        ):
            for number in numbers:
                event = node_event(number)
                if number in bad:
                    event["data"]["bad"] = True
                receipts.append(await hubward.publish(event))
            if life is not None:
                await trio.sleep_forever()
    return receipts


@given(WAYS, st.integers(0, 12), st.sets(st.integers(0, 11), max_size=3), st.integers(1, 5))
@settings(max_examples=60)
def test_in_one_life(fates: list[Fate], publishes: int, bad: set[int], window: int) -> None:
    hub = Fickle(fates)
    receipts = trio.run(
        _live,
        hub.serve,
        list(range(publishes)),
        bad,
        window,
        None,
        None,
        clock=MockClock(autojump_threshold=0),
    )
    good = [receipt.id for number, receipt in enumerate(receipts) if number not in bad]
    assert hub.store.ids == good
    for number, receipt in enumerate(receipts):
        assert isinstance(receipt.outcome, PublishRefused) is (number in bad)


@given(WAYS, st.lists(st.tuples(st.integers(0, 6), st.floats(0, 8)), max_size=4), st.integers(1, 5))
@settings(max_examples=40)
def test_over_several_lives_with_a_spool(
    tmp_path_factory: pytest.TempPathFactory,
    fates: list[Fate],
    lives: list[tuple[int, float]],
    window: int,
) -> None:
    hub, ids, number = Fickle(fates), list[str](), 0
    spool = tmp_path_factory.mktemp("resend") / "spool"
    for publishes, life in [*lives, (1, None)]:
        numbers = list(range(number, number + publishes))
        clock = MockClock(autojump_threshold=0)
        ids += [
            one.id for one in trio.run(_live, hub.serve, numbers, set(), window, spool, life, clock=clock)
        ]
        number += publishes
    assert hub.store.ids == ids
