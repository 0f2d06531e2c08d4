"""A run costs its program nothing: no exception, no wait, one budget at the end, and forks go on."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import trio

from tasktree_rt.client import Run, current_run, node, open_run
from tests.client.joining.programs import ran, refusing_hub, silent_hub
from tests.client.running import nodes
from tests.web.realhub import real_hub

LEAVES = """
import os
from tasktree_rt.client import Run
with Run(flush_timeout=0.4) as run:
    with run.node("n"):
        pass
print("left")
"""
LOST = re.compile(r"tasktree_rt: (\d+) events of project p did not get to the hub at (\S+): ")


async def test_leaving_a_run_is_bounded_and_says_what_is_lost_whether_the_hub_refuses_or_hangs() -> None:
    with silent_hub() as hanging:
        for url in (hanging, refusing_hub()):
            code, errors = await ran(LEAVES, url)
            found = LOST.search(errors)
            assert found is not None, errors
            assert (code, found[1], found[2]) == (0, "4", url)


async def test_nothing_that_is_wrong_with_a_node_reaches_the_program() -> None:
    five: Any = 5
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p") as run:

        @node("fetch-{page}", title="Page {page}")
        async def fetch(page: int) -> int:
            await trio.lowlevel.checkpoint()
            return page

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(fetch, 7)
        with run.node("n", title=five, order=object()) as step:
            step.update(status="failed", progress="many")
            step.progress(float("nan"))
        run.update(title=object())
        await run.flush()
        found = await nodes(running)
        assert run.statistics().lost == 0
    assert {"fetch-7", "fetch-7#2", "fetch-7#3"} <= found.keys()
    assert (found["n"]["title"], found["n"]["status"]) == ("5", "completed")


async def test_nodes_of_a_run_are_two_calls_and_a_bare_thread_knows_the_run() -> None:
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p") as run:
        first, second = run.node("first").start(), run.node("second").start()
        first.fail("not today")
        second.skip("no need")
        first.again()
        first.complete()
        known: list[object] = []
        thread = threading.Thread(target=lambda: known.append(current_run()))
        thread.start()
        await trio.to_thread.run_sync(thread.join)
        assert known == [run]
        await run.flush()
        found = await nodes(running)
    assert (found["first"]["status"], found["first"]["attempt"]) == ("completed", 2)
    assert (found["second"]["status"], found["second"]["message"]) == ("skipped", "no need")


async def test_a_run_is_entered_alike_in_asyncio_and_in_trio() -> None:
    async with real_hub() as running:

        async def program(project: str) -> None:
            async with Run(running.url, project) as run, run.node("n"):
                pass

        await program("trio")
        await trio.to_thread.run_sync(lambda: asyncio.run(program("asyncio")))
        for project in ("trio", "asyncio"):
            assert (await nodes(running, project))["n"]["status"] == "completed"
            assert (await running.hub.state(project)).top["state"] == "completed"


async def test_who_joins_does_not_say_what_became_of_the_project() -> None:
    code = """
    from tasktree_rt.client import Run
    with Run.join(flush_timeout=100) as run, run.node("child"):
        pass
    """
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p") as run:
        with run.node("above"):
            await run.flush()
            assert await ran(code, running.url, TASKTREE_RT_PARENT="above") == (0, "")
            async with open_run(running.url, "p", producer_id="other", join=True, parent="above") as other:
                with other.node("beside"):
                    pass
        found, state = await nodes(running), (await running.hub.state("p")).top["state"]
    assert state == "running"
    assert found["child"]["parent_id"] == found["beside"]["parent_id"] == "above"


async def test_what_a_forked_child_shows_arrives_and_leaves_the_project_to_its_parent() -> None:
    code = """
    import os, sys
    from tasktree_rt.client import Run
    with Run(flush_timeout=100) as run:
        above = run.node("above").start()
        child = os.fork()
        if not child:
            with run.node("child", parent="above"):
                pass
            sys.exit(0 if run.flush(100) else 1)
        assert os.waitpid(child, 0)[1] == 0
        above.complete()
    """
    async with real_hub(lifecycle="enforce") as running:
        assert await ran(code, running.url) == (0, "")
        found, state = await nodes(running), (await running.hub.state("p")).top["state"]
    assert {name: one["status"] for name, one in found.items()} == {
        "above": "completed",
        "child": "completed",
    }
    assert state == "completed"


async def test_a_function_that_is_called_outside_of_every_run_is_told_once() -> None:
    code = """
    from tasktree_rt.client import node

    @node
    def work():
        return 7

    assert work() + work() == 14
    """
    ended, errors = await ran(code, "http://127.0.0.1:9")
    assert ended == 0
    assert errors == "@node: work was called outside of every run; it is not shown\n"
