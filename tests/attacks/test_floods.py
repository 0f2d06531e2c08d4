"""Floods, and what uses up connections, memory, the store or the processor."""

from __future__ import annotations

import json

from tests.attacks.arena import MESSAGE, OPEN_PROMPTS, PER_ADDRESS, PER_SUBJECT, SUBSCRIPTIONS
from tests.attacks.attacker import OWN, Attacker, unhidden
from tests.attacks.table import attack
from tests.web.realhub import node_update
from tests.wsclient import TEXT, masked

KIND = "floods"
LARGE = "y" * 30_000


def fill(attacker: Attacker, project: str = OWN, nodes: int = 100) -> None:
    """Give the attacker's own project a state of some megabytes."""
    one = attacker.producer()
    for number in range(nodes):
        event = {"project_id": project, **node_update(f"n{number}", message=LARGE)}
        one.send(unhidden(json.dumps({"type": "publish", "id": number, "events": [event]}).encode()))
    for number in range(nodes):
        assert one.hear()["type"] == "ack", number


@attack(
    KIND,
    "a hundred connections at once, each with a handshake that is never finished",
    "408 and closed after `limits.handshake_timeout`",
)
def test_half_open_handshakes(attacker: Attacker) -> None:
    found = [attacker.socket() for _ in range(100)]
    for number, one in enumerate(found):
        one.send(b"GET /ws/updates HTTP/1.1\r\nUpgrade: websocket\r\n"[: 10 + number % 40])
    attacker.arena.deliver()
    attacker.later()
    assert {one.whole_answer().status for one in found} == {408}


@attack(KIND, "connections that come and go, by RST, FIN or silence", "each place is free again")
def test_churn_of_connections(attacker: Attacker) -> None:
    for number in range(150):
        one = attacker.socket()
        if number % 3 == 0:
            one.send(b"GET / HT")
            one.reset()
        elif number % 3 == 1:
            one.half_close()
        else:
            one.close()
    attacker.arena.deliver()


@attack(
    KIND,
    "more connections from one address than it may have",
    "503 with `Retry-After`, before a byte is read; other addresses are served as ever",
)
def test_a_flood_of_connections(attacker: Attacker) -> None:
    found = [attacker.socket() for _ in range(PER_ADDRESS + 20)]
    attacker.arena.deliver()
    answers = [one.whole_answer() for one in found[PER_ADDRESS:]]
    assert {answer.status for answer in answers} == {503}
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    assert attacker.http("GET", "/healthz", on=attacker.socket("127.0.0.77")).status == 200


@attack(KIND, "subscriptions without end", "`too_many_subscriptions` beyond `limits.max_subscriptions`")
def test_a_flood_of_subscriptions(attacker: Attacker) -> None:
    one = attacker.watcher()
    asked = [{"type": "subscribe", "id": n, "project_id": f"mallory-{n}"} for n in range(SUBSCRIPTIONS + 5)]
    codes = [one.ask(request).get("code") for request in asked]
    assert codes[-1] == "too_many_subscriptions"
    assert codes.count(None) <= SUBSCRIPTIONS


@attack(
    KIND,
    "a watcher that never reads, while its project gets many events",
    "its events are shed to a position; aborted after `delivery.stall_timeout`",
    keeps=True,
)
def test_a_watcher_that_never_reads(attacker: Attacker) -> None:
    silent = [attacker.websocket(receive_buffer=4096) for _ in range(20)]
    fill(attacker, nodes=120)
    attacker.arena.deliver()
    held = attacker.arena.held().counts["outbox bytes"]
    assert held <= len(silent) * 3 * MESSAGE, held
    attacker.later(2.0)
    attacker.arena.deliver()
    attacker.later(2.0)
    attacker.outlasted(at_most=1)


@attack(
    KIND,
    "large answers in parallel that are not read",
    "429 beyond `limits.max_large_answers`; aborted after `delivery.stall_timeout`",
    keeps=True,
)
def test_large_answers_in_parallel(attacker: Attacker) -> None:
    fill(attacker)
    readers = [attacker.socket(receive_buffer=4096) for _ in range(10)]
    for one in readers:
        attacker.asks(one, f"/api/v1/projects/{OWN}/state")
    attacker.arena.deliver()
    statuses = [one.answer()[0] for one in readers]
    assert statuses.count(200) == 4, statuses
    assert statuses.count(429) == 6, statuses
    attacker.later(2.0)
    attacker.later(2.0)


@attack(
    KIND,
    "publishes without end over WebSocket, whose answers are not read",
    "the hub stops to read at `limits.max_unacked`; others are served in turn",
    keeps=True,
)
def test_a_flood_of_publishes(attacker: Attacker) -> None:
    one = attacker.producer(receive_buffer=4096)
    event = {"project_id": OWN, **node_update("n", message="z" * 200)}
    data = b"".join(
        unhidden(json.dumps({"type": "publish", "id": n, "events": [event]}).encode()) for n in range(300)
    )
    with attacker.flooding(one, data):
        attacker.arena.held()
    attacker.later(2.0)


@attack(
    KIND,
    "publishes without end over HTTP on ten kept connections",
    "each is answered in turn; others are served as ever",
    keeps=True,
)
def test_a_flood_of_requests(attacker: Attacker) -> None:
    kept = [attacker.socket() for _ in range(10)]
    for _ in range(5):
        for one in kept:
            assert attacker.publish(OWN, node_update("n", message="z"), on=one).status in (200, 429, 503)
    attacker.arena.deliver()


@attack(KIND, "projects without end", "`subject_full` beyond `limits.max_per_subject`", keeps=True)
def test_a_flood_of_projects(attacker: Attacker) -> None:
    one = attacker.socket()
    found = [attacker.publish(f"mallory-p{n}", node_update("n"), on=one) for n in range(PER_SUBJECT + 3)]
    assert [answer.status for answer in found[:PER_SUBJECT]] == [200] * PER_SUBJECT
    for answer in found[PER_SUBJECT:]:
        answer.refused(409, code="subject_full")


@attack(
    KIND,
    "nodes without end, or one that grows without end",
    "409 `project_full` or `node_too_large`",
    keeps=True,
)
def test_a_flood_of_nodes(attacker: Attacker) -> None:
    codes = set()
    for start in range(0, 2_400, 400):
        answer = attacker.publish(OWN, *(node_update(f"n{number}") for number in range(start, start + 400)))
        codes.add(answer.problem.get("code", "accepted"))
    assert codes == {"accepted", "project_full"}
    attacker.publish(OWN, node_update("n0", message="y" * 40_000)).refused(409, code="node_too_large")


@attack(KIND, "prompts without end", "429 `rate_limited` beyond `limits.max_open_prompts`", keeps=True)
def test_a_flood_of_prompts(attacker: Attacker) -> None:
    one = attacker.socket()
    asked = {"project_id": OWN, "message": "?", "default": {"proceed": False}}
    found = [attacker.http("POST", "/api/v1/prompts", body=asked, on=one) for _ in range(OPEN_PROMPTS + 2)]
    assert [answer.status for answer in found] == [201] * OPEN_PROMPTS + [429] * 2
    found[-1].refused(429, code="rate_limited")


@attack(
    KIND,
    "snapshots without end of one project",
    "409 beyond the limits of a project and of a subject",
    keeps=True,
)
def test_a_flood_of_snapshots(attacker: Attacker) -> None:
    assert attacker.publish(OWN, node_update("n")).status == 200
    one = attacker.socket()
    path = f"/api/v1/projects/{OWN}/snapshots"
    statuses = [
        attacker.http("POST", path, body={"name": "x"}, on=one).status for _ in range(PER_SUBJECT + 3)
    ]
    assert statuses[0] == 201
    assert statuses[-1] == 409


@attack(
    KIND,
    "a hundred streams of server-sent events that are not read",
    "their events are shed; each is aborted after `delivery.stall_timeout`",
    keeps=True,
)
def test_streams_that_are_not_read(attacker: Attacker) -> None:
    streams = [attacker.socket(receive_buffer=4096) for _ in range(30)]
    for one in streams:
        attacker.asks(one, f"/api/v1/projects/{OWN}/stream")
    assert {one.answer()[0] for one in streams} <= {200, 429}
    fill(attacker, nodes=100)
    attacker.arena.deliver()
    attacker.later(2.0)
    attacker.later(2.0)


@attack(
    KIND,
    "resumes from the beginning of a long log, again and again",
    "`rate_limited`, then 4029; the replay waits for the reader",
    keeps=True,
)
def test_a_flood_of_resumes(attacker: Attacker) -> None:
    fill(attacker, nodes=40)
    one = attacker.watcher(receive_buffer=4096)
    request = masked(TEXT, json.dumps({"type": "subscribe", "project_id": OWN, "since": ":0"}).encode())
    with attacker.flooding(one, request * 200):
        attacker.arena.held()
    attacker.later(2.0)


@attack(
    KIND,
    "a long poll or a wait for a prompt, a hundred at once, then silence",
    "they end with their time, or when the caller leaves",
    keeps=True,
)
def test_waits_without_end(attacker: Attacker) -> None:
    asked = {"prompt_id": "mallory-wait", "project_id": OWN, "message": "?", "default": {"proceed": False}}
    assert attacker.http("POST", "/api/v1/prompts", body=asked).status == 201
    for _ in range(40):
        one = attacker.socket()
        attacker.asks(one, "/api/v1/prompts/mallory-wait?wait=60")
    attacker.arena.deliver()
