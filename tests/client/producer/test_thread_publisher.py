import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from textwrap import dedent
from typing import Any

import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.client import Backoff, Publisher
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused
from tests.client.fakehub import Json, node_event
from tests.client.joining.programs import ran, silent_hub
from tests.client.running import nodes
from tests.web.realhub import real_hub

AT_ONCE = Backoff(base=0.0, cap=0.0)
PATIENCE = 30.0


@define
class Hub:
    """Keeps what is posted, once per key. `meet` may answer in its place."""

    meet: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
    keys: list[str] = field(factory=list)
    batches: list[tuple[str, list[Json]]] = field(factory=list)
    requests: list[httpx.Request] = field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.meet(request)
        return answer or self.keep(request)

    def keep(self, request: httpx.Request) -> httpx.Response:
        key = request.headers["Idempotency-Key"]
        duplicate = key in self.keys
        if not duplicate:
            self.keys.append(key)
            project = request.url.path.removeprefix("/api/v1/projects/").removesuffix("/events")
            self.batches.append((project, json.loads(request.content)))
        return httpx.Response(200, json={"positions": [], "duplicate": duplicate})

    def kept(self, project: str = "p") -> list[str]:
        return [one["data"]["node_id"] for name, batch in self.batches if name == project for one in batch]


def refused(code: str, status: int = 400) -> httpx.Response:
    return httpx.Response(
        status, json={"title": "no", "detail": "because", "code": code, "field": "events[0]"}
    )


def publisher(hub: Hub, **options: Any) -> Publisher:
    options.setdefault("backoff", AT_ONCE)
    return Publisher("http://hub", "prod", transport=httpx.MockTransport(hub), **options)


@define
class Gate:
    """A hub that lets no request through until it is opened."""

    hub: Hub = field(factory=Hub)
    entered: threading.Event = field(factory=threading.Event)
    opened: threading.Event = field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self.hub.meet = self.wait

    def wait(self, request: httpx.Request) -> httpx.Response | None:
        self.entered.set()
        assert self.opened.wait(PATIENCE)
        return None


def test_events_arrive_in_order_under_keys_and_the_producers_name() -> None:
    hub = Hub()
    with publisher(hub, token="t") as one:
        for number in range(10):
            one.publish(node_event(number))
        assert one.flush(PATIENCE)
        counts = one.statistics()
    assert hub.kept() == [f"n{number}" for number in range(10)]
    assert (counts.published, counts.delivered, counts.waiting) == (10, 10, 0)
    headers = hub.requests[0].headers
    assert (headers["Producer-Id"], headers["Authorization"]) == ("prod", "Bearer t")
    assert hub.requests[0].url == "http://hub/api/v1/projects/p/events"


def test_what_waits_for_one_project_goes_out_together_and_projects_take_turns() -> None:
    gate = Gate()
    with publisher(gate.hub) as one:
        one.publish(node_event(0))
        assert gate.entered.wait(PATIENCE)
        for number in range(1, 1201):
            one.publish(node_event(number, "p" if number % 2 else "q"))
        gate.opened.set()
        assert one.flush(PATIENCE)
    sizes = [(project, len(batch)) for project, batch in gate.hub.batches]
    assert sizes == [("p", 1), ("p", 500), ("q", 500), ("p", 100), ("q", 100)]


def test_the_convenient_ways_make_the_events_of_the_protocol() -> None:
    hub = Hub()
    with publisher(hub) as one:
        one.node_update("p", "n", title="T")
        one.state_transition("p", "done", node_id="n")
        one.log("p", "line")
    events = [event for _, batch in hub.batches for event in batch]
    assert [event["type"] for event in events] == ["node_update", "state_transition", "log"]
    assert all(event["timestamp"].endswith("Z") for event in events)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_failure_for_now_is_tried_again_under_the_same_key(status: int) -> None:
    failures = iter([status, status])
    hub = Hub(lambda request: httpx.Response(code) if (code := next(failures, None)) else None)
    with publisher(hub) as one:
        one.publish(node_event(1))
        assert one.flush(PATIENCE)
        assert one.statistics().retries == 2
    assert len({request.headers["Idempotency-Key"] for request in hub.requests}) == 1
    assert hub.kept() == ["n1"]


def test_an_answer_that_was_lost_costs_no_second_copy() -> None:
    hub = Hub()
    lost = iter([True])

    def lose_one(request: httpx.Request) -> httpx.Response | None:
        if next(lost, False):
            hub.keep(request)
            raise httpx.ReadTimeout("no answer")
        return None

    hub.meet = lose_one
    with publisher(hub) as one:
        one.publish(node_event(1))
        one.publish(node_event(2))
    assert hub.kept() == ["n1", "n2"]


def test_what_is_refused_for_good_fails_alone_and_the_rest_arrives_in_order() -> None:
    gate = Gate()

    def judge(request: httpx.Request) -> httpx.Response | None:
        gate.wait(request)
        bad = any(event["data"]["node_id"] in ("n3", "n7") for event in json.loads(request.content))
        return refused("invalid_event") if bad else None

    gate.hub.meet = judge
    told: list[tuple[str, list[Json], ClientError]] = []
    with publisher(gate.hub, on_error=lambda p, e, why: told.append((p, json.loads(e), why))) as one:
        for number in range(10):
            one.publish(node_event(number))
        gate.opened.set()
        assert one.flush(PATIENCE)
        counts = one.statistics()
    assert gate.hub.kept() == [f"n{number}" for number in (0, 1, 2, 4, 5, 6, 8, 9)]
    assert (counts.delivered, counts.refused) == (8, 2)
    assert [(project, events[0]["data"]["node_id"]) for project, events, _ in told] == [
        ("p", "n3"),
        ("p", "n7"),
    ]
    assert isinstance(told[0][2], PublishRefused)
    assert (told[0][2].code, told[0][2].field) == ("invalid_event", "events[0]")


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthorized"), (403, "forbidden"), (404, "http_404"), (409, "project_damaged")],
)
def test_a_refusal_that_concerns_every_event_is_not_tried_event_by_event(status: int, code: str) -> None:
    gate = Gate()

    def refuse(request: httpx.Request) -> httpx.Response | None:
        gate.wait(request)
        return refused(code, status)

    gate.hub.meet = refuse
    told: list[ClientError] = []
    with publisher(gate.hub, on_error=lambda p, e, why: told.append(why)) as one:
        one.publish(node_event(0))
        assert gate.entered.wait(PATIENCE)
        for number in range(1, 10):
            one.publish(node_event(number))
        gate.opened.set()
        assert one.flush(PATIENCE)
    assert len(gate.hub.requests) == 2
    assert len(told) == 10


def test_a_full_queue_makes_publishing_wait_where_it_is_told_so() -> None:
    gate = Gate()
    with publisher(gate.hub, max_waiting=2) as one:
        one.publish(node_event(1))
        assert gate.entered.wait(PATIENCE)
        one.publish(node_event(2))
        with pytest.raises(TimeoutError):
            one.publish(node_event(3), timeout=0.0)
        waiting = threading.Thread(target=lambda: one.publish(node_event(4), timeout=PATIENCE))
        waiting.start()
        gate.opened.set()
        waiting.join(PATIENCE)
        assert one.flush(PATIENCE)
    assert gate.hub.kept() == ["n1", "n2", "n4"]


def test_a_full_queue_holds_nobody_up_and_what_finds_no_room_is_counted() -> None:
    gate = Gate()
    with publisher(gate.hub, max_waiting=2) as one:
        one.publish(node_event(1))
        assert gate.entered.wait(PATIENCE)
        for number in range(2, 10):
            one.publish(node_event(number))
        found = one.statistics()
        assert (found.published, found.waiting, found.lost) == (9, 2, 7)
        assert found.last_error == "the queue of the publisher is full"
        gate.opened.set()
    assert gate.hub.kept() == ["n1", "n2"]


async def test_leaving_a_program_is_bounded_where_the_hub_hangs_and_says_what_is_lost() -> None:
    code = """
    from tasktree_rt.client import Publisher
    with Publisher(os.environ["TASKTREE_RT_HUB"], "p", exit_timeout=0.4) as one:
        one.node_update("p", "n", status="running")
    print("left")
    """
    with silent_hub() as url:
        ended, errors = await ran("import os\n" + dedent(code), url)
    assert ended == 0
    assert f"1 event of a publisher did not get to the hub at {url}" in errors


async def test_what_a_forked_child_publishes_arrives() -> None:
    code = """
    import os
    from tasktree_rt.client import Publisher
    publisher = Publisher(os.environ["TASKTREE_RT_HUB"], "p", exit_timeout=100)
    publisher.node_update("p", "parent", status="running")
    child = os.fork()
    if not child:
        publisher.node_update("p", "child", status="running")
        os._exit(0 if publisher.flush(100) else 1)
    assert os.waitpid(child, 0)[1] == 0
    """
    async with real_hub() as running:
        assert await ran(code, running.url) == (0, "")
        assert set(await nodes(running)) == {"parent", "child"}


def test_flush_tells_whether_all_is_delivered() -> None:
    gate = Gate()
    with publisher(gate.hub) as one:
        one.publish(node_event(1))
        assert not one.flush(0.0)
        gate.opened.set()
        assert one.flush(PATIENCE)


def test_what_is_left_on_closing_is_counted_and_told() -> None:
    tried = threading.Event()

    def refuse(request: httpx.Request) -> httpx.Response:
        tried.set()
        return httpx.Response(503)

    hub = Hub(refuse)
    told: list[ClientError] = []
    one = publisher(hub, backoff=Backoff(1000.0, 1000.0), on_error=lambda p, e, why: told.append(why))
    one.publish(node_event(1))
    one.publish(node_event(2, "q"))
    assert tried.wait(PATIENCE)
    one.close(timeout=0.0)
    counts = one.statistics()
    assert (counts.published, counts.lost, counts.waiting) == (2, 2, 0)
    assert len(told) == 2
    assert all(isinstance(why, ConnectionLost) for why in told)
    with pytest.raises(ConnectionLost):
        one.publish(node_event(3))
    one.close()


def test_loss_is_logged_if_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with publisher(Hub(lambda request: refused("project_full", 409))) as one:
        one.publish(node_event(1))
    assert "project_full" in caplog.text


def test_a_callback_that_fails_does_not_stop_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    def fail(project: str, events: bytes, why: ClientError) -> None:
        raise ZeroDivisionError

    refusals = iter([refused("invalid_event")])
    hub = Hub(lambda request: next(refusals, None))
    with publisher(hub, on_error=fail) as one:
        one.publish(node_event(1))
        assert one.flush(PATIENCE)
        one.publish(node_event(2))
    assert hub.kept() == ["n2"]
    assert "on_error failed" in caplog.text


def test_it_may_be_closed_from_its_own_callback() -> None:
    closed = threading.Event()

    def close(project: str, events: bytes, why: ClientError) -> None:
        one.close()
        closed.set()

    one = publisher(Hub(lambda request: refused("invalid_event")), on_error=close)
    one.publish(node_event(1))
    assert closed.wait(PATIENCE)
    one.close()


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([], "invalid_event"),
        ({"type": "x", "project_id": "p", "data": object()}, "invalid_event"),
        ({"type": "x"}, "invalid_project_id"),
        ({"type": "x", "project_id": ["p"]}, "invalid_project_id"),
        ([node_event(1), node_event(2, "q")], "mixed_projects"),
        ({"type": "x", "project_id": "p", "data": {"x": "y" * 2000}}, "too_large"),
    ],
)
def test_what_no_hub_would_take_is_refused_at_once(events: Any, code: str) -> None:
    with publisher(Hub(), max_message_size=1000) as one:
        with pytest.raises(PublishRefused) as caught:
            one.publish(events)
        assert caught.value.code == code
        assert one.statistics().published == 0


def test_any_number_of_threads_may_publish() -> None:
    hub = Hub()
    with publisher(hub, max_waiting=20) as one:

        def work(worker: int) -> None:
            for number in range(50):
                one.publish(node_event(number, f"p{worker}"), timeout=PATIENCE)

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert one.flush(PATIENCE)
    for worker in range(4):
        assert hub.kept(f"p{worker}") == [f"n{number}" for number in range(50)]


FATES = st.lists(st.sampled_from(["keep", "keep and lose the answer", "lose", "refuse for now"]), max_size=20)


@given(FATES, st.integers(0, 15), st.sets(st.integers(0, 14), max_size=3))
@settings(max_examples=40)
def test_whatever_happens_each_event_is_kept_once_in_order(
    fates: list[str], publishes: int, bad: set[int]
) -> None:
    hub, coming = Hub(), iter(fates)
    names = {f"n{number}" for number in bad}

    def meet(request: httpx.Request) -> httpx.Response | None:
        if any(event["data"]["node_id"] in names for event in json.loads(request.content)):
            return refused("invalid_event")
        fate = next(coming, "keep")
        if fate == "keep and lose the answer":
            hub.keep(request)
        if "lose" in fate:
            raise httpx.ReadError("broken off")
        return httpx.Response(503) if fate == "refuse for now" else None

    hub.meet = meet
    with publisher(hub, on_error=lambda *_: None) as one:
        for number in range(publishes):
            one.publish(node_event(number))
        assert one.flush(PATIENCE)
        counts = one.statistics()
    assert hub.kept() == [f"n{number}" for number in range(publishes) if number not in bad]
    assert counts.refused == len([number for number in bad if number < publishes])


# --- over a real socket -----------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[tuple[str, list[Json]]]:
    """A real HTTP server: its address, and the events posted to it."""
    kept: list[Json] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            kept.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", kept
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_posts_to_a_real_server(served: tuple[str, list[Json]]) -> None:
    url, kept = served
    with Publisher(url, "prod") as one:
        one.publish([node_event(1), node_event(2)])
    assert kept == [node_event(1), node_event(2)]


def test_a_program_that_forgets_to_close_loses_nothing(served: tuple[str, list[Json]]) -> None:
    url, kept = served
    program = (
        "from tasktree_rt.client import Publisher\n"
        f"publisher = Publisher({url!r}, 'prod')\n"
        "for number in range(100):\n"
        "    publisher.node_update('p', f'n{number}', progress=1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert [event["data"]["node_id"] for event in kept] == [f"n{number}" for number in range(100)]
