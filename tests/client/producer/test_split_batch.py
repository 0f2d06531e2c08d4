"""A bad value is refused where it is said; what is refused later is lost alone, counted and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.client import (
    ConnectionLost,
    Node,
    NodeHandler,
    Publisher,
    PublishRefused,
    Run,
    TrioRun,
    node,
    open_orchestrator,
    open_run,
)
from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.client.producer.split_batch import divided
from tasktree_rt.client.run.base import BaseRun
from tasktree_rt.core.default_limits import MAX_NODE_SIZE
from tasktree_rt.core.events import MAX_DEPTH, Json
from tasktree_rt.settings import Limits
from tests.cli.processes import PATIENCE
from tests.client.fakehub import Peer, Store, fake_hub
from tests.client.running import events, nodes
from tests.web.realhub import RealHub, real_hub


def deep(levels: int) -> Json:
    outer: Json = {}
    inner = outer
    for _ in range(levels - 1):
        inner["a"] = {}
        inner = inner["a"]
    return outer


DEEPEST = MAX_DEPTH - 2
"""Levels of a field: it stands in ``changes``, which stands in ``data``."""
BAD = {
    "too deep": deep(DEEPEST + 1),
    "too large": "x" * 300_000,
    "no JSON": object(),
    "a lone surrogate": "\udcff",
    "a number that JSON readers do not take": 10**5000,
}
Runner = Callable[[RealHub, Callable[[BaseRun[Any]], object]], Awaitable[BaseRun[Any]]]


async def with_trio(running: RealHub, program: Callable[[BaseRun[Any]], object]) -> BaseRun[Any]:
    async with open_run(running.url, "p", strict=True) as run:
        program(run)
    return run


async def with_threads(running: RealHub, program: Callable[[BaseRun[Any]], object]) -> BaseRun[Any]:
    def main() -> BaseRun[Any]:
        with Run(running.url, "p", strict=True) as run:
            program(run)
        return run

    return await trio.to_thread.run_sync(main)


RUNNERS = pytest.mark.parametrize("go", [with_trio, with_threads])


def test_the_clients_limits_are_the_hubs() -> None:
    here, there = HubLimits(), Limits()
    assert (here.message_size, here.node_size, here.events) == (
        there.max_message_size,
        there.max_node_size,
        there.max_events_per_publish,
    )


# --- what a hub would refuse, at the call -----------------------------------------------------------------


@RUNNERS
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
async def test_a_bad_value_is_refused_at_the_call_and_what_stands_beside_it_arrives(
    go: Runner, bad: Any
) -> None:
    def program(run: BaseRun[Any]) -> None:
        with run.node("a", title="My title", kind="important") as step:
            refuses = [
                lambda: step.update(v=bad, w=1),
                lambda: step.child("b", v=bad),
                lambda: run.plan("c", v=bad),
                lambda: run.update(labels=[bad] if bad is not BAD["too large"] else [bad] * 4),
                node(v=bad)(lambda: None),
            ]
            for refuse in refuses:
                with pytest.raises(ValueError):  # noqa: PT011 - each says another thing
                    refuse()
            step.update(message="half way")

    async with real_hub() as running:
        run = await go(running, program)
        found = await nodes(running)
        assert found.keys() == {"a"}
        assert {name: found["a"][name] for name in ("title", "kind", "message", "status")} == {
            "title": "My title",
            "kind": "important",
            "message": "half way",
            "status": "completed",
        }
        assert {"v", "w"}.isdisjoint(found["a"])
        assert run.statistics().lost == 0


@RUNNERS
async def test_the_largest_and_the_deepest_values_that_a_hub_takes_are_taken(go: Runner) -> None:
    def program(run: BaseRun[Any]) -> None:
        with run.node("deep") as step:
            step.update(v=deep(DEEPEST))
        with run.node("large") as step:
            step.update(v="x" * (MAX_NODE_SIZE - 1024))
            with pytest.raises(ValueError, match="larger than"):
                step.update(w="x" * 1024)
            with pytest.raises(ValueError, match="larger than"):
                step.progress(50, "x" * 1024)
            step.update(v=None)
            step.update(w="x" * 1024)

    async with real_hub() as running:
        run = await go(running, program)
        found = await nodes(running)
        assert found["deep"]["v"] == deep(DEEPEST)
        assert ("v" in found["large"], len(found["large"]["w"])) == (False, 1024)
        assert [one["status"] for one in found.values()] == ["completed"] * 2
        assert run.statistics().lost == 0


async def test_a_node_as_large_as_it_may_be_still_says_how_it_ends() -> None:
    async with real_hub() as running, open_run(running.url, "p") as run:
        size = MAX_NODE_SIZE

        def fill_and_fail() -> None:
            nonlocal size
            with run.node("n") as step:
                while not run._sayable.fits("n", {"v": "x" * size}):
                    size -= 16
                step.update(v="x" * size)
                raise RuntimeError("é" * 3000)

        with pytest.raises(RuntimeError):
            fill_and_fail()
        await run.flush()
        found = (await nodes(running))["n"]
        assert (found["status"], found["message"][:20]) == ("failed", "RuntimeError: éééééé")
        assert (len(found["v"]), run.statistics().lost) == (size, 0)


@RUNNERS
async def test_a_node_that_is_done_anew_has_its_room_anew(go: Runner) -> None:
    def program(run: BaseRun[Any]) -> None:
        for _ in range(3):
            with run.node("n") as step:
                step.update(v="x" * 200_000)

    async with real_hub() as running:
        run = await go(running, program)
        assert ((await nodes(running))["n"]["attempt"], run.statistics().lost) == (3, 0)


@RUNNERS
async def test_words_of_lines_and_parents_cannot_be_refused_by_the_hub(go: Runner) -> None:
    import logging

    def program(run: BaseRun[Any]) -> None:
        for bad in ("a\x00b", "x" * 513, ""):
            with pytest.raises(ValueError, match="parent"):
                run.node("n", parent=bad)
        with run.node("n") as step:
            step.log("one", level="\udcff", stream="\udcff")
            step.progress(True, "yes")
            record = logging.LogRecord("\udcff", 10, "", 0, "two", None, None)
            NodeHandler().emit(record)

    async with real_hub() as running:
        run = await go(running, program)
        lines = await events(running, "log")
        assert [(one["message"], one.get("stream"), one.get("logger")) for one in lines] == [
            ("one", "?", None),
            ("two", None, "?"),
        ]
        assert run.statistics().lost == 0


FAULTS: list[tuple[Any, str]] = [
    ({"type": "log", "data": {"level": 5, "message": "m"}}, "invalid_event"),
    ({"type": "x", "data": {"v": deep(MAX_DEPTH)}}, "invalid_event"),
    ({"type": "x", "data": [1]}, "invalid_event"),
    ({"type": "\x00", "data": {}}, "invalid_event"),
    ({"type": "prompt", "data": {}}, "invalid_event"),
    ({"type": "welcome", "data": {}}, "invalid_event"),
    ({"type": "x", "data": {}, "timestamp": "yesterday"}, "invalid_event"),
    ({"type": "node_update", "data": {"node_id": "", "changes": {}}}, "invalid_event"),
    ({"type": "node_update", "data": {"node_id": "n", "changes": {"v": "x" * 300_000}}}, "node_too_large"),
    ({"type": "task_created", "data": {"task_id": 1, "v": "x" * 300_000}}, "node_too_large"),
    ({"type": "log", "data": {"level": "info", "message": "x" * 1_100_000}}, "too_large"),
    ([{"type": "x", "data": {}}] * 1_001, "too_large"),
    ([{"type": "project_deleted", "data": {}}, {"type": "x", "data": {}}], "invalid_event"),
]


@pytest.mark.parametrize(("given", "code"), FAULTS)
async def test_publishing_refuses_at_the_call_what_the_hub_would_refuse(given: Any, code: str) -> None:
    batch = [{"project_id": "p", **one} for one in (given if isinstance(given, list) else [given])]
    async with real_hub() as running:
        async with running.http() as http:
            said = await http.post("/api/v1/projects/p/events", json=batch)
        assert said.json()["code"] == code
        async with open_orchestrator(running.url, "o") as orchestrator:
            with pytest.raises(PublishRefused) as caught:
                await orchestrator.publish(batch)
            assert caught.value.code == code

        def post() -> None:
            with Publisher(running.url, "p") as publisher:
                with pytest.raises(PublishRefused) as caught:
                    publisher.publish(batch)
                assert caught.value.code == code
                assert publisher.statistics().published == 0

        await trio.to_thread.run_sync(post)


# --- what is refused later --------------------------------------------------------------------------------

TIGHT = {"max_node_size": 1024}


@RUNNERS
async def test_a_hub_with_lower_limits_loses_the_one_field_and_nothing_beside_it(
    go: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    def program(run: BaseRun[Any]) -> None:
        with run.outflow._lock:  # a thread that sends takes all of it at once
            block(run)

    def block(run: BaseRun[Any]) -> None:
        with run.node("a", title="My title", kind="important", v="x" * 2000, w=1) as step:
            step.update(v=1)
            step.update(v="y" * 2000, u=2)
            step.update(t="z" * 2000)
            step.update(message="half way")
            step.log("a line")

    async with real_hub(limits=TIGHT) as running:
        run = await go(running, program)
        found = (await nodes(running))["a"]
        assert [one["message"] for one in await events(running, "log")] == ["a line"]
    wanted = {"title": "My title", "kind": "important", "v": 1, "w": 1, "u": 2, "message": "half way"}
    assert {name: found[name] for name in wanted} == wanted
    assert ("t" in found, found["status"]) == (False, "completed")
    assert found["started_at"] <= found["ended_at"]
    assert run.statistics().lost == 2  # the first v was replaced before it was sent
    for name in "vt":
        assert caplog.text.count(f"lost: node_update of node 'a' ({name}): node_too_large") == 1


@RUNNERS
async def test_a_status_that_the_lifecycle_forbids_is_lost_alone(go: Runner) -> None:
    def program(run: BaseRun[Any]) -> None:
        with run.node("n", title="New", kind="again"):
            pass

    async with real_hub(lifecycle="enforce") as running:
        await running.hub.broadcast_to_project(
            "p", {"type": "node_update", "data": {"node_id": "n", "changes": {"status": "completed"}}}
        )
        run = await go(running, program)
        found = (await nodes(running))["n"]
        assert (found["title"], found["kind"], found["status"]) == ("New", "again", "completed")
        assert run.statistics().lost == 1  # running


@RUNNERS
async def test_a_project_that_is_full_still_takes_what_makes_no_node(go: Runner) -> None:
    def program(run: BaseRun[Any]) -> None:
        for number in range(4):
            with run.node(f"n{number}", parent=None) as step:
                step.log(f"line {number}")

    async with real_hub(limits={"max_nodes": 2}) as running:
        run = await go(running, program)
        assert (await nodes(running)).keys() == {"n0", "n1"}
        assert len(await events(running, "log")) == 4
        assert run.statistics().lost == 4


async def test_a_hub_that_takes_small_messages_gets_small_ones() -> None:
    async with real_hub(limits={"max_message_size": 2048}) as running:
        async with open_run(running.url, "p", max_message_size=2048) as run:
            for number in range(20):
                with run.node(f"n{number}", parent=None, text="x" * 100) as step:
                    step.log(f"line {number}")
        assert [one["status"] for one in (await nodes(running)).values()] == ["completed"] * 20
        assert run.statistics().lost == 0


async def test_what_a_spool_still_holds_of_a_run_is_divided_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    heard = trio.Event()

    async def mute(peer: Peer) -> None:
        await peer.hear("publish")
        heard.set()
        await peer.silent()

    async def first_life(url: str) -> None:
        async with open_run(url, "p", producer_id="o", spool=spool) as run:
            with run.node("a", title="A", v="x" * 2000) as step:
                step.update(w=1)
            await heard.wait()
            scope.cancel()
            await trio.sleep_forever()

    async with fake_hub(mute) as hub:
        with trio.CancelScope() as scope:
            await first_life(hub.url)
    async with real_hub(limits=TIGHT) as running:
        async with open_orchestrator(running.url, "o", spool=spool) as orchestrator:
            assert orchestrator.statistics().spooled > 0
            await orchestrator.flush()
            assert (orchestrator.statistics().spooled, orchestrator.statistics().refused) == (0, 1)
        found = (await nodes(running))["a"]
        assert ("v" in found, found["title"], found["w"], found["status"]) == (False, "A", 1, "completed")
    assert "was refused for good: node_too_large" in caplog.text


async def test_a_batch_that_is_divided_again_after_a_crash_has_the_same_parts_under_the_same_ids(
    tmp_path: Path,
) -> None:
    spool, store, lives = tmp_path / "spool", Store(), 0
    halfway = trio.Event()

    async def picky(peer: Peer) -> None:
        """Takes no large value; of the first life only the first part."""
        while True:
            publish = await peer.hear("publish")
            if any("x" * 2000 in str(event) for event in publish["events"]):
                refusal = {"code": "node_too_large", "message": "no", "field": "events[0]"}
                await peer.say("error", id=publish["id"], **refusal)
            elif lives == 1 and len(store.ids) == 1:
                halfway.set()
                await peer.silent()
            else:
                await peer.say("ack", **store.commit(publish))

    async def first_life(url: str) -> None:
        async with open_run(url, "p", producer_id="o", spool=spool, title="P") as run:
            for name in "ab":
                run.plan(name, v="x" * 2000, w=1)
            await halfway.wait()
            scope.cancel()
            await trio.sleep_forever()

    async with fake_hub(picky) as hub:
        lives = 1
        with trio.CancelScope() as scope:
            await first_life(hub.url)
        before = list(store.ids)
        lives = 2
        async with open_orchestrator(hub.url, "o", spool=spool) as orchestrator:
            with trio.fail_after(PATIENCE):
                await orchestrator.flush()
            assert orchestrator.statistics().spooled == 0
    assert store.ids[:1] == before
    assert len(set(store.ids)) == len(store.ids)
    tree: dict[str, Json] = {}
    for event in store.events:
        if event["type"] == "node_update":
            tree.setdefault(event["data"]["node_id"], {}).update(event["data"]["changes"])
    assert {name: (fields["w"], fields["status"], "v" in fields) for name, fields in tree.items()} == {
        "a": (1, "ready", False),
        "b": (1, "ready", False),
    }


async def test_what_is_left_when_the_hub_does_not_come_back_is_counted() -> None:
    kept: list[TrioRun] = []

    async def program(url: str) -> None:
        async with open_run(url, "p", strict=True) as run:
            kept.append(run)
            with run.node("n"):
                pass
            with pytest.raises(ConnectionLost):
                await run.flush()
            with run.node("m"):
                pass

    async with fake_hub(partial(Peer.close, code=4003)) as hub:
        with pytest.raises(ConnectionLost):
            await program(hub.url)
    assert kept[0].statistics().lost >= 6
    assert kept[0].statistics().waiting == 0


# --- by chance --------------------------------------------------------------------------------------------

FIELDS = st.sampled_from("abc")
GOOD = st.one_of(
    st.integers(-5, 5), st.none(), st.text("xy", max_size=5), st.lists(st.booleans(), max_size=2)
)
Update = tuple[str, dict[str, Any]]
UPDATES = st.lists(
    st.tuples(
        st.sampled_from("mn"), st.dictionaries(FIELDS, st.one_of(GOOD, GOOD, st.just("BAD")), max_size=3)
    ),
    max_size=14,
)


def apply(tree: dict[str, Json], name: str, changes: Json) -> None:
    for field, value in changes.items():
        if value is None:
            tree[name].pop(field, None)
        else:
            tree[name][field] = value


async def told(running: RealHub, said: list[Update], bad: Any, flush_after: int) -> tuple[Any, int, int]:
    """The fields on the hub after a run said so; how many updates raised, and what was lost."""
    raised = 0
    async with open_run(running.url, "p", strict=True) as run:
        both: dict[str, Node] = {name: run.node(name).__enter__() for name in "mn"}
        for number, (name, changes) in enumerate(said):
            try:
                both[name].update(**{key: bad if value == "BAD" else value for key, value in changes.items()})
            except ValueError:
                raised += 1
            if number == flush_after:
                await run.flush()
        await run.flush()
        found = {
            name: {key: value for key, value in fields.items() if key in "abc"}
            for name, fields in (await nodes(running)).items()
        }
        return found, raised, run.statistics().lost


@given(UPDATES, st.sampled_from(list(BAD)), st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_the_tree_is_what_the_good_updates_make(said: list[Update], kind: str, flush_after: int) -> None:
    async def main() -> None:
        async with real_hub() as running:
            found, raised, lost = await told(running, said, BAD[kind], flush_after)
        tree: dict[str, Json] = {"m": {}, "n": {}}
        good = [(name, changes) for name, changes in said if "BAD" not in changes.values()]
        for name, changes in good:
            apply(tree, name, changes)
        assert (found, raised, lost) == (tree, len(said) - len(good), 0)

    trio.run(main)


@given(UPDATES, st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_the_tree_is_what_the_good_fields_make_at_a_hub_of_other_limits(
    said: list[Update], flush_after: int
) -> None:
    async def main() -> None:
        async with real_hub(limits=TIGHT) as running:
            found, raised, lost = await told(running, said, "x" * 2000, flush_after)
        tree: dict[str, Json] = {"m": {}, "n": {}}
        for name, changes in said:
            apply(tree, name, {key: value for key, value in changes.items() if value != "BAD"})
        # A bad value may be replaced by the next one before it is sent: then nothing is lost.
        bad = sum(list(changes.values()).count("BAD") for _, changes in said)
        assert (found, raised, lost <= bad) == (tree, 0, True)
        if said and "BAD" in said[-1][1].values():
            assert lost

    trio.run(main)


EVENTS = st.lists(
    st.dictionaries(st.sampled_from(["status", "title", "a", "b", "deleted"]), st.integers(0, 3), max_size=5),
    min_size=1,
    max_size=9,
)


@given(EVENTS)
def test_dividing_ends_and_loses_nothing(changes: list[Json]) -> None:
    waiting = [
        [
            {"type": "node_update", "project_id": "p", "data": {"node_id": "n", "changes": one}}
            for one in changes
        ]
    ]
    tree: Json = {}
    while waiting:
        batch: list[Json] = waiting.pop(0)
        halves = divided(batch, "invalid_event")
        waiting[:0] = halves
        if not halves:
            assert len(batch) == 1
            tree.update(batch[0]["data"]["changes"])
    wanted: Json = {}
    for one in changes:
        wanted.update(one)
    assert tree == wanted
    assert divided([{"type": "x", "data": {}}] * 2, "forbidden") == []
