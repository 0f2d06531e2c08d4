"""Nodes that call a model, and runs of a series, from a program."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from tasktree_rt.client import Run, open_run
from tasktree_rt.core.usage import as_json
from tests.client.running import nodes
from tests.web.realhub import real_hub


async def test_a_call_of_a_model_says_what_it_used_and_a_retry_adds_up() -> None:
    async with real_hub(lifecycle="enforce") as running:
        async with open_run(running.url, "p") as run:
            with run.node("agent", kind="agent"):
                with suppress(OSError), run.node("plan", kind="llm", model="m") as call:
                    call.usage(input_tokens=10, cost_usd=0.5)
                    raise OSError("overloaded")
                with run.node("plan", input=[{"role": "user", "content": "hi"}]) as call:
                    call.usage(input_tokens=1)
                    call.usage(input_tokens=20, output_tokens=5, cost_usd=0.25)
                    call.update(output="hello")
        found = await nodes(running)
        tree = (await running.hub.history.existing("p")).tree
        assert as_json(tree.used_in("agent")) == {
            "input_tokens": 30,
            "output_tokens": 5,
            "total_tokens": 35,
            "cost_usd": 0.75,
        }
    plan = found["plan"]
    assert (plan["kind"], plan["model"], plan["attempt"]) == ("llm", "m", 2)
    assert plan["usage"] == {"input_tokens": 20, "output_tokens": 5}
    assert plan["ended_usage"] == {"input_tokens": 10, "total_tokens": 10, "cost_usd": 0.5}
    assert (plan["input"], plan["output"]) == ([{"role": "user", "content": "hi"}], "hello")


async def test_a_run_names_its_series() -> None:
    async with real_hub(lifecycle="enforce") as running:
        async with open_run(running.url, "p", title="N", series="nightly", number=212):
            pass

        def threads() -> None:
            with Run(running.url, "q", series="nightly", number="2b"):
                pass

        await trio.to_thread.run_sync(threads)
        tops = [(await running.hub.state(name)).top["project"] for name in ("p", "q")]
    assert tops == [{"title": "N", "series": "nightly", "run": 212}, {"series": "nightly", "run": "2b"}]


async def test_what_an_enforcing_hub_would_refuse_is_refused_at_the_call() -> None:
    async with real_hub() as running, open_run(running.url, "p", strict=True) as run:
        with run.node("n") as call:
            with pytest.raises(ValueError, match=r"changes\.usage\.input_tokens: expected an integer from 0"):
                call.usage(input_tokens=-1)
            with pytest.raises(ValueError, match=r"changes\.cost_usd"):
                call.usage(cost_usd=-1)
            with pytest.raises(ValueError, match=r"changes\.model"):
                call.update(model=5)
        with pytest.raises(ValueError, match=r"changes\.series"):
            run.update(series="")
