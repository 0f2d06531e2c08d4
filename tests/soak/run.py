"""One soak: a hub with everything at once; restarts first, then one long life in which nothing may grow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

from tasktree_rt.load.conduct import Conductor
from tasktree_rt.load.plan import plan_fields, read_plan
from tasktree_rt.load.report import report
from tasktree_rt.load.target import resolve
from tests.server.process import HubProcess, hub_process
from tests.soak.slopes import Slope, Verdict, judge, slope

CODE: Final = "from tests.soak.counted_hub import run; run()"
RESTARTS: Final = 2
QUIET: Final = 0.25
"""Share of the run in which the hub is restarted."""
SETTLING: Final = 0.1
"""Share of the run between the last restart and the window of the slopes."""
SETTINGS: Final = (
    "keep.max_events=500",
    "keep.sweep_interval=5",
    "keep.checkpoint_events=200",
    "log.level=error",
)
"""So that logs are full, and trimmed, early in a short run."""
PACED: Final = ("rate", "churn", "prompts")
"""Fields of the plan that a faster soak multiplies."""
FIGURES: Final = (
    ("memory", "MB", 8.0),
    ("blocks", "1,000", 20.0),
    ("descriptors", "", 10.0),
    ("tasks", "", 10.0),
    ("wal", "MB", 8.0),
)
"""Name, unit, and the growth over the window that is noise. Blocks: of Python's allocator."""


@define
class Soak:
    """What a soak found. `samples`: by name, seconds and value; `began`: the window of the slopes."""

    samples: dict[str, list[tuple[float, float]]] = field(
        factory=lambda: {name: [] for name, _, _ in FIGURES}
    )
    began: float = 0.0
    report: dict[str, Any] = field(factory=dict)

    def verdicts(self, part: float = 1.0) -> list[Verdict]:
        """Judge each figure over the last `part` of the window: caches fill in the first half."""
        end = max(point[0] for found in self.samples.values() for point in found)
        begin = end - (end - self.began) * part
        windows = {
            name: [point for point in found if point[0] >= begin] for name, found in self.samples.items()
        }
        return [judge(name, unit, windows[name], least) for name, unit, least in FIGURES]

    def course(self, name: str, parts: int = 4) -> list[Slope]:
        """The slopes of a figure in equal parts of the window: those of a cache that fills become smaller."""
        points = [point for point in self.samples[name] if point[0] >= self.began]
        size = len(points) // parts
        return [slope(points[size * part : size * (part + 1)]) for part in range(parts)]


async def soak(folder: Path, seconds: float, pace: float = 1.0, **fields: Any) -> Soak:
    """Run the plan ``soak`` for so long, with `pace` times as many events, reconnects and prompts a second;
    `fields` change the plan.
    """
    counts = folder / "counts"
    counts.write_bytes(bytes(16))
    ready: dict[str, Any] = plan_fields("soak")[0]
    paced = {name: ready[name] * pace for name in PACED}
    plan = read_plan({**ready, **paced, "duration": seconds, **fields})
    found = Soak()
    async with hub_process(folder, *SETTINGS, env={"SOAK_COUNTS": str(counts)}, code=CODE) as hub:
        begun = trio.Event()

        def show(phase: str, sample: object) -> None:
            if sample is not None:
                begun.set()

        conductor = Conductor(plan, resolve(hub.url), show)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_disturb, hub, found, begun, seconds)
            nursery.start_soon(_sample, hub, counts, found, begun, max(0.25, seconds / 400))
            found.report = report(await conductor.run())
            nursery.cancel_scope.cancel()
    return found


async def _disturb(hub: HubProcess, found: Soak, begun: trio.Event, seconds: float) -> None:
    """Restart the hub in the first part of the run: by ``kill -9``, and by SIGTERM."""
    await begun.wait()
    start = trio.current_time()
    for number in range(RESTARTS):
        await trio.sleep(seconds * QUIET / (RESTARTS + 1))
        await (hub.stop() if number % 2 else hub.kill())
        await hub.start()
    found.began = trio.current_time() - start + seconds * SETTLING


async def _sample(hub: HubProcess, counts: Path, found: Soak, begun: trio.Event, interval: float) -> None:
    await begun.wait()
    start = trio.current_time()
    while True:
        await trio.sleep(interval)
        seconds = trio.current_time() - start
        if hub.process.returncode is not None:
            continue
        counted = counts.read_bytes()
        try:
            values = {
                "memory": hub.memory() / 1e6,
                "blocks": int.from_bytes(counted[8:], "little") / 1e3,
                "descriptors": len(os.listdir(f"/proc/{hub.process.pid}/fd")),
                "tasks": int.from_bytes(counted[:8], "little"),
                "wal": Path(f"{hub.folder}/hub.db-wal").stat().st_size / 1e6,
            }
        except (OSError, ValueError, IndexError):
            continue  # it is just being restarted
        for name, value in values.items():
            found.samples[name].append((seconds, float(value)))
