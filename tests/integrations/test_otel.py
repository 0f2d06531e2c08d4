"""`LiveSpanProcessor` with the real OpenTelemetry SDK, and a real hub.

The SDK is no part of this project's tools: `just test-integrations` installs it into an environment of its
own and runs these tests. Without it they are skipped.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import trio

pytest.importorskip("opentelemetry.sdk.trace", reason="just test-integrations installs the SDK")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="just test-integrations installs it")

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tasktree_rt.client import open_run
from tasktree_rt.integrations.otel import LiveSpanProcessor
from tests.web.realhub import RealHub, real_hub


def nodes(running: RealHub, project: str | None = None) -> dict[str, dict[str, Any]]:
    """The nodes of the only project, or of one, by title."""
    found = [one for one in running.hub.cache if project in (None, one.project_id) and one.epoch]
    return {one.fields["title"]: one.fields for each in found for one in each.tree.nodes.values()}


async def until(true: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not true():  # noqa: ASYNC110 - threads of the SDK's
            await trio.sleep(0.01)


def a_provider(running: RealHub, **options: Any) -> tuple[TracerProvider, LiveSpanProcessor]:
    provider = TracerProvider(resource=Resource.create({"service.name": "live"}))
    processor = LiveSpanProcessor(running.url, **{"delay": 0.01, "refresh": 0.01, **options})
    provider.add_span_processor(processor)
    return provider, processor


async def ended(provider: TracerProvider) -> None:
    await trio.to_thread.run_sync(provider.shutdown)


async def test_a_span_is_seen_while_it_runs_and_grows() -> None:
    async with real_hub() as running:
        provider, _ = a_provider(running)
        tracer = provider.get_tracer("demo")
        with tracer.start_as_current_span("build"):
            await until(lambda: nodes(running).get("build", {}).get("status") == "running")
            with tracer.start_as_current_span("compile") as inner:
                await until(lambda: "compile" in nodes(running))
                inner.set_attribute("file", "a.c")
                inner.add_event("cache miss")
                await until(lambda: nodes(running)["compile"].get("attributes") == {"file": "a.c"})
                assert nodes(running)["compile"]["status"] == "running"
            await until(lambda: nodes(running)["compile"]["status"] == "completed")
            assert nodes(running)["build"]["status"] == "running"
        await ended(provider)
        await until(lambda: nodes(running)["build"]["status"] == "completed")
        (project,) = (one for one in running.hub.cache if one.epoch)
        async with running.http() as http:
            logs = (await http.get(f"/api/v1/projects/{project.project_id}/events?type=log")).json()["events"]
        assert [one["data"]["message"] for one in logs] == ["cache miss"]


async def test_within_a_run_of_ours_spans_are_below_its_node() -> None:
    async with real_hub() as running:
        provider, _ = a_provider(running)
        async with open_run(running.url, "job") as run, run.node("step", title="step"):
            with provider.get_tracer("demo").start_as_current_span("chat"):
                pass
        await ended(provider)
        await until(lambda: "chat" in nodes(running, "job"))
        assert nodes(running, "job")["chat"]["parent_id"] == "step"


def test_an_open_span_that_does_not_change_is_told_again_so_that_the_hub_knows_that_it_runs() -> None:
    told = InMemorySpanExporter()
    processor = LiveSpanProcessor(exporter=told, refresh=3_600.0, keepalive=0.0)
    provider = TracerProvider()
    provider.add_span_processor(processor)
    span = provider.get_tracer("demo").start_span("long")
    processor.refresh()
    span.end()
    provider.force_flush()
    assert [one.end_time is None for one in told.get_finished_spans()] == [True, True, False]
    provider.shutdown()


def test_a_dead_hub_costs_the_program_nothing_while_it_runs() -> None:
    provider = TracerProvider()
    provider.add_span_processor(
        LiveSpanProcessor("http://127.0.0.1:9", delay=0.01, refresh=0.01, max_queue=16, exit_timeout=0.1)
    )
    done = threading.Event()

    def work() -> None:
        for number in range(2_000):
            with provider.get_tracer("demo").start_as_current_span(f"s{number}"):
                pass
        done.set()

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(60)
    provider.shutdown()


PROGRAM = """
import os
from opentelemetry import trace
tracer = trace.get_tracer("demo")
with tracer.start_as_current_span("parent"):
    if os.fork() == 0:
        with tracer.start_as_current_span("child"):
            pass
        trace.get_tracer_provider().force_flush()
        os._exit(0)
    os.wait()
"""


@pytest.fixture
def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TASKTREE_"))}
    return {
        **kept,
        "OTEL_TRACES_EXPORTER": "tasktree",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }


async def test_one_variable_is_enough_and_a_forked_childs_spans_arrive(environment: dict[str, str]) -> None:
    async with real_hub() as running:
        environment["TASKTREE_RT_HUB"] = running.url
        script = "from opentelemetry.sdk._configuration import _OTelSDKConfigurator as C; C().configure()\n"
        found = await trio.run_process([sys.executable, "-c", script + PROGRAM], env=environment)
        assert found.returncode == 0
        await until(lambda: nodes(running).get("parent", {}).get("status") == "completed")
        await until(lambda: nodes(running).get("child", {}).get("status") == "completed")


def test_a_provider_that_takes_no_processors_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    from tasktree_rt.integrations import otel

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
        assert otel.install() is None
    assert "takes no span processors" in caplog.text
