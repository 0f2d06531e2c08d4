"""The browser's half of the protocol, in Node: the same rules and the same cases as the hub's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.core.events import Json
from tests.browser import program
from tests.web.realhub import STATIC, node_update

CASES = Path(__file__).parents[1] / "cases" / "reducer.json"


async def node(folder: Path, script: str, given: object) -> Any:
    """What a script prints as JSON that may import the pages' modules from ``./`` and gets `given`."""
    shutil.copytree(STATIC, folder / "js", dirs_exist_ok=True)
    (folder / "js" / "package.json").write_text('{"type": "module"}')
    (folder / "js" / "test.js").write_text(
        'import { readFileSync } from "node:fs";\nconst given = JSON.parse(readFileSync(0));\n' + script
    )
    finished = await trio.run_process(
        [program("node"), str(folder / "js" / "test.js")],
        stdin=json.dumps(given).encode(),
        capture_stdout=True,
    )
    return json.loads(finished.stdout)


async def test_the_browser_reduces_every_shared_case_as_the_hub_does(tmp_path: Path) -> None:
    cases = json.loads(CASES.read_text(encoding="utf-8"))
    script = """
        import { Tree, statusOf } from "./tree.js";
        console.log(JSON.stringify(given.map(({ project_id, events }) => {
            const tree = new Tree();
            for (const { type, data } of events) tree.apply(type, data, project_id);
            const nodes = [...tree.nodes].map(([id, { fields }]) => [id, fields]);
            const counted = {};
            for (const [, fields] of nodes) counted[statusOf(fields)] = (counted[statusOf(fields)] ?? 0) + 1;
            return { ...tree.top, nodes, counted, counts: Object.fromEntries(tree.statuses) };
        })));
    """
    found = await node(tmp_path, script, cases)
    assert len(found) == len(cases) > 50
    for case, one in zip(cases, found, strict=True):
        assert one.pop("counted") == one.pop("counts"), case["name"]
        assert one | {"nodes": dict(one["nodes"])} == case["expect"], case["name"]


def event(seq: int, node_id: str = "a", epoch: str = "e", **changes: Any) -> Json:
    stamp = "2026-11-21T12:00:00.000000Z"
    place = {"project_id": "p", "timestamp": stamp, "seq": seq, "epoch": epoch}
    return {**node_update(node_id, **changes), **place}


def deleted(seq: int) -> Json:
    return {**event(seq), "type": "project_deleted", "data": {}}


def state(part: int, parts: int, *nodes: Json, seq: int = 5, epoch: str = "e") -> Json:
    data: Json = {"nodes": list(nodes)}
    if part == 1:
        top: Json = {
            "state": "running",
            "project": {},
            "orchestrator": None,
            "coordination": None,
            "prompts": [],
        }
        data = {**top, **data}
    place = {"project_id": "p", "seq": seq, "epoch": epoch, "reason": "initial"}
    return {"type": "project_state", **place, "part": part, "parts": parts, "data": data}


def conflated(after: int, removed: list[str], *nodes: Json) -> Json:
    place = {"project_id": "p", "epoch": "e", "after": after, "seq": 9}
    return {"type": "conflated", **place, "removed": removed, "nodes": list(nodes), "events": []}


def heartbeat(position: str) -> Json:
    return {"type": "heartbeat", "timestamp": "", "positions": {"p": position}}


def subscribed(seq: int, recovered: bool | None, id: int | None = None, epoch: str = "e") -> Json:
    place = {"project_id": "p", "seq": seq, "epoch": epoch, "recovered": recovered}
    return {"type": "subscribed", **place, **({} if id is None else {"id": id})}


ANSWER = subscribed(5, None, 1)
A, B, X = {"node_id": "a"}, {"node_id": "b"}, {"node_id": "x"}
OPEN = [ANSWER, state(1, 1, {**A, "progress": 1})]
A1 = {"a": {"progress": 1}}
FIRST: list[Json] = [{"state": True}]
AGAIN: list[Json] = [*FIRST, {"since": "e:5"}]
FOLLOWED: dict[str, tuple[list[Json], str | None, Json, list[Json]]] = {
    "begins with the state": ([], None, {}, FIRST),
    "ignores what comes before its own answer": ([event(5), *OPEN], "e:5", A1, FIRST),
    "stands where the state stands": (OPEN, "e:5", A1, FIRST),
    "moves with an event": ([*OPEN, event(6, progress=2)], "e:6", {"a": {"progress": 2}}, FIRST),
    "takes an event once": ([*OPEN, event(5, progress=9)], "e:5", A1, FIRST),
    "asks again after a gap": ([*OPEN, event(7)], "e:5", A1, AGAIN),
    "shows no unfinished state": ([ANSWER, state(1, 2, A)], None, {}, FIRST),
    "begins anew at part 1": (
        [ANSWER, state(1, 2, X), state(1, 2, A), state(2, 2, B)],
        "e:5",
        {"a": {}, "b": {}},
        FIRST,
    ),
    "asks again when a part is missing": ([ANSWER, state(2, 2, B)], None, {}, [*FIRST, *FIRST]),
    "takes conflated in one step": (
        [*OPEN, conflated(5, ["a"], {**B, "title": "B"})],
        "e:9",
        {"b": {"title": "B"}},
        FIRST,
    ),
    "asks again when conflated begins elsewhere": ([*OPEN, conflated(7, ["a"])], "e:5", A1, AGAIN),
    "asks again when a heartbeat names another position": ([*OPEN, heartbeat("e:7")], "e:5", A1, AGAIN),
    "is content with a heartbeat from here": ([*OPEN, heartbeat("e:5")], "e:5", A1, FIRST),
    "empties the tree": ([*OPEN, deleted(6)], "e:6", {}, FIRST),
    "takes a heartbeat of a project that is gone": ([*OPEN, deleted(6), heartbeat(":0")], "e:6", {}, FIRST),
    "begins a new life": (
        [*OPEN, deleted(6), subscribed(0, None, None, "f"), event(1, "n", "f")],
        "f:1",
        {"n": {}},
        FIRST,
    ),
    "takes the state of a new life after a gap": (
        [*OPEN, event(7), subscribed(3, False, 2, "f"), state(1, 1, B, seq=3, epoch="f")],
        "f:3",
        {"b": {}},
        AGAIN,
    ),
}


@pytest.mark.parametrize(("said", "position", "nodes", "asked"), FOLLOWED.values(), ids=FOLLOWED)
async def test_the_browser_follows(
    tmp_path: Path, said: list[Json], position: str | None, nodes: Json, asked: list[Json]
) -> None:
    script = """
        import { Follower } from "./follow.js";
        const follower = new Follower("p");
        const asked = [];
        const take = () => asked.push(...follower.requests.splice(0));
        follower.open();
        take();
        for (const message of given) {
            follower.receive(message);
            take();
        }
        const { position: at, tree } = follower;
        const nodes = Object.fromEntries([...tree.nodes].map(([id, { fields }]) => [id, fields]));
        console.log(JSON.stringify({ position: at && `${at.epoch}:${at.seq}`, nodes, asked }));
    """
    found = await node(tmp_path, script, said)
    assert (found["position"], found["nodes"]) == (position, nodes)
    assert [
        {name: one[name] for name in one if name in ("since", "state")} for one in found["asked"]
    ] == asked


async def test_rows_are_in_order_with_orphans_and_cycles_at_the_top(tmp_path: Path) -> None:
    script = """
        import { Tree } from "./tree.js";
        import { Rows } from "./rows.js";
        const tree = new Tree();
        const put = (id, changes) => tree.apply("node_update", { node_id: id, changes }, "p");
        for (const [id, changes] of given) put(id, changes);
        const rows = new Rows(tree);
        const shown = () => {
            rows.rebuild();
            return rows.shown.map(({ entry, depth }) => " ".repeat(depth) + entry.id);
        };
        const all = shown();
        rows.fold("a", true);
        const folded = shown();
        rows.filter("leaf", null);
        const filtered = shown();
        rows.filter("", "failed");
        const failed = shown();
        rows.filter("", null);
        rows.fold("a", false);
        put("a", { title: "z", deleted: null });
        put("c1", { parent_id: null });
        console.log(JSON.stringify({ all, folded, filtered, failed, changed: shown() }));
    """
    nodes: list[tuple[str, Json]] = [
        ("b", {"title": "file 10"}),
        ("a", {"title": "file 9"}),
        ("last", {"order": 2}),
        ("first", {"order": 1}),
        ("leaf", {"parent_id": "a", "status": "failed"}),
        ("orphan", {"parent_id": "nobody"}),
        ("c1", {"parent_id": "c2"}),
        ("c2", {"parent_id": "c1"}),
        ("hangs", {"parent_id": "c2"}),
    ]
    found = await node(tmp_path, script, nodes)
    cycle = ["c1", " c2", "  hangs"]
    assert found["all"] == ["first", "last", "a", " leaf", "b", "orphan", *cycle]
    assert found["folded"] == ["first", "last", "a", "b", "orphan", *cycle]
    assert found["filtered"] == found["failed"] == ["a", " leaf"]
    assert found["changed"] == ["first", "last", *cycle, "b", "orphan", "a", " leaf"]


async def test_reconnects_are_spread_over_the_whole_time_there_is(tmp_path: Path) -> None:
    script = """
        import { backoff } from "./link.js";
        const delays = (random) => given.map((attempt) => backoff(attempt, () => random));
        console.log(JSON.stringify([delays(0), delays(0.5), delays(1)]));
    """
    assert await node(tmp_path, script, [0, 1, 2, 20]) == [
        [0] * 4,
        [250, 500, 1000, 15_000],
        [500, 1000, 2000, 30_000],
    ]
