"""Programs that join a project: nodes as two calls, whatever thread they come from."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trio

from tasktree_rt.client import Joined, carry, in_context, join
from tasktree_rt.client.joining import Open, fit_node_id, fit_project
from tasktree_rt.client.joining.delivery import _warned
from tasktree_rt.core.ids import PROJECT_ID, is_node_id
from tests.client.running import events, nodes, statuses
from tests.web.realhub import RealHub, real_hub

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HUB", "PROJECT", "PARENT", "TOKEN"):
        monkeypatch.delenv(f"TASKTREE_RT_{name}", raising=False)
    _warned.clear()


async def shown(running: RealHub, say: Callable[[Joined], None], **options: Any) -> Joined:
    """What a program says, once the hub has it."""
    joined = join("p", hub=running.url, **options)
    await trio.to_thread.run_sync(say, joined)
    assert await trio.to_thread.run_sync(joined.flush, PATIENCE)
    await trio.to_thread.run_sync(joined.close)
    return joined


async def test_a_node_is_two_calls_from_any_thread_in_any_order() -> None:
    def say(joined: Joined) -> None:
        first = joined.node("first", title="First", kind="phase")
        second = joined.node("second", parent=first)
        first.progress(40, "working")
        first.complete(files=3)
        thread = threading.Thread(target=second.complete)
        thread.start()
        thread.join()
        first.fail("too late: it has ended")

    async with real_hub(lifecycle="enforce") as running:
        joined = await shown(running, say)
        found = await nodes(running)
        state = await running.hub.state("p")
    first, second = found["first"], found["second"]
    assert (first["status"], first["title"], first["kind"], first["files"]) == (
        "completed",
        "First",
        "phase",
        3,
    )
    assert (first["progress"], first["message"], second["parent_id"]) == (100, "working", "first")
    assert first["started_at"] <= second["started_at"] <= first["ended_at"] <= second["ended_at"]
    assert state.top["state"] is None  # who joins does not say what became of the project
    assert joined.statistics().lost == 0


async def test_every_end_and_a_second_attempt() -> None:
    def say(joined: Joined) -> None:
        joined.node("cancelled").cancel("Ctrl+C")
        joined.node("skipped").skip("not on a Sunday")
        joined.node("waiting").wait("for a person")
        flaky = joined.node("flaky")
        flaky.fail(OSError("disk full"))
        flaky.again()
        flaky.complete()
        joined.node("done").complete()
        joined.node("done", title="Anew").complete()
        gate = joined.node("gate", title="Gate")
        gate.wait()
        joined.node("gate").complete()
        joined.node("elsewhere", attempt=3).fail("no exception")

    async with real_hub(lifecycle="enforce") as running:
        joined = await shown(running, say)
        found = await nodes(running)
        assert await statuses(running, "flaky") == ["running", "failed", "ready", "running", "completed"]
        assert await statuses(running, "gate") == ["running", "review", "running", "completed"]
        assert await statuses(running, "waiting") == ["running", "review"]
        errors = [one["message"] for one in await events(running, "log")]
    assert joined.statistics().lost == 0
    assert (found["cancelled"]["status"], found["cancelled"]["message"]) == ("cancelled", "Ctrl+C")
    assert (found["skipped"]["status"], found["skipped"]["message"]) == ("skipped", "not on a Sunday")
    assert "ended_at" in found["skipped"]
    assert "ended_at" not in found["waiting"]
    assert (found["flaky"]["attempt"], found["done"]["attempt"], found["done"]["title"]) == (2, 2, "Anew")
    assert "attempt" not in found["gate"]
    assert (found["elsewhere"]["attempt"], found["elsewhere"]["message"]) == (3, "no exception")
    assert [one.splitlines()[-1] for one in errors] == ["OSError: disk full"]


async def test_as_blocks_nodes_nest_and_end_by_what_ends_the_block() -> None:
    def say(joined: Joined) -> None:
        with pytest.raises(OSError, match="gone"), joined.node("outer"), joined.node("inner"):
            raise OSError("gone")
        with pytest.raises(SystemExit), joined.node("exit"):
            raise SystemExit(0)
        with pytest.raises(SystemExit), joined.node("exit 3"):
            raise SystemExit(3)
        with pytest.raises(KeyboardInterrupt), joined.node("ctrl"):
            raise KeyboardInterrupt
        with joined.node("paused") as paused:
            paused.wait()

        async def in_asyncio() -> None:
            async with asyncio.timeout(0), joined.node("late"):
                await asyncio.Event().wait()

        with pytest.raises(TimeoutError):
            asyncio.run(in_asyncio())

    async with real_hub(lifecycle="enforce") as running:
        await shown(running, say)
        found = await nodes(running)
        lines = await events(running, "log")
    ends = {name: one["status"] for name, one in found.items()}
    assert ends == {
        "outer": "failed",
        "inner": "failed",
        "exit": "completed",
        "exit 3": "failed",
        "ctrl": "cancelled",
        "paused": "review",
        "late": "cancelled",
    }
    assert found["inner"]["parent_id"] == "outer"
    assert found["outer"]["message"] == found["inner"]["message"] == "OSError: gone"
    assert [one["node_id"] for one in lines] == ["inner"]  # the traceback once


async def test_unfit_fields_cost_themselves_only() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def say(joined: Joined) -> None:
        odd: Any = Odd()
        five: Any = 5
        step = joined.node("a\nb", title=five, odd=odd, when={1, 2}, order=float("nan"), depends_on=[7])
        step.update(progress="many", status="completed", usage="much", title="x" * 5_000)
        step.progress(float("inf"))
        step.progress(140)
        nothing: Any = None
        joined.node(nothing).complete()
        step.complete()
        joined.update(title=odd, url=5)
        joined.log(odd)

    async with real_hub(lifecycle="enforce") as running:
        joined = await shown(running, say)
        found = await nodes(running)
        top = (await running.hub.state("p")).top["project"]
    step = found["a b"]
    assert (step["status"], step["progress"], step["when"], step["depends_on"]) == (
        "completed",
        100,
        [1, 2],
        ["7"],
    )
    assert len(step["title"]) == 2_000
    assert "no text" not in str(step)
    assert "order" not in step
    assert "usage" not in step
    assert found["None"]["status"] == "completed"
    assert top["url"] == "5"
    assert joined.statistics().lost == 0


async def test_what_the_hub_refuses_of_a_node_costs_its_fields_not_its_status() -> None:
    def say(joined: Joined) -> None:
        joined.node("large", parts=["x" * 60_000] * 6).complete()
        joined.node("small").complete()

    lost: list[str] = []
    async with real_hub() as running:
        joined = await shown(running, say, on_error=lambda project, events, error: lost.append(str(error)))
        found = await nodes(running)
    assert {name: one["status"] for name, one in found.items()} == {
        "large": "completed",
        "small": "completed",
    }
    assert "parts" not in found["large"]
    assert joined.statistics().lost == len(lost) == 1
    assert "node_too_large" in lost[0]


async def test_the_same_node_at_once_is_shown_twice() -> None:
    def say(joined: Joined) -> None:
        both = [joined.node("fetch") for _ in range(3)]
        for one in both:
            one.complete()
        assert [one.id for one in both] == ["fetch", "fetch#2", "fetch#3"]

    async with real_hub(lifecycle="enforce") as running:
        await shown(running, say)
        assert set(await nodes(running)) == {"fetch", "fetch#2", "fetch#3"}


async def test_threads_and_pools_have_the_current_node_where_it_is_carried() -> None:
    def say(joined: Joined) -> None:
        def work(name: str) -> Open:
            return joined.node(name)

        with ThreadPoolExecutor(2) as pool, joined.node("above") as above:
            made = [
                carry(pool).submit(work, "submitted").result(),
                *carry(pool).map(work, ["mapped"]),
                pool.submit(in_context(work), "wrapped").result(),
            ]
            assert [one.parent_id for one in made] == ["above"] * 3
            assert pool.submit(work, "bare").result().parent_id is None
            assert above.child("child").parent_id == "above"

    async with real_hub() as running:
        await shown(running, say)
        assert (await nodes(running))["mapped"]["parent_id"] == "above"


def test_without_a_hub_or_a_project_nothing_is_done() -> None:
    for joined in (join(), join("p"), join(hub="http://127.0.0.1:1"), join("p", hub="no address")):
        with joined.node("n") as step:
            step.log("x")
        assert not joined.active
        assert joined.flush(0.0)
        assert joined.environment() == {}
        joined.close()
        assert not [one for one in threading.enumerate() if one.name == "tasktree-rt p"]


def test_a_strict_one_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="expected a hub and a project"):
        join(strict=True)
    joined = join("p", hub="http://127.0.0.1:1", strict=True, exit_timeout=0.0)
    with pytest.raises(ValueError, match="title: '5' was mended"):
        joined.node("n", title=5)  # type: ignore[arg-type]
    joined.node("n")
    with pytest.raises(ValueError, match="open already"):
        joined.node("n")
    joined.close()


def test_a_child_process_finds_its_place_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = join("p", hub="http://127.0.0.1:1", token="t", parent="top", exit_timeout=0.0)
    base = {"TASKTREE_RT_HUB": "http://127.0.0.1:1", "TASKTREE_RT_PROJECT": "p", "TASKTREE_RT_TOKEN": "t"}
    assert joined.environment() == {**base, "TASKTREE_RT_PARENT": "top"}
    with joined.node("n"):
        given = joined.environment()
        assert given == {**base, "TASKTREE_RT_PARENT": "n"}
    joined.close()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    child = join(exit_timeout=0.0)
    assert (child.project_id, child.hub, child.parent) == ("p", "http://127.0.0.1:1", "n")
    assert child.node("m").parent_id == "n"
    assert child.node("o", parent=None).parent_id is None
    child.close()


@pytest.mark.parametrize("given", ["", "a b", "ü" * 200, "-x", "x" * 300, 7])
def test_any_name_becomes_one_that_a_project_and_a_node_may_have(given: object) -> None:
    assert PROJECT_ID.fullmatch(fit_project(given))
    assert is_node_id(fit_node_id(given))


def test_long_names_with_the_same_beginning_stay_apart() -> None:
    assert fit_project("x" * 300 + "a") != fit_project("x" * 300 + "b")
    assert fit_node_id("x" * 600 + "a") != fit_node_id("x" * 600 + "b")
    assert fit_project("gh:me/repo:7") == "gh:me-repo:7"
