"""The transcript in docs/protocol.md, played by a real watcher on a real socket."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from trio_websocket import WebSocketConnection

from tasktree_rt.core.events import Json
from tests.web.realhub import RealHub, heard, real_hub

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"
BLOCK: Final = re.compile(r"### A whole conversation\n.*?```text\n(.*?)```", re.DOTALL)
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
EPOCH: Final = re.compile(r"[0-9a-f]{12}")
LINES: Final = re.compile(r"(\d+) lines of log, (\d+) kB each")
VARYING: Final = frozenset({"connection_id", "after"})
"""Fields whose values differ from run to run."""


@frozen
class Step:
    """A line of the transcript: what kind of step it is, and the rest."""

    kind: str
    text: str


def steps() -> list[Step]:
    """The transcript; a line that begins with a space goes on with the one before."""
    found = BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    whole = re.sub(r"\n +", "", found[1])
    return [Step(line[0], line[2:]) for line in whole.splitlines()]


def comparable(value: Any, key: str = "") -> Any:
    """A message without what differs from run to run."""
    if key == "logs_skipped":
        return dict.fromkeys(value, "a count")
    if isinstance(value, dict):
        return {name: comparable(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if key in VARYING:
        return type(value).__name__
    if isinstance(value, str):
        return EPOCH.sub("an epoch", TIME.sub("a time", value))
    return value


class Play:
    """Plays the transcript step by step."""

    def __init__(self, hub: RealHub) -> None:
        self._hub = hub
        self._epoch = ""

    async def run(self) -> None:
        """Play all steps. A connection lasts until the transcript says that it is lost, or ends."""
        waiting = steps()
        assert [one.kind for one in waiting].count("→") == 2
        while waiting:
            step = waiting.pop(0)
            if step.kind != "→":
                await self._happens(step)
                continue
            own = [step]
            while waiting and waiting[0].kind != "✗":
                own.append(waiting.pop(0))
            await self._connection(own)
            del waiting[:1]

    async def _connection(self, own: list[Step]) -> None:
        path = EPOCH.sub(self._epoch, own[0].text.split()[1])
        async with self._hub.socket(path) as socket:
            for step in own[1:]:
                if step.kind == "←":
                    await self._hears(socket, json.loads(step.text))
                else:
                    await self._happens(step)

    async def _hears(self, socket: WebSocketConnection, expected: Json) -> None:
        found = await heard(socket)
        while found["type"] == "heartbeat" or (expected["type"] == "conflated" and found["type"] == "log"):
            found = await heard(socket)
        self._epoch = found.get("epoch") or self._epoch
        assert comparable(found) == comparable(expected)

    async def _happens(self, step: Step) -> None:
        """Do what the producer does meanwhile."""
        if step.kind == "⇒":
            _, path, body = step.text.split(" ", 2)
            async with self._hub.http() as http:
                assert (await http.post(path, json=json.loads(body))).status_code == 200
            return
        assert step.kind == "…", step
        many = LINES.search(step.text)
        if many is not None:
            line = {"node_id": "compile", "level": "info", "message": "x" * int(many[2]) * 1000}
            for _ in range(int(many[1])):
                await self._hub.publish("build-7", {"type": "log", "data": line})


async def test_the_transcript_of_the_protocol_is_what_a_hub_says() -> None:
    async with real_hub() as hub:
        await Play(hub).run()
