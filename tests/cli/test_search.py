"""``tasktree-rt search``."""

import json
from pathlib import Path

import pytest

from tasktree_rt.cli.search import line_of
from tests.cli.processes import finished, hub

EVENTS = b"".join(
    json.dumps(one).encode() + b"\n"
    for one in (
        {"type": "node_update", "data": {"node_id": "a", "changes": {"title": "Fetch pages"}}},
        {"type": "log", "data": {"node_id": "a", "level": "error", "message": "fetch: connection refused"}},
        {"type": "log", "data": {"level": "info", "message": "fetch: connection closed"}},
    )
)


async def test_all_projects_are_searched_or_one_and_the_exit_code_says_whether_anything_matches(
    tmp_path: Path,
) -> None:
    async with hub(tmp_path) as (_, address):
        to = ("--hub", address)
        for project in ("p", "q"):
            await finished(tmp_path, "push", project, *to, stdin=EVENTS)
        code, out, error = await finished(tmp_path, "search", "fetch connection", "--json", *to)
        hits = [json.loads(one) for one in out.splitlines()]
        assert (code, {(one["project_id"], one["seq"]) for one in hits}) == (
            0,
            {(project, seq) for project in "pq" for seq in (2, 3)},
        )
        assert error.startswith("tasktree-rt: 4 of 4 events")
        narrow = ("--project", "p", "--node", "a", "--kind", "log", "--level", "error", "-n", "1")
        code, out, _ = await finished(tmp_path, "search", "fetch", *narrow, *to)
        assert (code, out.partition(" p#2 ")[2]) == (0, "error   a: fetch: connection refused\n")
        assert (await finished(tmp_path, "search", "nowhere", *to))[:2] == (1, "")
        code, _, error = await finished(tmp_path, "search", " -- ", *to)
        assert (code, error.partition("q: ")[0]) == (2, "tasktree-rt: invalid_message: ")


@pytest.mark.parametrize(("colours", "marked"), [(True, "\x1b[1;33mword\x1b[0m"), (False, "word")])
def test_a_hit_is_one_line_in_which_nothing_moves_the_cursor(colours: bool, marked: str) -> None:
    hit = {"project_id": "p", "seq": 7, "type": "log", "level": "in\x1b[2Jfo", "node_id": "a\nb"}
    line = line_of({**hit, "received": "now", "excerpt": ["one\n\x1b[2J ", "word", ""]}, colours=colours)
    assert line == f"now p#7 info    a b: one  {marked}"
