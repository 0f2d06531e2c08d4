"""Callers beyond their rates and quotas, by address, subject and project; and names that are taken early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from attrs import evolve

from tasktree_rt.settings import NO_RATES
from tests.attacks.attacker import OWN, SOURCE, Answer, Attacker, unhidden
from tests.attacks.table import attack
from tests.web.realhub import node_update
from tests.wsclient import TEXT, masked

KIND = "limits"
RATE: Final = 60
"""Messages and events that a subject may send at once, and in a second."""
ADDRESS_RATE: Final = 100
HTTP_RATE: Final = 20
HTTP_ADDRESS_RATE: Final = 30
NEW_PROJECTS: Final = 3
CONNECTIONS: Final = 12
STORED: Final = 300_000
PROXY: Final = "127.0.0.90"
SETTINGS: dict[str, Any] = {
    "trusted_proxies": (PROXY,),
    "rates": evolve(
        NO_RATES,
        burst=1.0,
        messages_per_subject=RATE,
        messages_per_address=ADDRESS_RATE,
        bytes_per_subject=400_000,
        bytes_per_address=600_000,
        events_per_subject=RATE,
        events_per_address=ADDRESS_RATE,
        events_per_project=RATE,
        http_cost_per_subject=HTTP_RATE,
        http_cost_per_address=HTTP_ADDRESS_RATE,
        projects_per_subject=NEW_PROJECTS,
    ),
    "limits": {
        "max_connections_per_subject": CONNECTIONS,
        "max_subscriptions_per_subject": 15,
        "max_subscriptions_per_address": 25,
        "max_project_bytes": STORED,
        "max_bytes_per_subject": 2 * STORED,
    },
}
THEIRS: Final = "ada-1"
OTHERS: Final = tuple(f"127.0.0.{number}" for number in range(67, 75))
"""Addresses of which each test uses its own, as rates remember a caller."""


@contextmanager
def at_once(attacker: Attacker) -> Iterator[None]:
    """Let the time of the rates stand still, so that the speed of this machine does not count."""
    rates = attacker.arena.real.hub.rates
    before, now = rates.clock, attacker.arena.clock.current_time()
    rates.clock = lambda: now
    try:
        yield
    finally:
        rates.clock = before


def told(answer: Answer, setting: str) -> None:
    """A refusal says what is limited by which setting, and when to come again."""
    answer.refused(429, setting, code="rate_limited")
    assert int(answer.headers["retry-after"]) >= 1


def subject(attacker: Attacker, name: str) -> str:
    """A token of another of the attacker's subjects, with the attacker's grants."""
    mine: dict[str, Any] = {key: ["mallory-*"] for key in ("watch", "push", "answer", "command")}
    return attacker.arena.token(name, **mine)


@attack(
    KIND,
    "HTTP requests without pause: of one subject from many addresses, of many subjects from one address",
    "429 with `Retry-After` and the setting's name; another caller is answered as ever",
)
def test_http_requests_without_pause(attacker: Attacker) -> None:
    path, answers = "/api/v1/projects", list[Answer]()
    with at_once(attacker):
        for source in OTHERS[:3]:
            one = attacker.socket(source)
            answers = [attacker.http("GET", path, on=one) for _ in range(HTTP_RATE // 2)]
        told(answers[-1], "rates.http_cost_per_subject")
        one, answers = attacker.socket(OTHERS[3]), []
        for number in range(4):
            shown = subject(attacker, f"many-{number}")
            answers += [
                attacker.http("GET", path, token=shown, on=one) for _ in range(HTTP_ADDRESS_RATE // 3)
            ]
        told(answers[-1], "rates.http_cost_per_address")
        other = attacker.http("GET", path, token=subject(attacker, "calm"), on=attacker.socket(OTHERS[4]))
        assert other.status == 200
    attacker.later()
    assert attacker.http("GET", path).status == 200


@attack(
    KIND,
    "messages without pause over several connections of one subject, or of one address",
    "`rate_limited` with `retry_after_ms` on each, then 4029",
)
def test_messages_over_several_connections(attacker: Attacker) -> None:
    with at_once(attacker):
        for source in OTHERS[:2]:
            found = [attacker.watcher(source=source, token=subject(attacker, source)) for _ in range(3)]
            for one in found:
                one.send(masked(TEXT, b'{"type":"ping"}') * 40)
            heard = [one.hear() for one in found for _ in range(40)]
            refused = [one for one in heard if one.get("code") == "rate_limited"]
            assert len(refused) == 120 - RATE
            assert all(one["retry_after_ms"] > 0 for one in refused)
            found[-1].send(masked(TEXT, b'{"type":"ping"}') * 100)
            found[-1].closed(4029)


@attack(
    KIND,
    "events without pause: of one subject into many projects, of several subjects into one project",
    "429 over HTTP; a WebSocket's producer is read only as fast as it may publish",
    keeps=True,
)
def test_events_without_pause(attacker: Attacker) -> None:
    events = [node_update(f"n{number}") for number in range(20)]
    with at_once(attacker):
        answers = [attacker.publish(f"mallory-e{number % 3}", *events) for number in range(6)]
        told(answers[-1], "rates.events_per_subject")
        two = [subject(attacker, f"pair-{number}") for number in range(4)]
        answers = [
            attacker.publish("mallory-e0", *events, token=shown, on=attacker.socket(OTHERS[number]))
            for number, shown in enumerate(two)
        ]
        told(answers[-1], "rates.events_per_project")
    attacker.later()


@attack(
    KIND,
    "bytes without pause over a WebSocket",
    "the hub reads no further until the rate allows it; others are served as ever",
    keeps=True,
)
def test_bytes_without_pause(attacker: Attacker) -> None:
    one = attacker.websocket("/ws/orchestrator?producer_id=bytes", ())
    data = unhidden(b'{"type":"ping","x":"' + b"y" * 30_000 + b'"}')
    with at_once(attacker), attacker.flooding(one, data):
        pass
    attacker.later()


@attack(
    KIND,
    "new projects without pause",
    "429 `rate_limited` by `rates.projects_per_subject`; existing ones take events as ever",
    keeps=True,
)
def test_new_projects_without_pause(attacker: Attacker) -> None:
    with at_once(attacker):
        shown = subject(attacker, "founder")
        found = [
            attacker.publish(f"mallory-new{n}", node_update("n"), token=shown)
            for n in range(NEW_PROJECTS + 1)
        ]
        told(found[-1], "rates.projects_per_subject")
        assert attacker.publish("mallory-new0", node_update("n"), token=shown).status == 200
    attacker.later()


@attack(
    KIND,
    "connections and subscriptions of one subject from many addresses",
    "close 1013; `too_many_subscriptions` beyond the subject's and the address' number",
)
def test_connections_of_one_subject(attacker: Attacker) -> None:
    for number in range(CONNECTIONS):
        attacker.websocket("/ws/orchestrator?producer_id=x", (), source=OTHERS[number % 8])
    beyond = attacker.websocket("/ws/orchestrator?producer_id=x", (), source=OTHERS[0])
    beyond.closed(1013)
    names = [subject(attacker, f"topics-{number}") for number in range(2)]
    codes = []
    for shown in names:
        one = attacker.watcher(token=shown, source=SOURCE)
        asked = [{"type": "subscribe", "id": n, "project_id": f"mallory-{n}"} for n in range(16)]
        codes.append([one.ask(request).get("code") for request in asked][-1])
    assert set(codes) == {"too_many_subscriptions"}


@attack(
    KIND,
    "stored bytes without end: in one project, in many projects of one subject",
    "409 `project_full` or `subject_full`; nothing of the publish is stored",
    keeps=True,
)
def test_stored_bytes(attacker: Attacker) -> None:
    shown = subject(attacker, "hoarder")
    line = {"type": "log", "data": {"level": "info", "message": "y" * 20_000}}
    codes = {}
    for number in range(3):
        project = f"mallory-b{number}"
        for _ in range(17):
            attacker.arena.jump(1.0)  # the rate of bytes is another row
            codes[project] = attacker.publish(project, line, token=shown).problem.get("code")
    assert set(codes.values()) <= {"project_full", "subject_full"}, codes
    assert codes["mallory-b2"] == "subject_full"
    assert attacker.publish("mallory-b3", line, token=subject(attacker, "other")).status == 200


@attack(
    KIND,
    "prompt ids taken before another project or user needs them",
    "ids belong to a project or a user: the other's prompt is asked, and the attacker sees nothing of it",
    keeps=True,
)
def test_squatted_prompt_ids(attacker: Attacker) -> None:
    asked = {"prompt_id": "deploy", "message": "mine", "default": {"proceed": True}}
    assert attacker.http("POST", "/api/v1/prompts", body=asked | {"project_id": OWN}).status == 201
    root = attacker.arena.token("root", watch=["*"], push=["*"], answer=["*"])
    theirs = asked | {"project_id": THEIRS, "message": "Deploy?"}
    assert attacker.http("POST", "/api/v1/prompts", body=theirs, token=root).status == 201
    path = f"/api/v1/prompts/deploy?project_id={THEIRS}"
    answer = f"/api/v1/prompts/deploy/answer?project_id={THEIRS}"
    attacker.http("GET", path).refused(404, code="not_found")
    attacker.http("POST", answer, body={"proceed": True}).refused(404, code="not_found")
    attacker.http("DELETE", path).refused(404, code="not_found")
    assert attacker.http("GET", path, token=root).problem["message"] == "Deploy?"
    assert attacker.http("DELETE", path, token=root).status == 200


@attack(
    KIND,
    "forwarded addresses that change with each request, to escape the limits of one address",
    "ignored from a peer that is no trusted proxy; behind one, only what the proxy itself added counts",
)
def test_forwarded_addresses_that_change(attacker: Attacker) -> None:
    path, ways = (
        "/api/v1/projects",
        (
            (OTHERS[5], "198.51.100.{n}"),
            (OTHERS[6], "{n}.1.1.1, 127.0.0.90, 2001:db8::{n}"),
            (PROXY, "198.51.100.{n}, 203.0.113.7"),
            (PROXY, "unknown, ::{n}, _hidden, 203.0.113.8"),
        ),
    )
    for source, text in ways:
        with at_once(attacker):
            one, answers = attacker.socket(source), list[Answer]()
            for number in range(4):
                shown = subject(attacker, f"hop-{source}-{number}")
                for turn in range(HTTP_ADDRESS_RATE // 3):
                    forwarded = [("X-Forwarded-For", text.replace("{n}", str(turn + 1)))]
                    answers.append(attacker.http("GET", path, forwarded, token=shown, on=one))
            told(answers[-1], "rates.http_cost_per_address")
        attacker.later()


@attack(
    KIND,
    "a forwarded address that is malformed, 15 KB long, or repeated a hundred times",
    "it counts as absent: the client is the proxy; 400 or 431 beyond the limits of a head",
)
def test_malformed_forwarded_addresses(attacker: Attacker) -> None:
    one = attacker.socket(PROXY)
    for text in (
        "",
        ",",
        "999.1.1.1",
        "for=1.2.3.4",
        "1.2.3.4:99999999",
        "[::1",
        "1" * 15_000,
        "1.1.1.1, " * 900,
    ):
        answer = attacker.http("GET", "/api/v1/projects", [("X-Forwarded-For", text)], on=one)
        assert answer.status == 200, (text[:20], answer)
    many = [("X-Forwarded-For", "1.1.1.1")] * 100
    assert attacker.http("GET", "/api/v1/projects", many).status in (200, 400, 431)
