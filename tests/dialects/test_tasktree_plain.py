"""The TaskTree dashboard's transcript: through the pure dialect, and through a hub's real sockets.

Each line is one message that a backend says and what a browser without a subprotocol hears of it, but for
``seq`` and ``epoch``, which a hub adds to what it stores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tasktree_rt.core.events import Json, Record, parse_event
from tasktree_rt.core.protocol import Broadcast
from tasktree_rt.dialects.base import encode_body
from tasktree_rt.dialects.tasktree import Plain
from tests.dialects.execution_golden import read_frames
from tests.server.peers import watch_plain
from tests.server.process import hub_process

TRANSCRIPT: Final[list[Json]] = [
    json.loads(line) for line in (Path(__file__).parent / "golden/tasktree.jsonl").read_text().splitlines()
]
NOW: Final = "2030-01-01T00:00:00.000000Z"


def encoded(said: Json) -> bytes:
    """As frames: with a project an event, else for everybody."""
    if said["project_id"] is None:
        return Plain().encode(Broadcast(said["type"], said["data"], said["timestamp"])) or b""
    event = parse_event(said, now=NOW)
    return Plain().encode_events([Record(7, event.type, None, 0, encode_body(event))], "e1").data


@pytest.mark.parametrize("line", TRANSCRIPT, ids=lambda line: str(line["why"]))
def test_a_browser_reads_what_the_backend_said(line: Json) -> None:
    place = {} if line["say"]["project_id"] is None else {"seq": 7, "epoch": "e1"}
    assert read_frames(encoded(line["say"])) == [{**line["hear"], **place}]


@pytest.mark.parametrize("text", ["{", "", "null", '{"action":"subscribe"}', b"\xff\x00"])
def test_what_a_browser_says_is_ignored(text: str | bytes) -> None:
    assert Plain().decode(text) is None


async def test_the_transcript_through_real_sockets(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub, hub.http() as http:
        browser = await watch_plain(hub, "")
        seq = 0
        for line in TRANSCRIPT:
            said = line["say"]
            stored = said["project_id"] is not None
            path = f"/api/v1/projects/{said['project_id']}/events" if stored else "/api/v1/broadcast"
            answer = await http.post(path, json=said)
            assert answer.is_success, answer.text
            heard: dict[str, Any] = await browser.hear_type(said["type"])
            seq += stored
            assert (heard.pop("seq", None), "epoch" in heard) == ((seq, True) if stored else (None, False))
            heard.pop("epoch", None)
            assert heard == line["hear"]
