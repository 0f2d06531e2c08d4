"""Schemas and values are judged beside the loop: it turns, each is judged once, nobody waits for others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core import json_schema as forms
from tasktree_rt.core.access import OPEN, Grants
from tasktree_rt.core.schema_budget import TooMuch
from tasktree_rt.errors import InvalidInput, PeerError, Refused
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.interactions.schema_checks import (
    WAITING,
    Remembered,
    RememberingJudge,
    SchemaChecks,
    _No,
)
from tasktree_rt.settings import Settings

assert jsonschema.__name__, "what is light is judged on the loop only once the library is there"

HEAVY: dict[str, Any] = {"allOf": [{"type": "array", "maxItems": 999, "minItems": n} for n in range(70)]}
"""Taken, and a tenth of a second's work."""
COSTLY: dict[str, Any] = {"items": {"allOf": [{"type": "integer"}] * 100}}
MANY = list(range(120))
LIGHT: dict[str, Any] = {"type": "integer", "minimum": 1}
TURNS = 20
"""Of the loop, at least, while something heavy is judged; a hub that judged on the loop has some six."""


@asynccontextmanager
async def a_hub() -> AsyncIterator[Hub]:
    async with open_hub(MemoryBroker(), Settings()) as hub:
        yield hub


@asynccontextmanager
async def turns() -> AsyncIterator[Callable[[], int]]:
    """Counts turns of the loop."""
    count = 0

    async def turn() -> None:
        nonlocal count
        while True:
            await trio.lowlevel.checkpoint()
            count += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        yield lambda: count
        nursery.cancel_scope.cancel()


async def ask(hub: Hub, schema: object, grants: Grants = OPEN, **more: Any) -> str:
    given = {"project_id": "p", "message": "?", "schema": schema, **more}
    return (await hub.prompts.ask(given, grants=grants))[0].id


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was really judged, in order."""
    found: list[str] = []
    for name in ("_judge_schema", "_judge_value"):
        inner = getattr(forms, name)

        def counting(*given: Any, inner: Any = inner, name: str = name) -> None:
            inner(*given)
            found.append(name.removeprefix("_judge_"))

        monkeypatch.setattr(forms, name, counting)
    return found


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this needs no thread")

    monkeypatch.setattr(trio.to_thread, "run_sync", refuse)


async def test_while_a_heavy_schema_and_its_values_are_judged_the_loop_turns(judged: list[str]) -> None:
    async with a_hub() as hub, turns() as count:
        before = count()
        await ask(hub, HEAVY)
        assert count() - before > TURNS
        before = count()
        prompt = await ask(hub, COSTLY, default={"proceed": True, "value": MANY})
        assert count() - before > TURNS
        before = count()
        await hub.prompts.answer(prompt, {"proceed": True, "value": MANY[1:]}, grants=OPEN, via={})
        assert count() - before > TURNS
        assert judged == ["schema", "schema", "value", "value"]


async def test_what_was_judged_before_is_not_judged_again(
    judged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_hub() as hub:
        await ask(hub, HEAVY)
        bad = {"allOf": [*HEAVY["allOf"], {"type": "klingon"}]}
        with pytest.raises(InvalidInput) as first:
            await ask(hub, bad)
        judged.clear()
        with monkeypatch.context() as patch:

            async def refuse(*_: object, **__: object) -> None:
                raise AssertionError("this needs no thread")

            patch.setattr(trio.to_thread, "run_sync", refuse)
            await ask(hub, dict(reversed(HEAVY.items())))
            with pytest.raises(InvalidInput) as again:
                await ask(hub, bad)
        assert judged == []
        assert (again.value.message, again.value.field) == (first.value.message, first.value.field)
        assert first.value.field == "schema.allOf.70.type"


async def test_what_is_light_needs_no_thread(no_thread: None) -> None:
    async with a_hub() as hub:
        prompt = await ask(hub, LIGHT, default={"proceed": True, "value": 2})
        with pytest.raises(InvalidInput, match="0 is less than the minimum") as caught:
            await hub.prompts.answer(prompt, {"proceed": True, "value": 0}, grants=OPEN, via={})
        assert caught.value.field == "value"
        await hub.prompts.answer(prompt, {"proceed": True, "value": 3}, grants=OPEN, via={})


async def test_nobody_who_may_not_ask_has_anything_judged(judged: list[str]) -> None:
    async with a_hub() as hub:
        with pytest.raises(Refused, match="may not ask"):
            await ask(hub, HEAVY, grants=Grants("eve"))
        with pytest.raises(PeerError) as caught:
            await ask(hub, {"enum": ["x" * 100] * 5_000})
        assert (caught.value.code, judged) == ("too_large", [])
        prompt = await ask(hub, LIGHT)
        judged.clear()
        with pytest.raises(PeerError) as caught:
            await hub.prompts.answer(
                prompt, {"proceed": True, "value": ["x" * 100] * 5_000}, grants=OPEN, via={}
            )
        assert (caught.value.code, caught.value.field, judged) == ("too_large", "value", [])


async def test_a_prompts_time_begins_when_it_is_judged_and_not_while_it_waits() -> None:
    async with a_hub() as hub:
        given = {"project_id": "p", "message": "?", "schema": HEAVY, "timeout": 100}
        pending, _ = await hub.prompts.ask(given, grants=OPEN)
        assert pending.deadline is not None
        assert 0 <= pending.interaction.received + 100_000_000 - pending.deadline < 60_000_000


# --- turns -------------------------------------------------------------------------------------------


def work(name: str, done: list[str]) -> Callable[[RememberingJudge], None]:
    def judge(judge: RememberingJudge) -> None:
        if not judge.inner.last:
            raise TooMuch
        done.append(name)

    return judge


async def test_a_subject_with_much_to_judge_delays_the_others_by_one_judgment() -> None:
    verdicts, done = SchemaChecks(), list[str]()
    async with trio.open_nursery() as nursery, verdicts._thread:
        for name in ("ada 1", "ada 2", "ada 3", "bob 1"):
            nursery.start_soon(verdicts.of, name[:3], work(name, done))
            await wait_all_tasks_blocked()
    assert (done.index("bob 1"), sorted(done)) == (1, ["ada 1", "ada 2", "ada 3", "bob 1"])


async def test_one_subject_has_only_so_many_waiting() -> None:
    verdicts, done = SchemaChecks(), list[str]()
    async with trio.open_nursery() as nursery, verdicts._thread:
        for number in range(WAITING):
            nursery.start_soon(verdicts.of, "ada", work(str(number), done))
        await wait_all_tasks_blocked()
        with pytest.raises(Refused) as caught:
            await verdicts.of("ada", work("one more", done))
        nursery.start_soon(verdicts.of, "bob", work("bob", done))
        await wait_all_tasks_blocked()
    assert (caught.value.code, caught.value.retry_after) == ("rate_limited", 1.0)
    assert (len(done), verdicts._turns) == (WAITING + 1, {})


async def test_who_stops_waiting_holds_up_nobody() -> None:
    async with a_hub() as hub:
        with trio.move_on_after(0):
            await ask(hub, HEAVY)
        await ask(hub, HEAVY)
        assert hub.prompts._verdicts._turns == {}


def test_the_oldest_verdicts_are_forgotten() -> None:
    remembered = Remembered(2)
    no = _No("bad", "invalid_message", ".a")
    for name, verdict in ((b"1", no), (b"2", None), (b"3", no)):
        remembered.keep(name, verdict)
    assert [remembered.find(name) for name in (b"1", b"2", b"3")] == [(False, None), (True, None), (True, no)]
    assert no.error("value").field == "value.a"
