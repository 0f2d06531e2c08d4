"""Runs: a program's blocks as nodes, with their beginnings, ends, failures, questions and output."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator

import pytest
import trio

from tasktree_rt.client import (
    Answer,
    ConnectionLost,
    NodeHandler,
    Run,
    TrioRun,
    current_run,
    open_api_client,
    open_orchestrator,
    open_run,
)
from tasktree_rt.client.joining.outcome import is_cancellation, last_line
from tasktree_rt.core.events import Json
from tests.client.fakehub import Peer, fake_hub
from tests.client.running import events, nodes, statuses
from tests.client.watching import prompted
from tests.web.realhub import auth, real_hub, token

# --- beginnings and ends ----------------------------------------------------------------------------


async def test_blocks_become_nodes_under_each_other() -> None:
    async with real_hub(lifecycle="enforce") as running:
        async with open_run(running.url, "p", title="Build 7") as run:
            run.plan("deploy", title="Deploy", depends_on=["build"])
            with run.node("build", title="Build", kind="phase"):
                async with run.node("compile") as compiling:
                    compiling.progress(40, "cc main.c")
                    compiling.update(files=3)
            with run.node("deploy", parent="build"):
                pass
        found = await nodes(running)
        state = await running.hub.state("p")
        assert await statuses(running, "deploy") == ["ready", "running", "completed"]
    assert (state.top["state"], state.top["project"]) == ("completed", {"title": "Build 7"})
    build, compiled, deploy = found["build"], found["compile"], found["deploy"]
    assert (build["title"], build["kind"], build["status"]) == ("Build", "phase", "completed")
    assert "parent_id" not in build
    assert build["started_at"] <= compiled["started_at"] <= compiled["ended_at"] <= build["ended_at"]
    assert (compiled["parent_id"], compiled["progress"], compiled["message"]) == ("build", 100, "cc main.c")
    assert (compiled["files"], deploy["parent_id"]) == (3, "build")


async def test_a_failure_is_told_and_goes_on() -> None:
    async with real_hub(lifecycle="enforce") as running:

        async def divide() -> None:
            async with open_run(running.url, "p") as run:
                with run.node("outer"), run.node("inner"):
                    print(1 / 0)  # noqa: T201

        with pytest.raises(ZeroDivisionError):
            await divide()
        found, state = await nodes(running), await running.hub.state("p")
        [line] = await events(running, "log")
    for name in ("outer", "inner"):
        assert (found[name]["status"], found[name]["message"]) == (
            "failed",
            "ZeroDivisionError: division by zero",
        )
    assert "1 / 0" in line["message"]
    assert (line["level"], line["node_id"], state.top["state"]) == ("error", "inner", "failed")


async def test_a_cancelled_run_says_so() -> None:
    async with real_hub(lifecycle="enforce") as running:
        with trio.CancelScope() as scope:
            async with open_run(running.url, "p") as run:
                with run.node("slow"):
                    scope.cancel()
                    await trio.sleep_forever()
        assert scope.cancelled_caught
        assert (await nodes(running))["slow"]["status"] == "cancelled"
        assert (await running.hub.state("p")).top["state"] == "cancelled"


@pytest.mark.parametrize("end", [KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
async def test_what_breaks_off_is_no_failure(end: type[BaseException]) -> None:
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p") as run:
        with pytest.raises(end), run.node("n"):
            raise end
        await run.flush()
        assert (await nodes(running))["n"]["status"] == "cancelled"


async def test_a_node_that_failed_may_be_tried_again_and_one_that_is_done_be_done_anew() -> None:
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p", strict=True) as run:
        with pytest.raises(LookupError), run.node("n"):
            raise LookupError
        with run.node("n", title="again"):
            pass
        with run.node("n", title="anew"), pytest.raises(ValueError, match="running already"):
            run.node("n").__enter__()
        await run.flush()
        assert await statuses(running, "n") == [
            *("running", "failed", "ready", "running", "completed"),
            *("running", "completed"),
        ]
        found = (await nodes(running))["n"]
    assert (found["attempt"], found["title"]) == (3, "anew")
    assert "message" not in found


@pytest.mark.parametrize(
    "error",
    [
        ValueError("what"),
        KeyError("k"),
        trio.TooSlowError(),
        type("Own", (Exception,), {"__str__": lambda self: 1 / 0})(),
        OSError(2, "No such file"),
    ],
)
def test_the_message_is_the_tracebacks_last_line(error: Exception) -> None:
    if "Own" in repr(type(error)):
        assert last_line(error).endswith("Own: (its text cannot be made)")
    else:
        assert last_line(error) == traceback.format_exception_only(error)[-1].strip()


def test_the_message_of_a_group_is_its_only_failures() -> None:
    cancelled = BaseExceptionGroup("", [KeyboardInterrupt(), ValueError("x\ny")])
    assert last_line(cancelled) == "ValueError: x …"
    assert not is_cancellation(cancelled)
    assert is_cancellation(BaseExceptionGroup("", [KeyboardInterrupt(), asyncio.CancelledError()]))
    assert last_line(ExceptionGroup("two", [ValueError(), OSError()])).startswith("ExceptionGroup: two")


@pytest.mark.parametrize(
    "bad", [{"status": "running"}, {"progress": "x"}, {"deleted": True}, {"a": object()}]
)
async def test_what_a_node_cannot_have_is_refused_where_it_is_said(bad: Json) -> None:
    async with real_hub() as running, open_run(running.url, "p", strict=True) as run:
        with run.node("n") as step:
            with pytest.raises(ValueError, match=next(iter(bad)) if "a" not in bad else "JSON"):
                step.update(**bad)
            with pytest.raises(ValueError, match="expected a number"):
                step.progress(float("nan"))
        with pytest.raises(ValueError, match="1-512"):
            run.node("")
        with pytest.raises(ValueError, match="project_id"):
            TrioRun(run.orchestrator, "a b", {})


async def test_fresh_begins_with_an_empty_tree() -> None:
    async with real_hub() as running:
        for name in ("old", "new"):
            async with open_run(running.url, "p", fresh=True) as run:
                with run.node(name):
                    pass
        assert list(await nodes(running)) == ["new"]


@pytest.mark.parametrize("place", [0, 2, 4])
async def test_what_the_hub_refuses_takes_nothing_else_with_it(
    place: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with real_hub(limits={"max_node_size": 1024}) as running, open_run(running.url, "p") as run:
        with run.node("n") as step:
            for number in range(5):
                step.log(f"line {number}")
                if number == place:
                    run.node("too big", text="x" * 2000).__enter__()
        await run.flush()
        assert (await nodes(running))["n"]["status"] == "completed"
        assert [one["message"] for one in await events(running, "log")] == [f"line {n}" for n in range(5)]
        assert (await nodes(running))["too big"].keys() == {
            "status",
            "started_at",
            "parent_id",
        }
        assert run.statistics().lost == 1
    assert caplog.text.count("lost: node_update of node 'too big' (text): node_too_large") == 1


async def test_an_orchestrator_that_is_open_may_carry_several_runs() -> None:
    async with real_hub() as running, open_orchestrator(running.url, "o") as orchestrator:
        async with open_run(orchestrator, "p") as one, open_run(orchestrator, "q") as two:
            with one.node("a") as a, two.node("b"):
                assert current_run() is two
                with two.node("c"):
                    pass
                with one.node("d", parent=a):
                    pass
        assert (await nodes(running, "q"))["c"]["parent_id"] == "b"
        assert set(await nodes(running)) == {"a", "d"}


async def test_a_run_without_a_hub_goes_on_and_says_so_at_the_end() -> None:
    async def no_hub(peer: Peer) -> None:
        await peer.close(4003)

    reached = False

    async def work(url: str) -> None:
        nonlocal reached
        async with open_run(url, "p", strict=True) as run:
            with run.node("n") as step:
                step.progress(1)
            with pytest.raises(ConnectionLost):
                await run.flush()
            async with run.node("m"):
                reached = True

    async with fake_hub(no_hub) as hub:
        with pytest.raises(ConnectionLost):
            await work(hub.url)
        with pytest.raises(OSError, match="mine"):
            async with open_run(hub.url, "p"):
                raise OSError("mine")
    assert reached


# --- questions --------------------------------------------------------------------------------------------


async def test_a_node_that_asks_is_in_review_meanwhile() -> None:
    async with real_hub(lifecycle="enforce") as running, open_run(running.url, "p") as run:
        async with trio.open_nursery() as nursery:

            async def answer() -> None:
                prompt = await prompted(running.url)
                assert (prompt["node_id"], prompt["message"]) == ("deploy", "Deploy?")
                while (await nodes(running))["deploy"]["status"] != "review":
                    await run.flush()
                async with open_api_client(running.url) as desk:
                    await desk.answer(prompt["prompt_id"], True)

            nursery.start_soon(answer)
            with run.node("deploy") as step:
                assert await step.ask("Deploy?") == Answer(True)
                assert step.status == "running"
        await run.flush()
        assert await statuses(running, "deploy") == ["running", "review", "running", "completed"]


async def test_a_failure_in_review_is_told_as_the_lifecycle_wants_it() -> None:
    async with real_hub(lifecycle="enforce", auth=auth()) as running:
        async with open_run(running.url, "p", token=token(push=["p"], watch=["p"])) as run:
            with pytest.raises(Exception, match="forbidden"), run.node("n") as step:
                await step.ask("?", user_id="somebody else")
            await run.flush()
        found = await nodes(running)
    assert (found["n"]["status"], found["n"]["message"].partition(":")[0]) == (
        "failed",
        "tasktree_rt.errors.RequestRefused",
    )


async def test_a_run_takes_the_commands_of_its_project() -> None:
    async with real_hub() as running, open_run(running.url, "p", commands=True) as run:
        await run.flush()
        async with open_api_client(running.url) as desk:
            await desk.command("p", "pause")
        command = await anext(run.commands())
        await command.done()
        assert command.name == "pause"


# --- logging ----------------------------------------------------------------------------------------------


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger("tests.runs")
    found.setLevel(logging.DEBUG)
    found.propagate = False
    yield found
    for handler in list(found.handlers):
        found.removeHandler(handler)


async def test_log_records_become_lines_of_the_current_node(logger: logging.Logger) -> None:
    async with real_hub() as running, open_run(running.url, "p") as run:
        logger.addHandler(NodeHandler(logging.INFO, run=run))
        logger.info("outside")
        with run.node("n"):
            logger.debug("too small")
            logger.warning("hello %s", "you")
            try:
                raise OSError("broken")
            except OSError:
                logger.exception("it failed")
        await run.flush()
        lines = await events(running, "log")
    assert [(one["level"], one.get("node_id"), one["logger"]) for one in lines] == [
        ("info", None, "tests.runs"),
        ("warning", "n", "tests.runs"),
        ("error", "n", "tests.runs"),
    ]
    assert lines[1]["message"] == "hello you"
    assert lines[2]["message"].startswith("it failed\nTraceback")
    assert lines[2]["message"].endswith("OSError: broken")


def test_records_outside_of_every_node_are_left_alone(logger: logging.Logger) -> None:
    logger.addHandler(NodeHandler())
    logger.error("nobody listens")


async def test_what_the_client_logs_while_sending_is_not_sent() -> None:
    client = logging.getLogger("httpx")
    before = client.level
    handlers: list[logging.Handler] = []

    def program(url: str) -> None:
        with Run(url, "p") as run:
            handlers.append(NodeHandler(run=run))
            client.addHandler(handlers[0])
            run.log("one")
            assert run.flush(30)
            assert run.statistics().taken == 2

    client.setLevel(logging.INFO)
    try:
        async with real_hub() as running:
            await trio.to_thread.run_sync(program, running.url)
            assert [one["message"] for one in await events(running, "log")] == ["one"]
    finally:
        client.removeHandler(handlers[0])
        client.setLevel(before)
