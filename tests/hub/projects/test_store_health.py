"""What is said of a store that fails: one line when it begins, one when it ends."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from tasktree_rt.errors import PeerError, StoreUnavailable
from tasktree_rt.hub.projects.store_health import CALM, StoreHealth
from tasktree_rt.settings import Keep, Settings
from tests.hub.world import a_world, update


def of_the_store(lines: list[Any]) -> list[str]:
    return [one["event"] for one in lines if one["log_level"] in ("warning", "error")]


async def test_many_refusals_in_a_row_are_one_line_and_their_end_another(autojump_clock: MockClock) -> None:
    async with a_world() as world:
        with capture_logs() as lines:
            world.store.failing = True
            for number in range(20):
                with pytest.raises(PeerError, match="the store cannot take it now: disk full"):
                    await world.publish("p", update("n", a=number))
                await trio.sleep(0.5)
            assert of_the_store(lines) == ["store fails"]
            world.store.failing = False
            await trio.sleep(3)
            await world.publish("p", update("n"))
            await trio.sleep(CALM)
        assert of_the_store(lines) == ["store fails", "store works again"]
        assert lines[0]["reason"] == "disk full"
        assert 9 < lines[1]["seconds"] < 13


async def test_a_disk_that_takes_some_and_refuses_some_is_one_line_until_it_takes_all(
    autojump_clock: MockClock,
) -> None:
    async with a_world() as world:
        with capture_logs() as lines:
            for number in range(20):
                world.store.failing = True
                with pytest.raises(PeerError):
                    await world.publish("p", update("n", a=number))
                world.store.failing = False
                await trio.sleep(3)
                await world.publish("p", update("n", b=number))
            assert of_the_store(lines) == ["store fails"]
            await trio.sleep(2 * CALM)
        assert of_the_store(lines) == ["store fails", "store works again"]


async def test_a_store_that_is_gone_is_noticed_though_nobody_publishes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone() -> None:
        raise StoreUnavailable("the file is gone", lasting=True)

    async with a_world() as world:
        await world.publish("p", update("n"))
        monkeypatch.setattr(world.store, "verify", gone)
        monkeypatch.setattr(world.store, "probe", gone)
        with capture_logs() as lines:
            await trio.sleep(10)
            assert world.hub.statistics().store_error == "the file is gone"
            with pytest.raises(PeerError) as caught:
                await world.publish("p", update("n"))
            await trio.sleep(10)
        assert (caught.value.code, caught.value.retry_after) == ("store_unavailable", None)
        assert "now" not in caught.value.message
        assert of_the_store(lines) == ["store fails"]
        assert len(world.hub.cache.get("p").tree) == 1  # type: ignore[union-attr]


async def test_a_passing_fault_that_becomes_a_lasting_one_is_a_line_of_its_own(
    autojump_clock: MockClock,
) -> None:
    health = StoreHealth("sqlite:x")
    with capture_logs() as lines:
        health.failed(StoreUnavailable("busy"))
        health.failed(StoreUnavailable("full"))
        health.failed(StoreUnavailable("gone", lasting=True))
        health.failed(StoreUnavailable("gone", lasting=True))
        for _ in range(4):
            health.works()
            await trio.sleep(CALM)
    assert [(one["event"], one.get("reason")) for one in lines] == [
        ("store fails", "busy"),
        ("store fails", "gone"),
        ("store works again", None),
    ]


async def test_a_keeper_that_cannot_write_says_so_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world(Settings(keep=Keep(checkpoint_bytes=2_000))) as world:
        right, full = world.store.save_checkpoint, True

        async def save(*arguments: Any) -> None:
            if full:
                raise StoreUnavailable("full")
            await right(*arguments)

        monkeypatch.setattr(world.store, "save_checkpoint", save)
        with capture_logs() as lines:
            await world.publish("p", update("n", text="x" * 3_000))
            await trio.sleep(10)
            assert of_the_store(lines) == ["not kept up"]
            full = False
            await trio.sleep(10)
        assert of_the_store(lines) == ["not kept up", "kept up again"]
