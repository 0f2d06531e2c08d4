"""OpenTelemetry's protocol over HTTP, against a hub behind a real server."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest
import trio

from tasktree_rt.core.events import Json
from tasktree_rt.settings import Otlp, Rates, Settings, UnfitSetting
from tasktree_rt.web.otlp.upkeep import Upkeep
from tasktree_rt.web.server.listeners import open_all
from tests.dialects.otlp.encode import (
    PROJECT,
    START,
    TRACE,
    as_json,
    as_protobuf,
    described,
    logs_as_protobuf,
    span_id,
)
from tests.web.realhub import RealHub, auth, real_hub, token
from tests.web.serving import small

PROTOBUF: Final = "application/x-protobuf"
SPANS: Final = (described(2, 1), described(1))
BOMB: Final = b"\0" * (8 * 1024 * 1024)


async def post(
    running: RealHub, body: bytes, *, path: str = "/v1/traces", kind: str = PROTOBUF, **headers: str
) -> httpx.Response:
    """Send a request as an exporter does."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with running.http() as http:
        return await http.post(path, content=body, headers={"Content-Type": kind, **named})


def fields(running: RealHub, node: int, project: str = PROJECT) -> Json:
    found = running.hub.cache.get(project)
    return {} if found is None else found.tree.fields(span_id(node))


def events(running: RealHub, project: str = PROJECT) -> int:
    found = running.hub.cache.get(project)
    return 0 if found is None else found.tree.head


def metric(running: RealHub, name: str, **labels: str) -> float:
    return running.hub.meter.registry.get_sample_value(f"tasktree_otlp_{name}_total", labels) or 0


@asynccontextmanager
async def a_hub(**settings: Any) -> AsyncIterator[RealHub]:
    async with real_hub(**settings) as running:
        yield running


@pytest.mark.parametrize("coding", ["", "identity", "gzip", "deflate", "raw"])
async def test_spans_become_nodes_in_every_coding(coding: str) -> None:
    plain = as_protobuf(*SPANS, service_name="demo")
    compressor = zlib.compressobj(wbits=-15)
    body = {
        "gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw": compressor.compress(plain) + compressor.flush(),
    }.get(coding, plain)
    coding = "deflate" if coding == "raw" else coding
    async with a_hub() as running:
        found = await post(running, body, **({"Content-Encoding": coding} if coding else {}))
        assert (found.status_code, found.content) == (200, b"")
        assert found.headers["Content-Type"] == PROTOBUF
        assert fields(running, 2)["parent_id"] == span_id(1)
        assert fields(running, 1)["status"] == "completed"
        assert metric(running, "members", signal="spans") == 2


async def test_json_is_answered_in_json() -> None:
    async with a_hub() as running:
        found = await post(running, as_json(*SPANS), kind="application/json; charset=utf-8")
        assert (found.status_code, found.json()) == (200, {})
        assert fields(running, 1)["title"] == "s1"
        bad = as_json(described(3, trace_id="0" * 32), described(4))
        found = await post(running, bad, kind="application/json")
        message = "trace_id: expected 16 bytes that are not all 0"
        assert found.json() == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": message}}
        assert metric(running, "rejected", code="invalid_message") == 1
        assert fields(running, 4)["title"] == "s4"


async def test_a_repeated_request_stores_nothing_twice() -> None:
    event = {"time": START, "name": "exception", "attributes": {"exception.type": "E"}}
    body = as_protobuf(*(described(n, 1 if n > 1 else 0, events=[event]) for n in range(1, 80)))
    async with a_hub() as running:
        assert (await post(running, body)).status_code == 200
        stored = events(running)
        assert (await post(running, body)).status_code == 200
        assert events(running) == stored
        # Not so a request that says something else.
        assert (await post(running, as_protobuf(described(1)))).status_code == 200
        assert events(running) > stored


@pytest.mark.parametrize(
    ("body", "kind", "coding", "status", "says"),
    [
        (b"\x0b", PROTOBUF, "", 400, "wire type"),
        (b"{", "application/json", "", 400, "no OTLP request"),
        (b"x", PROTOBUF, "gzip", 400, "not valid gzip"),
        (b"x", PROTOBUF, "deflate", 400, "not valid deflate"),
        (gzip.compress(b"", mtime=0) + b"x", PROTOBUF, "gzip", 400, "after the end"),
        (b"", "text/plain", "", 415, "application/x-protobuf"),
        (b"", PROTOBUF, "br", 415, "gzip, deflate"),
        (b"x" * 70_000, PROTOBUF, "", 413, ""),
        (gzip.compress(BOMB, mtime=0), PROTOBUF, "gzip", 413, "65536 bytes"),
        (zlib.compress(BOMB), PROTOBUF, "deflate", 413, "65536 bytes"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
async def test_a_bad_request_is_refused_in_its_own_encoding(
    body: bytes, kind: str, coding: str, status: int, says: str
) -> None:
    limits = Otlp(max_request=65_536, max_waiting_bytes=1 << 20)
    async with a_hub(otlp=limits) as running:
        found = await post(running, body, kind=kind, **({"Content-Encoding": coding} if coding else {}))
        assert found.status_code == status
        if kind == "application/json":
            assert says in found.json()["message"]
        else:
            assert found.headers["Content-Type"] == PROTOBUF
            assert found.content[:1] == b"\x08"  # google.rpc.Status.code
            assert says.encode() in found.content
        # The hub goes on.
        assert (await post(running, as_protobuf(described(1)))).status_code == 200


async def test_a_body_may_be_larger_than_a_message() -> None:
    large = as_protobuf(*(described(n, attributes={"a": "x" * 60_000}) for n in range(1, 90)))
    async with a_hub(limits={"max_message_size": 1_048_576}) as running:
        assert len(large) > 5 * 1_048_576
        assert (await post(running, large)).status_code == 200
        assert len(fields(running, 89)["attributes"]["a"]) == 1_024
        assert (await post(running, large, path="/api/v1/broadcast")).status_code == 413


async def test_who_may_push_where() -> None:
    mine = described(1, attributes={"tasktree.project": "mine"})
    other = described(2, attributes={"tasktree.project": "other"})
    async with a_hub(auth=auth()) as running:
        assert (await post(running, as_protobuf(mine))).status_code == 401
        bearer = f"Bearer {token(push=['mine'])}"
        found = await post(running, as_protobuf(other), Authorization=bearer)
        assert found.status_code == 403
        found = await post(running, as_protobuf(mine, other), Authorization=bearer)
        assert found.status_code == 200
        assert b"other" in found.content
        assert fields(running, 1, "mine")["title"] == "s1"
        assert events(running, "other") == 0
        assert metric(running, "rejected", code="forbidden") == 2


async def test_what_one_caller_says_of_a_trace_leads_no_others_spans_away() -> None:
    async with a_hub(auth=auth()) as running:
        eve = f"Bearer {token(subject='eve', push=['evil'])}"
        ada = f"Bearer {token(subject='ada', push=['*'])}"
        declared = described(1, attributes={"tasktree.project": "evil"})
        assert (await post(running, as_protobuf(declared), Authorization=eve)).status_code == 200
        assert (await post(running, as_protobuf(described(2, 1)), Authorization=ada)).status_code == 200
        assert fields(running, 2)["title"] == "s2"
        assert fields(running, 2, "evil") == {}


async def test_spans_of_other_programs_follow_the_project_of_their_trace() -> None:
    async with a_hub() as running:
        await post(running, as_protobuf(described(1, attributes={"tasktree.project": "build-7"})))
        await post(running, as_protobuf(described(2, 1), service_name="other"))
        await post(running, as_protobuf(described(3, trace_id="a" * 32), tasktree_project="job"))
        assert fields(running, 2, "build-7")["service"] == "other"
        assert fields(running, 3, "job")["title"] == "s3"


async def test_an_overloaded_hub_says_when_to_come_again() -> None:
    async with a_hub(rates=Rates(events_per_project=1.0, burst=1.0)) as running:
        spans = [described(n) for n in range(1, 40)]
        answers = [await post(running, as_protobuf(*spans[at : at + 13])) for at in (0, 13, 26)]
        assert {one.status_code for one in answers} == {200, 429}
        assert all(int(one.headers["Retry-After"]) >= 1 for one in answers if one.status_code == 429)
    limits = Otlp(max_request=1 << 20, max_waiting_bytes=2 << 20)
    async with a_hub(otlp=limits) as running:
        with trio.fail_after(60):
            # A body that is announced but does not come holds room for as long as it is waited for.
            host, _, port = running.url.removeprefix("http://").partition(":")
            stream = await trio.open_tcp_stream(host, int(port))
            head = f"POST /v1/traces HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {PROTOBUF}\r\n"
            await stream.send_all(f"{head}Content-Length: {1 << 20}\r\n\r\n".encode())
            found = await post(running, as_protobuf(described(1)))
            while found.status_code == 200:  # until the other request has arrived
                found = await post(running, as_protobuf(described(1)))
        assert (found.status_code, found.headers["Retry-After"]) == (429, "1")
        await stream.aclose()


async def test_a_hub_that_stops_lets_the_exporter_repeat() -> None:
    async with a_hub() as running:
        running.hub.stopping.begun = True
        found = await post(running, as_protobuf(described(1)))
        assert (found.status_code, found.headers["Retry-After"]) == (503, "1")


async def test_metrics_are_read_and_dropped() -> None:
    async with a_hub() as running:
        found = await post(running, b"\x0a\x00", path="/v1/metrics")
        assert (found.status_code, found.content) == (200, b"")
        found = await post(running, b"{}", path="/v1/metrics", kind="application/json")
        assert (found.status_code, found.json()) == (200, {})


async def test_log_records_are_lines_of_their_nodes() -> None:
    records: list[Json] = [
        {"body": "in a span", "trace_id": TRACE, "span_id": span_id(1), "severity": 13},
        {"body": "password=hunter2x", "attributes": {"tasktree.project": "build"}},
        {"body": "nobody's"},
    ]
    async with a_hub() as running:
        found = await post(running, logs_as_protobuf(*records), path="/v1/logs")
        assert (found.status_code, found.content) == (200, b"")
        assert metric(running, "members", signal="logs") == 2
        await post(running, logs_as_protobuf(*records), path="/v1/logs")
        assert (events(running), events(running, "build")) == (1, 1)
        lines = {}
        for project in (PROJECT, "build"):
            async with running.http() as http:
                (line,) = (await http.get(f"/api/v1/projects/{project}/events")).json()["events"]
            lines[project] = line["data"]
        assert lines == {
            PROJECT: {"node_id": span_id(1), "level": "warning", "message": "in a span"},
            "build": {"level": "info", "message": "password=•••"},
        }


@pytest.mark.parametrize(("auth_on", "expected"), [(False, "said"), (True, None)])
async def test_content_is_seen_where_only_this_machine_looks(auth_on: bool, expected: str | None) -> None:
    said = described(1, attributes={"gen_ai.tool.call.result": "said"})
    async with a_hub(**({"auth": auth()} if auth_on else {})) as running:
        found = await post(running, as_protobuf(said), Authorization=f"Bearer {token(push=['*'])}")
        assert found.status_code == 200
        assert fields(running, 1).get("output") == expected


async def test_one_span_that_does_not_fit_spoils_no_other() -> None:
    async with a_hub(limits={"max_node_size": 1_024}) as running:
        large = described(2, 1, attributes={f"a{n}": "x" * 1_000 for n in range(9)})
        found = await post(running, as_protobuf(described(1), large, described(3, 1)))
        assert found.status_code == 200
        assert metric(running, "rejected", code="node_too_large") == 1
        assert (fields(running, 1)["title"], fields(running, 3)["title"]) == ("s1", "s3")


async def test_two_requests_that_cross_make_one_tree() -> None:
    """A parent and its children in two requests at once: no provisional node stays."""
    async with a_hub() as running, trio.open_nursery() as nursery:
        for number in range(2, 12):
            nursery.start_soon(post, running, as_protobuf(described(number, 1)))
        nursery.start_soon(post, running, as_protobuf(described(1)))
    tree = running.hub.cache.get(PROJECT)
    assert tree is not None
    assert len(tree.tree) == 11
    assert not any("provisional" in node.fields for node in tree.tree.nodes.values())


async def test_a_trace_that_never_ends_is_settled() -> None:
    async with a_hub(otlp=Otlp(settle=0.05)) as running:
        await post(running, as_protobuf(described(2, 1), described(3, 1, end=0)))
        with trio.fail_after(60):
            while fields(running, 1).get("status") != "cancelled":  # noqa: ASYNC110 - a task of the hub's
                await trio.sleep(0.01)
        assert fields(running, 3)["status"] == "cancelled"
        assert fields(running, 2)["status"] == "completed"
        found = running.hub.cache.get(PROJECT)
        assert found is not None
        assert found.tree.top["state"] == "completed"
        assert metric(running, "settled") == 2


async def test_old_traces_are_deleted_and_so_are_the_oldest_beyond_the_limit() -> None:
    def ended(number: int, **more: Any) -> bytes:
        return as_protobuf(described(1, trace_id=f"{number:032x}", **more))

    async with a_hub(otlp=Otlp(max_projects=3)) as running:
        for number in range(1, 6):
            await post(running, ended(number, **({"end": 0} if number == 1 else {})))
        await post(running, as_protobuf(described(1, attributes={"tasktree.project": "mine"})))
        upkeep = running.hub.extensions.get(Upkeep, lambda: Upkeep(running.hub))
        await upkeep.sweep()
        kept = [number for number in range(1, 6) if events(running, f"trace:{number:032x}")]
        assert kept == [1, 4, 5]  # the first still runs
        assert events(running, "mine") == 1
    async with a_hub(otlp=Otlp(keep=0.000001)) as running:
        await post(running, ended(1))
        await post(running, ended(2, end=0))
        await running.hub.extensions.get(Upkeep, lambda: Upkeep(running.hub)).sweep()
        assert [events(running, f"trace:{number:032x}") > 0 for number in (1, 2)] == [False, True]


async def test_a_second_address_is_served_too() -> None:
    settings = small(otlp=Otlp(bind="127.0.0.1:0"))
    found = open_all(settings)
    try:
        assert [one.path for one in found] == [None, None]
        assert len({one.url for one in found}) == 2
    finally:
        for one in found:
            one.close()
    with pytest.raises(UnfitSetting, match=r"otlp\.bind"):
        Settings(otlp=Otlp(bind="0.0.0.0:4318"))
    assert Settings(insecure=True, otlp=Otlp(bind="0.0.0.0:4318")).otlp_content == "none"


async def test_a_browser_of_a_listed_origin_may_send_spans() -> None:
    async with a_hub(cors_origins=("https://page.example",)) as running:
        found = await post(running, as_json(*SPANS), kind="application/json", Origin="https://page.example")
        assert found.headers["Access-Control-Allow-Origin"] == "https://page.example"
        refused = await post(running, as_json(*SPANS), kind="application/json", Origin="https://evil.example")
        assert refused.status_code == 403
        assert json.loads(refused.content)["code"] == 7
