"""Plans: read, checked, ready."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.load.plan import Plan, UnfitPlan, plan_fields, read_plan
from tasktree_rt.load.ready_plans import READY
from tasktree_rt.load.schedule import schedule, spread


@pytest.mark.parametrize("name", READY)
def test_each_ready_plan_is_valid(name: str) -> None:
    given, place = plan_fields(name)
    assert read_plan(given, place).watchers >= 300


def test_a_plan_survives_json() -> None:
    for name in READY:
        plan = read_plan(plan_fields(name)[0])
        assert read_plan(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("watchers", 0, "watchers: expected a whole number from 1 to 1,000,000, got 0"),
        ("watchers", True, "watchers: expected a whole number from 1 to 1,000,000, got True"),
        ("watchers", "many", "watchers: expected a whole number from 1 to 1,000,000, got 'many'"),
        ("rate", -1, "rate: expected a number a second from 0 to 1,000,000, got -1"),
        ("duration", "5 parsecs", 'duration: expected a duration like "500ms", "30s", "5m" or "1h", got'),
        ("duration", float("nan"), "duration: expected a duration like"),
        ("size", "4XB", 'size: expected a size like 256, "4KB" or "1MiB", got'),
        ("slow", "130%", 'slow: expected a share like 0.05 or "5%", at most 1, got'),
        ("dialect", "klingon", "dialect: expected tasktree.v1, plain, sse, "),
        ("dialect", {"plain": 0}, "dialect: expected a weight above 0 for plain, got 0"),
        ("dialect", "plain:x", "dialect: expected a weight above 0 for plain, got 'x'"),
        (
            "dialect",
            {"plain": 1, "aiecs": 1},
            "dialect: expected only tasktree.v1, plain, sse in a mix, got aiecs",
        ),
        ("policy", "shrug", "policy: expected conflate, resync or disconnect, got 'shrug'"),
        ("storms", "10s", "storms: expected a list of durations"),
        ("projects", 200, "projects: expected at most as many as watchers (100), got 200"),
        ("processes", 101, "processes: expected at most as many as watchers (100), got 101"),
        ("message", "hi", "message: expected {n} for the number, got 'hi'"),
        ("wachters", 5, "wachters: unknown field; expected one of dialect, watchers,"),
    ],
)
def test_an_invalid_field_is_named_with_what_was_expected(field: str, value: object, message: str) -> None:
    with pytest.raises(UnfitPlan) as caught:
        read_plan({field: value})
    assert str(caught.value).startswith(message)


def test_a_file_is_named_beside_its_field(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('watchers = 10\nrate = "fast"\n')
    with pytest.raises(UnfitPlan, match=r"mine\.toml: rate: expected a number a second"):
        read_plan(*plan_fields(str(file)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dashbord", "--plan: expected dashboard, storm, slow-readers, soak or a file ending in .toml"),
        ("gone.toml", "--plan: gone.toml: No such file or directory"),
    ],
)
def test_a_plan_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(UnfitPlan) as caught:
        plan_fields(name)
    assert str(caught.value).startswith(message)


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("watchers: 10")
    with pytest.raises(UnfitPlan, match="no TOML"):
        plan_fields(str(file))


def test_the_schedule_has_an_even_rate_and_bursts() -> None:
    plan = read_plan({"rate": 10, "duration": 2, "burst": 5, "burst_every": 1, "projects": 2})
    events = list(schedule(plan))
    assert len(events) == 25
    assert [due for due, _ in events] == sorted(due for due, _ in events)
    assert [due for due, _ in events].count(1.0) == 6
    assert Counter(project for _, project in events) == {0: 13, 1: 12}


@given(st.integers(1, 300), st.integers(1, 30), st.sampled_from(["even", "skewed"]))
def test_every_watcher_has_a_project_and_every_project_a_watcher(
    watchers: int, projects: int, how: str
) -> None:
    projects = min(projects, watchers)
    plan = Plan(watchers=watchers, projects=projects, spread=how)
    found = Counter(spread(plan))
    assert found.total() == watchers
    assert set(found) == set(range(projects))
