import json
import signal
import subprocess
from pathlib import Path

import trio

from tests.cli.processes import CODE, PATIENCE, command, events_of, finished, free_port, hub


def lines(count: int, start: int = 0) -> bytes:
    return b"".join(
        json.dumps({"type": "note", "data": {"number": number}}).encode() + b"\n"
        for number in range(start, start + count)
    )


async def test_a_file_is_pushed_once_however_often_it_is_pushed(tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(lines(250))
    async with hub(tmp_path) as (_, address):
        for told in (
            "250 events acknowledged",
            "250 events acknowledged (250 were there from an earlier push)",
        ):
            code, out, error = await finished(tmp_path, "push", "p", "events.ndjson", "--hub", address)
            assert (code, out, error) == (0, f"tasktree-rt: p: {told}\n", "")
        events = await events_of(address, "p")
    assert [event["data"]["number"] for event in events] == list(range(250))


async def test_a_push_goes_on_through_the_hubs_death(tmp_path: Path) -> None:
    bind, store = f"127.0.0.1:{free_port()}", f"sqlite:{tmp_path}/x.db"
    async with command(
        tmp_path, "push", "p", "--producer-id", "me", "--hub", f"http://{bind}", stdin=subprocess.PIPE
    ) as push:
        assert push.process.stdin is not None
        async with hub(tmp_path, bind=bind, store=store) as (first, address):
            await push.process.stdin.send_all(lines(100))
            async with command(tmp_path, "watch", "p", "--json", "--since", ":0", "--hub", address) as watch:
                await watch.line('"seq":50')
            first.signal(signal.SIGKILL)
            await first.end()
        async with hub(tmp_path, bind=bind, store=store) as (_, address):
            await push.process.stdin.send_all(lines(100, start=100))
            await push.process.stdin.aclose()
            code, out = await push.end()
            events = await events_of(address, "p")
    assert code == 0
    assert out.startswith("tasktree-rt: p: 200 events acknowledged")
    assert [event["data"]["number"] for event in events] == list(range(200))


async def test_a_wrong_line_ends_the_push_and_what_stands_before_it_is_kept(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        code, out, error = await finished(
            tmp_path, "push", "p", "--hub", address, stdin=lines(3) + b"{}\n" + lines(1)
        )
        assert (code, out) == (2, "")
        assert error.startswith("tasktree-rt: line 4: event.type: expected a string")
        assert error.endswith("; before that, 3 events acknowledged\n")
        assert len(await events_of(address, "p")) == 3


async def test_a_refused_line_is_named(tmp_path: Path) -> None:
    nodes = b"".join(
        json.dumps({"type": "node_update", "data": {"node_id": str(number), "changes": {"x": 1}}}).encode()
        + b"\n"
        for number in range(5)
    )
    (tmp_path / "nodes.ndjson").write_bytes(nodes)
    async with hub(tmp_path, "--set", "limits.max_nodes=3") as (_, address):
        code, _, error = await finished(tmp_path, "push", "p", "nodes.ndjson", "--hub", address)
    assert code == 2
    assert error.startswith("tasktree-rt: line 4: project_full: ")


async def test_watch_prints_every_event_since_a_position_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(lines(20))
    async with hub(tmp_path) as (_, address):
        await finished(tmp_path, "push", "p", "events.ndjson", "--hub", address)
        async with command(tmp_path, "watch", "p", "--json", "--since", ":0", "--hub", address) as watch:
            await watch.line('"seq":20')
            await finished(tmp_path, "push", "p", "--hub", address, stdin=lines(1, start=20))
            await watch.line('"seq":21')
            seen = [json.loads(line) for line in watch.lines]
            stored = await events_of(address, "p")
            watch.signal(signal.SIGINT)
            code, rest = await watch.end()
    assert seen == stored
    assert (code, rest) == (130, "")


async def test_watch_tells_events_in_plain_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    event = {
        "type": "node_update",
        "data": {"node_id": "a", "changes": {"status": "running", "title": "\x1b[31mred"}},
    }
    async with hub(tmp_path) as (_, address):
        await finished(tmp_path, "push", "p", "--hub", address, stdin=json.dumps(event).encode())
        async with command(tmp_path, "watch", "p", "--since", ":0", "--hub", address) as watch:
            line = await watch.line("node_update a")
    assert "status=running" in line
    assert "\x1b" not in line


async def test_watch_without_a_terminal_begins_with_what_is_there(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        for number in (1, 2):
            event = {
                "type": "node_update",
                "data": {"node_id": f"n{number}", "changes": {"progress": number}},
            }
            await finished(tmp_path, "push", "p", "--hub", address, stdin=json.dumps(event).encode())
        async with command(tmp_path, "watch", "p", "--hub", address) as watch:
            assert "progress=1" in await watch.line("project_state n1")
            assert "progress=2" in await watch.line("project_state n2")


async def test_watch_tells_that_there_is_no_such_project(tmp_path: Path) -> None:
    # Both streams are one pipe.
    both = "import os, sys; os.dup2(1, 2); " + CODE
    async with (
        hub(tmp_path) as (_, address),
        command(tmp_path, "watch", "nobody", "--hub", address, code=both) as watch,
    ):
        await watch.line("there is no project 'nobody' yet; waiting for its first event")


async def test_a_reader_that_has_enough_ends_watch_quietly(tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(lines(2))
    async with (
        hub(tmp_path) as (_, address),
        command(tmp_path, "watch", "p", "--json", "--since", ":0", "--hub", address) as watch,
    ):
        await finished(tmp_path, "push", "p", "events.ndjson", "--hub", address)
        await watch.line('"seq":2')
        assert watch.process.stdout is not None
        await watch.process.stdout.aclose()
        await finished(tmp_path, "push", "p", "--hub", address, stdin=lines(1, start=5))
        with trio.fail_after(PATIENCE):
            assert await watch.process.wait() == 0
