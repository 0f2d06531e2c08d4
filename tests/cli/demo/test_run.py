import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import define, field

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.cli.demo.feed import MOST_EVENTS
from tasktree_rt.cli.demo.run import Job, Totals
from tasktree_rt.cli.demo.sinks import HubSink
from tasktree_rt.core.events import Event, ProjectId
from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.errors import Unavailable
from tasktree_rt.hub.hub import PublishReceipt, open_hub
from tasktree_rt.settings import Settings

PROJECT = ProjectId("demo")


@define
class Recorder:
    """A sink that reduces what it gets, and a report that notes it."""

    nodes: Nodes = field(factory=Nodes)
    publishes: list[list[Event]] = field(factory=list)
    faults: dict[bytes, str] = field(factory=dict)
    count: tuple[int, int] = (0, 0)
    left: str = ""

    async def publish(self, events: Sequence[Event]) -> None:
        await trio.lowlevel.checkpoint()
        self.publishes.append(list(events))
        for event in events:
            self.nodes.apply(reduce(self.nodes, event, 0, lambda fields: 0))

    async def settled(self) -> None:
        await trio.lowlevel.checkpoint()

    def walked(self, folders: int, files: int) -> None:
        self.count = (folders, files)

    def left_out(self, what: str) -> None:
        self.left = what

    def worked(self, path: bytes, fault: str | None) -> None:
        if fault is not None:
            self.faults[path] = fault

    @property
    def events(self) -> list[Event]:
        return [event for publish in self.publishes for event in publish]


def plant(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


async def run(root: Path, recorder: Recorder, pace: float | None = None) -> Totals:
    return await Job(os.fsencode(root), PROJECT, recorder, recorder, pace).run()


async def test_every_folder_and_file_ends_up_in_the_tree(tmp_path: Path, autojump_clock: object) -> None:
    plant(tmp_path, {"a.txt": b"hello", "src/good.py": b"x = 1", "src/bad.py": b"x = (", "docs/deep/e": b""})
    recorder = Recorder()
    totals = await run(tmp_path, recorder)
    assert totals == Totals(folders=4, files=4, failed=1)
    shown = {
        node_id: (
            node.fields["kind"],
            node.fields.get("parent_id"),
            node.fields["status"],
            node.fields.get("progress"),
        )
        for node_id, node in recorder.nodes.nodes.items()
    }
    assert shown == {
        ".": ("folder", None, "failed", 100),
        "a.txt": ("file", ".", "completed", 100),
        "docs": ("folder", ".", "completed", 100),
        "docs/deep": ("folder", "docs", "completed", 100),
        "docs/deep/e": ("file", "docs/deep", "completed", 100),
        "src": ("folder", ".", "failed", 100),
        "src/bad.py": ("file", "src", "failed", None),
        "src/good.py": ("file", "src", "completed", 100),
    }
    fields = recorder.nodes.fields("a.txt")
    assert (fields["title"], fields["size"]) == ("a.txt", 5)
    assert fields["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert fields["started_at"] <= fields["ended_at"]
    assert recorder.nodes.fields("src/bad.py")["message"] == "SyntaxError: line 1: '(' was never closed"
    assert recorder.faults == {b"src/bad.py": "SyntaxError: line 1: '(' was never closed"}
    assert recorder.nodes.top["state"] == "failed"
    assert recorder.nodes.top["project"]["title"] == tmp_path.name
    assert recorder.count == (4, 4)


async def test_a_new_run_leaves_nothing_of_files_that_are_gone(
    tmp_path: Path, autojump_clock: object
) -> None:
    plant(tmp_path, {"keep": b"1", "gone": b"2", "dir/gone": b"3"})
    recorder = Recorder()
    await run(tmp_path, recorder)
    (tmp_path / "gone").unlink()
    (tmp_path / "dir" / "gone").unlink()
    (tmp_path / "dir").rmdir()
    await run(tmp_path, recorder)
    assert set(recorder.nodes.nodes) == {".", "keep"}
    assert recorder.nodes.top["state"] == "completed"


async def test_a_file_that_vanishes_before_its_turn_leaves_the_tree(
    tmp_path: Path, autojump_clock: object
) -> None:
    plant(tmp_path, {"a": b"1", "b": b"2"})

    @define
    class Vandal(Recorder):
        def walked(self, folders: int, files: int) -> None:
            (tmp_path / "b").unlink()

    recorder = Vandal()
    totals = await run(tmp_path, recorder)
    assert totals == Totals(folders=1, files=2, vanished=1)
    assert set(recorder.nodes.nodes) == {".", "a"}
    assert recorder.nodes.fields(".")["status"] == "completed"


async def test_special_files_and_links_are_shown_and_count_for_nothing(
    tmp_path: Path, autojump_clock: object
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "dangling").symlink_to("none")
    recorder = Recorder()
    totals = await run(tmp_path, recorder)
    assert totals == Totals(folders=1, files=1, failed=1)
    assert recorder.nodes.fields("pipe")["message"] == "a named pipe: not opened"
    assert recorder.nodes.fields("pipe")["status"] == recorder.nodes.fields("loop")["status"] == "completed"
    assert recorder.nodes.fields("dangling")["status"] == "failed"
    assert (recorder.nodes.fields(".")["status"], recorder.nodes.fields(".")["progress"]) == ("failed", 100)


async def test_publishes_are_bounded_and_folders_told_rarely(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    # The clock does not know of threads: at once it would jump past every file that is being read.
    autojump_clock.autojump_threshold = 0.02
    plant(tmp_path, {f"deep/er/still/{number:04}": b"" for number in range(1_500)})
    recorder = Recorder()
    await run(tmp_path, recorder, pace=1_000_000)
    assert max(map(len, recorder.publishes)) <= MOST_EVENTS
    assert len(recorder.publishes) < len(recorder.events) / 10
    folders = [event for event in recorder.events if event.data.get("node_id") in (".", "deep", "deep/er")]
    assert len(folders) <= 3 * 102 + 4
    assert recorder.nodes.fields(".")["progress"] == 100


async def test_the_pace_asked_for_is_kept(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    plant(tmp_path, {f"{number}": b"" for number in range(20)})
    recorder = Recorder()
    begun = trio.current_time()
    await run(tmp_path, recorder, pace=4)
    assert len(recorder.events) / 4 == pytest.approx(trio.current_time() - begun, abs=3)


async def test_what_is_pushed_passes_a_hub_that_enforces_the_lifecycle_also_when_run_again(
    tmp_path: Path, autojump_clock: object
) -> None:
    plant(tmp_path, {"a/b.py": b"x = (", "a/c": b"1", "e": b""})
    (tmp_path / "empty").mkdir()
    async with open_hub(MemoryBroker(), Settings(lifecycle="enforce")) as hub:
        for _ in range(2):
            recorder = Recorder()
            await Job(os.fsencode(tmp_path), PROJECT, HubSink(hub), recorder).run()
        state = await hub.state(PROJECT)
        statuses = {node_id: node.fields["status"] for node_id, node in state.nodes}
    assert statuses == {
        ".": "failed",
        "a": "failed",
        "a/b.py": "failed",
        "a/c": "completed",
        "e": "completed",
        "empty": "completed",
    }


@pytest.mark.parametrize("after", [1, 2, 100, 310, 500])
async def test_a_run_that_is_broken_off_says_so_of_all_that_is_not_over(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, after: int
) -> None:
    plant(tmp_path, {f"{number}/{number}": b"" for number in range(150)})

    @define
    class Impatient(Recorder):
        when: float | None = None
        before: dict[str, str] = field(factory=dict)

        async def publish(self, events: Sequence[Event]) -> None:
            await super().publish(events)
            if len(self.events) > after and self.when is None:
                self.when, self.before = trio.current_time(), self.statuses()
                job.break_off()

        def statuses(self) -> dict[str, str]:
            return {name: node.fields["status"] for name, node in self.nodes.nodes.items()}

    recorder = Impatient()
    job = Job(os.fsencode(tmp_path), PROJECT, recorder, recorder, pace=25)
    await job.run()
    assert job.broken_off
    assert trio.current_time() - (recorder.when or 0) < 0.5, "the pace does not hold it up"
    assert recorder.nodes.top["state"] == "cancelled"
    statuses = recorder.statuses()
    assert set(statuses.values()) <= {"cancelled", "completed"}
    assert statuses.get(".", "cancelled") == "cancelled"
    assert all("kind" in node.fields for node in recorder.nodes.nodes.values()), "none is made by its end"
    assert {name for name, one in recorder.before.items() if one == "completed"} <= {
        name for name, one in statuses.items() if one == "completed"
    }


async def test_a_run_that_is_only_told_late_ends_as_it_came_out(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    plant(tmp_path, {f"{number}": b"" for number in range(20)})

    @define
    class Impatient(Recorder):
        done: int = 0
        when: float | None = None

        def worked(self, path: bytes, fault: str | None) -> None:
            self.done += 1

        async def publish(self, events: Sequence[Event]) -> None:
            await super().publish(events)
            if self.done == 20 and self.when is None:
                self.when = trio.current_time()
                job.break_off()

    recorder = Impatient()
    job = Job(os.fsencode(tmp_path), PROJECT, recorder, recorder, pace=10)
    totals = await job.run()
    assert (job.broken_off, totals) == (False, Totals(folders=1, files=20))
    assert trio.current_time() - (recorder.when or 0) < 0.5, "the pace does not hold it up"
    assert recorder.nodes.top["state"] == "completed"
    assert {node.fields["status"] for node in recorder.nodes.nodes.values()} == {"completed"}


async def test_a_run_that_is_over_cannot_be_broken_off(tmp_path: Path, autojump_clock: object) -> None:
    recorder = Recorder()
    job = Job(os.fsencode(tmp_path), PROJECT, recorder, recorder)
    await job.run()
    job.break_off()
    assert not job.broken_off
    assert recorder.nodes.top["state"] == "completed"


async def test_what_the_hub_cannot_take_now_is_given_again_under_the_same_key(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    async with open_hub(MemoryBroker(), Settings()) as hub:
        publish = hub.publish

        async def moody(events: Sequence[Event], *, key: object = None) -> PublishReceipt:
            keys.append(key)
            if len(keys) in (1, 2, 4):
                raise Unavailable("disk full", retry_after=1.0)
            return await publish(events, key=key)  # type: ignore[arg-type]

        monkeypatch.setattr(hub, "publish", moody)
        sink = HubSink(hub)
        event = Event("note", PROJECT, {}, hub.timestamp())
        await sink.publish([event])
        await sink.publish([event])
        assert keys[0] == keys[1] == keys[2] != keys[3] == keys[4]
        assert (await hub.history.state(PROJECT)).seq == 2
