"""Which node a node is under: from tasks, threads, asyncio, and by the decorator."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from tasktree_rt.client import (
    Run,
    current_node,
    node,
    open_run,
)
from tests.client.running import nodes
from tests.web.realhub import real_hub

# --- who is the parent --------------------------------------------------------------------------------


async def test_tasks_and_threads_of_trio_are_within_the_node() -> None:
    async with real_hub() as running, open_run(running.url, "p") as run:

        async def task() -> None:
            with run.node("task"):
                await trio.lowlevel.checkpoint()

        def thread() -> None:
            with run.node("thread"):
                pass

        with run.node("root"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(task)
            await trio.to_thread.run_sync(thread)
        assert current_node() is None
        await run.flush()
        found = await nodes(running)
    assert {name: one.get("parent_id") for name, one in found.items()} == {
        "root": None,
        "task": "root",
        "thread": "root",
    }


async def test_threads_of_ones_own_are_given_the_context_or_the_node() -> None:
    def work(url: str) -> None:
        with Run(url, "p") as run, run.node("root") as root, ThreadPoolExecutor(1) as pool:

            def leaf(name: str) -> None:
                with run.node(name):
                    pass

            def child() -> None:
                with root.child("child"):
                    leaf("grandchild")

            pool.submit(leaf, "without").result()
            pool.submit(contextvars.copy_context().run, leaf, "with").result()
            pool.submit(child).result()
            thread = threading.Thread(target=contextvars.copy_context().run, args=(leaf, "thread"))
            thread.start()
            thread.join()

    async with real_hub() as running:
        await trio.to_thread.run_sync(work, running.url)
        found = await nodes(running)
    parents = {name: one.get("parent_id") for name, one in found.items()}
    assert parents == {
        "root": None,
        "without": None,
        "with": "root",
        "child": "root",
        "grandchild": "child",
        "thread": "root",
    }


async def test_asyncio_programs_use_a_run_with_threads() -> None:
    async def work(run: Run) -> None:
        async with run.node("root"):

            async def task(name: str) -> None:
                async with run.node(name):
                    await asyncio.sleep(0)
                    await asyncio.to_thread(
                        lambda: run.node(f"{name}-thread").__enter__().__exit__(*[None] * 3)
                    )

            await asyncio.gather(task("a"), task("b"))

    def program(url: str) -> None:
        with Run(url, "p") as run:
            asyncio.run(work(run))

    async with real_hub(lifecycle="enforce") as running:
        await trio.to_thread.run_sync(program, running.url)
        found = await nodes(running)
    assert {one["status"] for one in found.values()} == {"completed"}
    assert {name: one.get("parent_id") for name, one in found.items()} == {
        "root": None,
        "a": "root",
        "b": "root",
        "a-thread": "a",
        "b-thread": "b",
    }


# --- the decorator --------------------------------------------------------------------------------------


@node
def leaf(number: int) -> int:
    return number + 1


@node("page-{name}", title="Page {name}", kind="page")
async def page(name: str = "one") -> str:
    await trio.lowlevel.checkpoint()
    return name + str(leaf(0))


async def test_every_call_of_a_decorated_function_is_a_node() -> None:
    assert leaf(1) == 2  # outside of every run it is only called
    async with real_hub() as running, open_run(running.url, "p") as run:
        assert await page() == "one1"
        assert await page("two") == "two1"
        assert leaf(5) == 6
        with pytest.raises(TypeError):
            leaf()  # type: ignore[call-arg]
        await run.flush()
        found = await nodes(running)
    assert {name: (one.get("title"), one.get("parent_id"), one["status"]) for name, one in found.items()} == {
        "page-one": ("Page one", None, "completed"),
        "leaf": (None, "page-one", "completed"),
        "page-two": ("Page two", None, "completed"),
        "leaf#2": (None, "page-two", "completed"),
        "leaf#3": (None, None, "completed"),
        "leaf#4": (None, None, "failed"),
    }


def test_a_generator_is_no_node() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    async def more() -> AsyncIterator[int]:
        yield 1

    for generator in (numbers, more):
        with pytest.raises(TypeError, match="generator"):
            node(generator)
