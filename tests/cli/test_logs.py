"""``tasktree-rt logs``."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.cli.logs import Tail
from tasktree_rt.client.interactions.api_requests import EventPage
from tasktree_rt.client.watcher.messages import (
    Conflated,
    ProjectEvent,
    StateReplaced,
    Subscribed,
    WatchMessage,
)
from tasktree_rt.core.log import Position
from tasktree_rt.errors import RequestRefused
from tests.cli.processes import command, finished, free_port, hub


def lines(count: int, start: int = 0, **data: object) -> bytes:
    return b"".join(
        json.dumps({"type": "log", "data": {"level": "info", "message": f"line {number}", **data}}).encode()
        + b"\n"
        for number in range(start, start + count)
    )


async def test_the_newest_lines_are_printed_the_oldest_of_them_first(tmp_path: Path) -> None:
    mixed = lines(3, node_id="a") + b'{"type": "note"}\n' + lines(1_500, 3) + lines(2, 1_503, node_id="a")
    (tmp_path / "events.ndjson").write_bytes(mixed)
    async with hub(tmp_path) as (_, address):
        await finished(tmp_path, "push", "p", "events.ndjson", "--hub", address)
        code, out, error = await finished(tmp_path, "logs", "p", "--hub", address, "-n", "1200", "--json")
        assert (code, error) == (0, "")
        found = [json.loads(one) for one in out.splitlines()]
        assert [one["data"]["message"] for one in found] == [f"line {n}" for n in range(305, 1_505)]
        assert found[0]["seq"] == 307
        _, out, _ = await finished(tmp_path, "logs", "p", "a", "--hub", address, "--lines", "3")
        assert [one.partition("info    ")[2] for one in out.splitlines()] == [
            "line 2",
            "line 1503",
            "line 1504",
        ]
        assert await finished(tmp_path, "logs", "nothing", "--hub", address) == (0, "", "")


async def test_following_goes_on_through_the_hubs_death_without_loss(tmp_path: Path) -> None:
    bind, store = f"127.0.0.1:{free_port()}", f"sqlite:{tmp_path}/x.db"
    to = ("--hub", f"http://{bind}")
    async with command(tmp_path, "logs", "p", "-f", "-n", "2", "--json", *to) as tail:
        async with hub(tmp_path, bind=bind, store=store) as (first, _):
            await finished(tmp_path, "push", "p", *to, stdin=lines(5))
            await tail.line("line 4")
            first.signal(signal.SIGKILL)
            await first.end()
        async with hub(tmp_path, bind=bind, store=store):
            await finished(tmp_path, "push", "p", *to, stdin=lines(5, start=5))
            await tail.line("line 9")
        tail.signal(signal.SIGINT)
        assert await tail.end() == (130, "")
    told = [json.loads(one)["data"]["message"] for one in tail.lines]
    assert told == [f"line {number}" for number in range(10)][-len(told) :]
    assert len(told) >= 7, "at least the two asked for and all after them"


# --- what the hub merged -----------------------------------------------------------------------------


class Books:
    """A log as the HTTP API gives it; `floor` is what was trimmed."""

    def __init__(self, *logs: tuple[int, str | None], epoch: str = "e", floor: int = 0) -> None:
        self._logs, self._epoch, self._floor = logs, epoch, floor

    async def events(
        self, project: str, *, since: str | None = None, limit: int, node_id: str | None = None, **more: str
    ) -> EventPage:
        assert since is not None
        assert more == {"type": "log"}
        after = Position.parse(since)
        if after.seq < self._floor or after.epoch != self._epoch:
            raise RequestRefused("gone", "the oldest position is later", "since")
        found = [
            {"seq": seq, "epoch": self._epoch, "data": {"message": f"line {seq}", "node_id": node}}
            for seq, node in self._logs
            if seq > after.seq and node_id in (None, node)
        ]
        page = found[:2]
        return EventPage(page, f"{self._epoch}:{page[-1]['seq']}" if len(page) == 2 else None)


def at(seq: int, epoch: str = "e") -> Position:
    return Position(epoch, seq)


def conflated(after: int, seq: int, **skipped: int) -> Conflated:
    return Conflated("p", after, at(seq), [], {}, {}, (), skipped)


def state(position: Position) -> StateReplaced:
    return StateReplaced("p", position, "gap", None, {}, None, None, [], {})


def event(seq: int) -> ProjectEvent:
    return ProjectEvent("p", at(seq), "log", {"message": f"line {seq}"}, "")


async def told(
    capsys: pytest.CaptureFixture[str], books: Any, *messages: WatchMessage, node: str | None = None
) -> tuple[list[int], str]:
    """The seqs that are printed, and what is said beside them."""
    tail = Tail("p", node, None)
    for message in messages:
        await tail.take(books, message, 0)
    found = capsys.readouterr()
    return [json.loads(one)["seq"] for one in found.out.splitlines()], found.err


async def test_skipped_lines_are_counted_and_fetched_up_to_where_the_hub_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    books = Books(*((seq, "n" if seq % 2 else "m") for seq in range(1, 11)))
    seqs, said = await told(capsys, books, Subscribed("p", at(2), None), conflated(2, 7, n=3, m=2), event(8))
    assert seqs == [3, 4, 5, 6, 7, 8]
    assert said.startswith("tasktree-rt: 5 lines were skipped")


async def test_only_skipped_lines_of_the_node_asked_for_count(capsys: pytest.CaptureFixture[str]) -> None:
    books = Books(*((seq, "n" if seq % 2 else "m") for seq in range(1, 11)))
    start = Subscribed("p", at(2), None)
    seqs, said = await told(capsys, books, start, conflated(2, 7, n=3, m=2), node="n")
    assert (seqs, said.partition(" lines")[0]) == ([3, 5, 7], "tasktree-rt: 3")
    assert await told(capsys, books, start, conflated(2, 7, m=5), node="n") == ([], "")


async def test_after_a_gap_what_is_missing_is_fetched_or_said_to_be_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs = [(seq, None) for seq in range(1, 9)]
    start = Subscribed("p", at(2), None)
    assert (await told(capsys, Books(*logs), start, state(at(6))))[0] == [3, 4, 5, 6]
    seqs, said = await told(capsys, Books(*logs, floor=4), start, state(at(6)), event(7))
    assert seqs == [7]
    assert "lines between e:2 and e:6 are lost" in said


async def test_a_new_life_is_read_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    books = Books((1, None), (2, None), (3, None), epoch="f")
    seqs, _ = await told(capsys, books, Subscribed("p", at(9), None), state(at(2, "f")))
    assert seqs == [1, 2]
