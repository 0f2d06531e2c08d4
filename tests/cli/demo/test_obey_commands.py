import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, field

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.cli.demo.obey_commands import ANNOUNCED, CommandHandler
from tasktree_rt.cli.demo.run import Job
from tasktree_rt.cli.demo.sinks import HubSink
from tasktree_rt.cli.demo.work import Done
from tasktree_rt.core.access import OPEN
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.settings import Settings
from tests.cli.demo.test_run import PROJECT, Recorder, plant

NOBODY: dict[str, Any] = {"dialect": "test"}


@define
class Witness(Recorder):
    """Tells when all is listed, and when a file has failed."""

    listed: trio.Event = field(factory=trio.Event)
    failed: trio.Event = field(factory=trio.Event)

    def walked(self, folders: int, files: int) -> None:
        super().walked(folders, files)
        self.listed.set()

    def worked(self, path: bytes, fault: str | None) -> None:
        super().worked(path, fault)
        if fault is not None:
            self.failed.set()


@define
class Ground:
    """A demo that runs in a hub that enforces the lifecycle, and who commands it."""

    root: Path
    hub: Hub
    job: Job
    recorder: Witness

    async def command(self, name: str, node: str | None = None, **args: object) -> tuple[str, str | None]:
        given = {"name": name, "node_id": node, "args": args or None}
        pending = await self.hub.commands.send(PROJECT, given, grants=OPEN, via=NOBODY)
        outcome = await pending.end()
        return outcome["status"], outcome.get("message")

    async def nodes(self) -> dict[str, dict[str, Any]]:
        return {name: dict(node.fields) for name, node in (await self.hub.state(PROJECT)).nodes}

    async def statuses(self) -> dict[str, str]:
        return {name: fields["status"] for name, fields in (await self.nodes()).items()}

    async def state(self) -> object:
        return (await self.hub.state(PROJECT)).top["state"]

    async def logged(self, node: str) -> list[str]:
        events = await self.hub._broker.read(
            PROJECT,
            (await self.hub.cache.load(PROJECT)).position_at(0),
            limit=10_000,
            type="log",
            node_id=node,
        )
        assert not hasattr(events, "why")
        return [record.body.decode() for record in events.records]


@asynccontextmanager
async def ground(
    root: Path, *, pace: float = 100_000, stays: bool = True, over: bool = True
) -> AsyncIterator[Ground]:
    """`over`: the run is over when the body begins."""
    async with open_hub(MemoryBroker(), Settings(lifecycle="enforce")) as hub, trio.open_nursery() as nursery:
        sink, recorder = HubSink(hub), Witness()
        job = Job(os.fsencode(root), PROJECT, sink, recorder, pace)
        nursery.start_soon(CommandHandler(job, stays=stays).run, sink.commands(PROJECT, ANNOUNCED))

        async def live() -> None:
            await job.run()
            if stays:
                await job.go_on()

        nursery.start_soon(live)
        await (job.rest if over else recorder.listed).wait()
        yield Ground(root, hub, job, recorder)
        nursery.cancel_scope.cancel()


async def test_a_failed_file_that_was_mended_is_read_again_and_the_folders_above_it_change(
    tmp_path: Path, autojump_clock: object
) -> None:
    plant(tmp_path, {"a/bad.py": b"x = (", "a/good": b"1", "other/worse.py": b"y = )"})
    async with ground(tmp_path) as demo:
        assert (await demo.statuses())["a"] == "failed"
        (tmp_path / "a/bad.py").write_bytes(b"x = 1")
        assert await demo.command("retry", "a/bad.py") == ("done", "a/bad.py: completed")
        nodes = await demo.nodes()
        assert (nodes["a/bad.py"]["status"], nodes["a/bad.py"]["size"]) == ("completed", 5)
        assert "message" not in nodes["a/bad.py"]
        assert (nodes["a"]["status"], nodes["."]["status"], await demo.state()) == (
            "completed",
            "failed",
            "failed",
        )
        (tmp_path / "other/worse.py").write_bytes(b"")
        assert await demo.command("retry") == ("done", "other/worse.py: completed")
        assert set((await demo.statuses()).values()) == {"completed"}
        assert await demo.state() == "completed"


async def test_a_file_that_is_still_broken_fails_again(tmp_path: Path, autojump_clock: object) -> None:
    plant(tmp_path, {"a/bad.py": b"x = (", "a/worse.py": b"y = )"})
    async with ground(tmp_path) as demo:
        (tmp_path / "a/worse.py").unlink()
        assert await demo.command("retry", "a") == ("done", "1 failed, 1 vanished")
        assert await demo.statuses() == {".": "failed", "a": "failed", "a/bad.py": "failed"}
        status, said = await demo.command("retry", "a/worse.py")
        assert (status, said) == ("refused", "there is no file or folder a/worse.py")


@pytest.mark.parametrize(
    ("name", "node", "args", "reason"),
    [
        ("explode", None, {}, "the demo knows cancel, retry, pause, resume; not explode"),
        ("retry", "good", {}, "good has not failed: it is completed"),
        ("retry", None, {}, "nothing has failed"),
        ("retry", "nowhere", {}, "there is no file or folder nowhere"),
        ("retry", None, {"hard": True}, "retry takes no arguments"),
        ("cancel", None, {}, "the run is over"),
        ("cancel", "good", {}, "good is over already"),
        ("pause", None, {}, "the run is over"),
        ("pause", "good", {}, "only the whole run can pause"),
        ("resume", None, {}, "the run is not paused"),
    ],
)
async def test_what_it_cannot_do_is_refused_with_a_reason(
    tmp_path: Path,
    autojump_clock: object,
    name: str,
    node: str | None,
    args: dict[str, object],
    reason: str,
) -> None:
    plant(tmp_path, {"good": b"1"})
    async with ground(tmp_path) as demo:
        assert await demo.command(name, node, **args) == ("refused", reason)


async def test_pause_stops_everything_until_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    async def examine(self: Job, path: bytes) -> object:
        await trio.lowlevel.checkpoint()
        return Done(0, "")

    plant(tmp_path, {f"{number}": b"" for number in range(100)})
    monkeypatch.setattr(Job, "_examine", examine)
    async with ground(tmp_path, pace=30, over=False) as demo:
        await trio.sleep(2)
        assert (await demo.command("pause"))[0] == "done"
        before = (await demo.hub.cache.load(PROJECT)).position.seq
        assert await demo.state() == "paused"
        assert "ready" in (await demo.statuses()).values(), "work does not run ahead of what is shown"
        await trio.sleep(3_600)
        assert (await demo.hub.cache.load(PROJECT)).position.seq == before
        assert await demo.command("pause") == ("refused", "the run is paused already")
        assert (await demo.command("resume"))[0] == "done"
        assert await demo.state() == "running"
        await demo.job.rest.wait()
        assert set((await demo.statuses()).values()) == {"completed"}


async def test_cancelling_a_folder_ends_what_is_in_it_and_nothing_else(
    tmp_path: Path, autojump_clock: object
) -> None:
    plant(tmp_path, {f"{folder}/{number:02}": b"" for folder in ("a", "b") for number in range(20)})
    async with ground(tmp_path, pace=30, over=False) as demo:
        assert await demo.command("cancel", "b") == ("done", "20 cancelled")
        statuses = await demo.statuses()
        assert {one for name, one in statuses.items() if name.startswith("b")} == {"cancelled"}
        await demo.job.rest.wait()
        statuses = await demo.statuses()
        assert (statuses["a"], statuses["b"], statuses["."]) == ("completed", "cancelled", "cancelled")
        assert {one for name, one in statuses.items() if name.startswith("a/")} == {"completed"}
        assert await demo.state() == "cancelled"


async def test_a_file_that_is_being_read_can_be_cancelled_also_while_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: object
) -> None:
    plant(tmp_path, {"slow": b"1", "z": b"2"})
    reached = trio.Event()

    async def examine(self: Job, path: bytes) -> object:
        if path == b"slow":
            reached.set()
            await trio.sleep_forever()
        return Done(0, "")

    monkeypatch.setattr(Job, "_examine", examine)
    async with ground(tmp_path, over=False) as demo:
        await reached.wait()
        await demo.command("pause")
        assert await demo.command("cancel", "slow") == ("done", "slow: cancelled")
        await demo.command("resume")
        await demo.job.rest.wait()
        assert await demo.statuses() == {".": "cancelled", "slow": "cancelled", "z": "completed"}


@pytest.mark.parametrize("paused", [False, True])
async def test_cancelling_the_run_says_so_of_all_that_is_not_over(
    tmp_path: Path, autojump_clock: object, paused: bool
) -> None:
    plant(tmp_path, {f"{number}": b"" for number in range(100)})
    async with ground(tmp_path, pace=30, over=False) as demo:
        if paused:
            await demo.command("pause")
        assert await demo.command("cancel") == ("done", "the run is cancelled")
        assert set((await demo.statuses()).values()) <= {"cancelled", "completed"}
        assert (await demo.statuses())["."] == "cancelled"
        assert await demo.state() == "cancelled"
        assert await demo.command("retry") == ("refused", "the run was cancelled: start the demo again")
        assert await demo.command("cancel") == ("refused", "the run is over")


async def test_retry_in_the_middle_of_a_run_joins_it(tmp_path: Path, autojump_clock: object) -> None:
    plant(tmp_path, {"a.py": b"x = (", **{f"z{number}": b"" for number in range(100)}})
    async with ground(tmp_path, pace=30, over=False) as demo:
        await demo.recorder.failed.wait()
        (tmp_path / "a.py").write_bytes(b"")
        assert await demo.command("retry", "a.py") == ("done", "a.py: completed")
        assert (await demo.statuses())["a.py"] == "completed", "what is done can be seen"
        await demo.job.rest.wait()
        assert set((await demo.statuses()).values()) == {"completed"}


async def test_with_once_nothing_is_begun_after_the_run(tmp_path: Path, autojump_clock: object) -> None:
    plant(tmp_path, {"bad.py": b"x = ("})
    async with ground(tmp_path, stays=False) as demo:
        assert await demo.command("retry") == ("refused", "the run is over")


async def test_it_logs_what_it_does(tmp_path: Path, autojump_clock: object) -> None:
    plant(tmp_path, {"a/bad.py": b"if x:\npass\n", "a/good": b"hello"})
    async with ground(tmp_path) as demo:
        bad, good, folder = [await demo.logged(name) for name in ("a/bad.py", "a/good", "a")]
    assert '"reading"' in good[0]
    assert "5 bytes, SHA-256 2cf24dba5fb0a30e" in good[1]
    assert '"error"' in bad[-1]
    assert "line 2\\n    pass\\n" in bad[-1]
    assert "IndentationError: expected an indented block" in bad[-1]
    assert "done, failed: 2 files, 1 failed" in folder[-1]
