"""Everything that comes and goes at a hub, well-behaved and not; one of `cycles` is all of it once."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from tests.cli.processes import PATIENCE
from tests.rawws import RawSocket, Serving
from tests.wsclient import BINARY, CLOSE, DEFLATE, PING, TEXT, closing, deflated, masked, request_head

NATIVE: Final = [("Sec-WebSocket-Protocol", "tasktree.v1")]


def memory(pid: int) -> int:
    """The process's proportional share of memory, in bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


COUNTS: Final = """
import functools, gc, os, signal, sys
def count(number, frame):
    for one in gc.get_objects():
        if type(one) is functools._lru_cache_wrapper:
            one.cache_clear()
    gc.collect()
    with open("blocks.part", "w") as file:
        file.write(str(sys.getallocatedblocks()))
    os.replace("blocks.part", "blocks")
signal.signal(signal.SIGUSR2, count)
"""
"""Code for a hub: at SIGUSR2 it writes how many blocks of memory Python has given out, without those of
functools' caches, which hold a bounded number of names.
"""


def blocks(hub: Serving) -> int:
    """Return how many blocks of memory the hub's objects have; the hub must have run `COUNTS`."""
    path = hub.log.parent / "blocks"
    path.unlink(missing_ok=True)
    os.kill(hub.pid, signal.SIGUSR2)
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def _node(project: str, number: int) -> dict[str, Any]:
    data = {"node_id": f"n{number}", "changes": {"progress": number % 100, "title": f"node {number}"}}
    return {"type": "node_update", "project_id": project, "data": data}


class Churn:
    """Talks to one hub. Every choice follows from `seed`; every name is used once."""

    def __init__(self, hub: Serving, seed: int = 0) -> None:
        self.connections = 0
        self._hub = hub
        self._random = random.Random(seed)
        self._number = 0
        self._steps: list[Callable[[], None]] = [
            self._watch,
            self._watch_plainly,
            self._watch_compressed,
            self._watch_all,
            self._watch_what_is_not_there,
            self._produce,
            self._produce_nonsense,
            self._break_the_protocol,
            self._leave_in_the_middle,
            self._fail_to_shake_hands,
            self._live_and_die,
            self._ask,
            self._stream,
            self._prompt,
            self._search,
        ]

    def cycles(self, count: int) -> None:
        """Everything, `count` times."""
        for _ in range(count):
            self._random.shuffle(self._steps)
            for step in self._steps:
                step()

    def quiet(self, projects: int) -> None:
        """Wait until whoever left is seen off, and at most so many projects are in memory."""
        deadline = time.monotonic() + PATIENCE
        while (found := self._statistics())["connections"] or found["projects_loaded"] > projects:
            assert time.monotonic() < deadline, found

    def _statistics(self) -> dict[str, int]:
        with self._dial() as raw:
            raw.send(self._head("GET", "/api/v1/stats"))
            assert raw.answer()[0] == 200
            found: dict[str, int] = json.loads(raw.rest())
            return found

    # --- what comes and goes ----------------------------------------------------------------------

    def _watch(self) -> None:
        """Subscribe, hear something, unsubscribe, ask nonsense, leave."""
        name = self._name()
        with self._open(f"/ws/updates?project_id={name}", NATIVE) as raw:
            self._say(raw, type="subscribe", project_id="steady", state=True, id="s")
            self._say(raw, type="subscribe", project_id="other", since=":0")
            self._post(name, [_node(name, at) for at in range(3)])
            self._say(raw, type="subscribe", project_id="other", since="nonsense")
            self._say(raw, type="unsubscribe", project_id=name)
            self._say(raw, type="ack", project_id="steady", seq=1)
            raw.send(masked(TEXT, b"{" * 50), masked(PING, b"x"))
            self._say(raw, type="ping", id="end")
            while raw.recv().data != b'{"type":"pong","id":"end"}':
                pass
            self._leave(raw)
        self._delete(name)

    def _watch_plainly(self) -> None:
        with self._open("/ws/updates?project_id=steady&project_id=other") as raw:
            raw.send(masked(TEXT, b"nobody reads this"), masked(BINARY, b"\xff"))
            self._post("steady", [_node("steady", self._random.randrange(100))])
            assert raw.hear()["project_id"] == "steady"
            self._leave(raw)

    def _watch_compressed(self) -> None:
        """Send and get compressed messages; leave with one that no inflater can read, or in another way."""
        with self._open("/ws/updates?project_id=steady", [*NATIVE, *DEFLATE]) as raw:
            event = _node("steady", self._random.randrange(100))
            event["data"]["changes"]["message"] = f"{self._name()} " * 400
            self._post("steady", [event])
            while not raw.recv(compresses=True).packed:
                pass
            raw.send(masked(TEXT, deflated(b'{"type":"ping","id":"end"}'), rsv=4))
            while raw.recv(compresses=True).data != b'{"type":"pong","id":"end"}':
                pass
            if self._random.randrange(2):
                raw.send(masked(TEXT, b"\xff" * 20, rsv=4))
                while raw.recv(compresses=True).opcode != CLOSE:
                    pass
            else:
                self._leave(raw)

    def _watch_all(self) -> None:
        with self._open("/ws/updates", NATIVE) as raw:
            self._say(raw, type="unsubscribe", project_id=self._name())
            self._say(
                raw, type="subscribe", project_id="*", since={"steady": ":0"}, policy="resync", id="all"
            )
            while raw.hear().get("id") != "all":
                pass
            self._leave(raw)

    def _watch_what_is_not_there(self) -> None:
        names = "&".join(f"project_id={self._name()}" for _ in range(5))
        with self._open(f"/ws/updates?{names}", NATIVE) as raw:
            for _ in range(6):
                raw.hear()
            self._leave(raw)

    def _produce(self) -> None:
        name = self._name()
        with self._open(f"/ws/orchestrator?producer_id={name}") as raw:
            for number in range(5):
                self._publish(raw, number, _node(name, number), _node(name, number + 1))
            self._publish(raw, 0, _node(name, 0), _node(name, 1))
            self._publish(raw, "end", {"type": "project_deleted", "project_id": name})
            for _ in range(7):
                assert raw.hear()["type"] == "ack"
            self._leave(raw)

    def _produce_nonsense(self) -> None:
        wrong = [
            _node("steady", 1) | {"type": 5},
            _node("other", 2),
            7,
            _node("bad name", 1),
            {"type": "log"},
        ]
        with self._open("/ws/orchestrator?producer_id=wrong") as raw:
            for number, event in enumerate(wrong):
                self._publish(raw, self._name(), _node("steady", number), event)
                assert raw.hear()["type"] == "error"
            self._publish(raw, "same", _node("steady", self._number))
            raw.send(masked(TEXT, b"not JSON"), masked(TEXT, b"[]"))
            for _ in range(3):
                raw.hear()
            self._leave(raw)

    def _break_the_protocol(self) -> None:
        for sent in (masked(3), masked(TEXT, b"\xff"), masked(TEXT, b"x", mask=False)):
            with self._open("/ws/orchestrator") as raw:
                raw.send(sent, closing(1000))
                assert raw.recv().opcode == CLOSE
        with self._open("/ws/orchestrator") as raw:
            raw.send(self._random.randbytes(200), closing(self._random.randrange(4000, 4010)))

    def _leave_in_the_middle(self) -> None:
        half = masked(TEXT, b"x" * 30_000, fin=False) + masked(TEXT, b"x" * 30_000)[:20_000]
        for leave in (RawSocket.reset, RawSocket.half_close):
            with self._open("/ws/orchestrator") as raw:
                raw.send(half)
                leave(raw)
        raw = self._open("/ws/orchestrator")
        self._publish(raw, self._name(), _node("steady", 1))
        raw.reset()  # its ack has nowhere to go

    def _fail_to_shake_hands(self) -> None:
        for head in (
            request_head("/nowhere", host=self._host),
            request_head("/ws/updates", host="elsewhere.example"),
            request_head("/ws/updates?since=nonsense", host=self._host),
            request_head("/ws/updates", host=self._host, without=["Sec-WebSocket-Key"]),
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01 this is TLS\r\n\r\n",
            b"GET /" + b"x" * 20_000,
        ):
            with self._dial() as raw:
                raw.send(head)
                assert raw.answer()[0] >= 400
        with self._dial() as raw:
            raw.send(b"GET / HTTP/1.1\r\nHost")
            raw.reset()

    def _live_and_die(self) -> None:
        name = self._name()
        self._post(name, [_node(name, number) for number in range(20)], ("Idempotency-Key", name))
        self._delete(name)

    def _ask(self) -> None:
        self._live_and_die()
        for path in (
            "/api/v1/projects?limit=5",
            "/api/v1/projects/steady/state",
            "/api/v1/projects/steady/events?limit=5",
            f"/api/v1/projects/{self._name()}/state",
            "/api/v1/projects/bad%20name/state",
            "/api/v1/connections",
            "/metrics",
            "/readyz",
            f"/{self._name()}",
        ):
            self._http("GET", path)

    def _stream(self) -> None:
        with self._dial() as raw:
            raw.send(self._head("GET", "/api/v1/projects/steady/stream"))
            assert raw.answer()[0] == 200
            self._leave(raw)

    def _prompt(self) -> None:
        """Ask, and answer or cancel."""
        name, prompt = self._name(), self._name()
        self._post(name, [_node(name, 1)])
        asked = {"prompt_id": prompt, "project_id": name, "message": "Go on?"}
        assert self._http("POST", "/api/v1/prompts", json.dumps(asked).encode()) in (200, 201)
        if self._random.randrange(2):
            assert self._http("POST", f"/api/v1/prompts/{prompt}/answer", b'{"proceed":true}') == 200
        else:
            assert self._http("DELETE", f"/api/v1/prompts/{prompt}") == 200
        self._delete(name)

    def _search(self) -> None:
        word = self._name()
        for path in (f"/api/v1/projects/steady/search?q={word}", f"/api/v1/search?q={word}"):
            assert self._http("GET", path) == 200

    # --- how --------------------------------------------------------------------------------------

    @property
    def _host(self) -> str:
        return f"127.0.0.1:{self._hub.port}"

    def _name(self) -> str:
        self._number += 1
        return f"name-{self._number}"

    def _dial(self) -> RawSocket:
        self.connections += 1
        return RawSocket(self._hub.port)

    def _open(self, path: str, headers: list[tuple[str, str]] | None = None) -> RawSocket:
        raw = self._dial()
        raw.shake_hands(path, headers or [])
        return raw

    def _leave(self, raw: RawSocket) -> None:
        """One of the ways in which peers leave; the socket is closed by who opened it."""
        how = self._random.randrange(4)
        if how == 0:
            raw.send(closing(1000, "bye"))
        elif how == 1:
            raw.reset()
        elif how == 2:
            raw.half_close()

    @staticmethod
    def _say(raw: RawSocket, **message: Any) -> None:
        raw.send(masked(TEXT, json.dumps(message).encode()))

    def _publish(self, raw: RawSocket, request: int | str, *events: Any) -> None:
        self._say(raw, type="publish", id=request, events=events)

    def _post(self, name: str, events: list[dict[str, Any]], *headers: tuple[str, str]) -> None:
        body = json.dumps(events).encode()
        assert self._http("POST", f"/api/v1/projects/{name}/events", body, *headers) == 200

    def _delete(self, name: str) -> None:
        assert self._http("DELETE", f"/api/v1/projects/{name}") == 200

    def _http(self, method: str, path: str, body: bytes = b"", *headers: tuple[str, str]) -> int:
        with self._dial() as raw:
            raw.send(self._head(method, path, len(body), *headers), body)
            status, _ = raw.answer()
            raw.rest()
            return status

    def _head(self, method: str, path: str, size: int = 0, *headers: tuple[str, str]) -> bytes:
        def lines() -> Iterator[str]:
            yield f"{method} {path} HTTP/1.1"
            yield f"Host: {self._host}"
            yield "Connection: close"
            yield f"Content-Length: {size}"
            yield from (f"{name}: {value}" for name, value in headers)

        return "".join(f"{line}\r\n" for line in (*lines(), "")).encode()
