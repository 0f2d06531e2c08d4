"""pytest's plugin in real runs of pytest: alone, with workers, with reruns, and where things die."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.processes import PATIENCE, environment
from tests.live_hub import LiveHub, live_hub

SUITE: Final = """
import pytest

def test_good():
    print("printed")

@pytest.mark.parametrize("n", [1, 2])
def test_number(n):
    assert n == 1, "not one"

@pytest.mark.skip(reason="no network")
def test_later(): pass

@pytest.mark.xfail(reason="known")
def test_known(): assert False

@pytest.fixture
def broken(): raise KeyError("gone")

def test_setup(broken): pass

@pytest.fixture
def leaky():
    yield
    raise ValueError("not closed")

def test_teardown(leaky): pass

class TestShop:
    def test_prices(self): pass
"""
OUTCOMES: Final = {
    "test_good": "completed",
    "test_number[1]": "completed",
    "test_number[2]": "failed",
    "test_later": "skipped",
    "test_known": "skipped",
    "test_setup": "failed",
    "test_teardown": "failed",
    "TestShop::test_prices": "completed",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def suite_ran(folder: Path, suite: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a file `test_shop.py` with the plugin."""
    (folder / "test_shop.py").write_text(suite)
    command = [sys.executable, "-m", "pytest", "-p", "tasktree_rt.integrations.pytest_plugin"]
    quiet = ("-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", ".")
    return subprocess.run(
        [*command, *quiet, *options],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environment(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
        timeout=PATIENCE,
    )


def outcomes(hub: LiveHub, project: str) -> dict[str, str]:
    return {node["title"]: node["status"] for node in hub.nodes(project).values() if node["kind"] == "test"}


def node(hub: LiveHub, project: str, name: str) -> dict[str, Any]:
    return hub.nodes(project)[f"test_shop.py::{name}"]


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "2"]], ids=["alone", "workers"])
def test_a_run_is_a_tree_of_files_and_tests(hub: LiveHub, tmp_path: Path, workers: list[str]) -> None:
    project = f"run-{len(workers)}"
    done = suite_ran(tmp_path, SUITE, "--tasktree", hub.url, "--tasktree-project", project, *workers)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"tasktree-rt: project {project} at {hub.url}" in done.stdout
    nodes = hub.nodes(project)
    assert outcomes(hub, project) == OUTCOMES
    assert (nodes["pytest"]["status"], nodes["pytest"]["message"]) == ("failed", "3 failed, 8 ended")
    assert (nodes["test_shop.py"]["status"], nodes["test_shop.py"]["parent_id"]) == ("failed", "pytest")
    assert hub.state(project) == "failed"
    assert node(hub, project, "test_number[2]")["message"].startswith("AssertionError: not one")
    assert node(hub, project, "test_later")["message"] == "no network"
    assert node(hub, project, "test_known")["message"] == "expected to fail: known"
    assert node(hub, project, "test_setup")["message"] == "setup: KeyError: 'gone'"
    assert node(hub, project, "test_teardown")["message"] == "teardown: ValueError: not closed"
    assert "printed" in hub.lines(project, "test_shop.py::test_good")
    assert "assert n == 1" in "".join(hub.lines(project, "test_shop.py::test_number[2]"))


def test_a_dead_worker_costs_its_test_only(hub: LiveHub, tmp_path: Path) -> None:
    suite = "import os\n\ndef test_dies(): os._exit(3)\n\ndef test_lives(): pass\n"
    done = suite_ran(
        tmp_path, suite, "--tasktree", hub.url, "--tasktree-project", "dead", "-p", "xdist", "-n", "1"
    )
    assert done.returncode == 1, done.stdout
    assert outcomes(hub, "dead") == {"test_dies": "failed", "test_lives": "completed"}
    assert "crashed while running" in node(hub, "dead", "test_dies")["message"]


@pytest.mark.parametrize("workers", [[], ["-p", "xdist", "-n", "1"]], ids=["alone", "workers"])
def test_a_rerun_is_another_attempt(hub: LiveHub, tmp_path: Path, workers: list[str]) -> None:
    suite = f"""
from pathlib import Path
def test_flaky():
    seen = Path({str(tmp_path / "seen")!r})
    seen.write_text(seen.read_text() + "x" if seen.exists() else "x")
    assert len(seen.read_text()) == 3, "not yet"
"""
    project = f"rerun-{len(workers)}"
    options = ("--tasktree", hub.url, "--tasktree-project", project, "-p", "pytest_rerunfailures")
    done = suite_ran(tmp_path, suite, *options, "--reruns", "3", *workers)
    assert done.returncode == 0, done.stdout + done.stderr
    flaky = node(hub, project, "test_flaky")
    assert (flaky["status"], flaky["attempt"]) == ("completed", 3)
    assert (hub.nodes(project)["pytest"]["status"], hub.state(project)) == ("completed", "completed")


def test_tests_that_were_not_run_are_skipped(hub: LiveHub, tmp_path: Path) -> None:
    suite = "def test_bad(): assert False\n\ndef test_rest(): pass\n"
    suite_ran(tmp_path, suite, "-x", TASKTREE_RT_HUB=hub.url, TASKTREE_RT_PROJECT="stopped")
    assert outcomes(hub, "stopped") == {"test_bad": "failed", "test_rest": "skipped"}
    assert hub.nodes("stopped")["pytest"]["status"] == "failed"


def test_ctrl_c_cancels_what_ran(hub: LiveHub, tmp_path: Path) -> None:
    suite = "def test_asks(): raise KeyboardInterrupt\n\ndef test_rest(): pass\n"
    done = suite_ran(tmp_path, suite, "--tasktree", hub.url, "--tasktree-project", "ctrl-c")
    assert done.returncode == 2
    assert outcomes(hub, "ctrl-c") == {"test_asks": "cancelled", "test_rest": "skipped"}
    assert (hub.nodes("ctrl-c")["pytest"]["status"], hub.state("ctrl-c")) == ("cancelled", "cancelled")


def test_a_file_that_cannot_be_collected_has_failed(hub: LiveHub, tmp_path: Path) -> None:
    done = suite_ran(
        tmp_path, "import nothing_of_that_name\n", "--tasktree", hub.url, "--tasktree-project", "broken"
    )
    assert done.returncode == 2
    assert hub.nodes("broken")["test_shop.py"]["status"] == "failed"
    assert "nothing_of_that_name" in "".join(hub.lines("broken", "test_shop.py"))
    assert hub.nodes("broken")["pytest"]["status"] == "failed"


def test_within_another_node_the_session_is_below_it(hub: LiveHub, tmp_path: Path) -> None:
    given = {"TASKTREE_RT_HUB": hub.url, "TASKTREE_RT_PROJECT": "nested", "TASKTREE_RT_PARENT": "ci"}
    assert suite_ran(tmp_path, "def test_one(): pass\n", **given).returncode == 0
    nodes = hub.nodes("nested")
    assert nodes["ci/pytest"]["parent_id"] == "ci"
    assert nodes["ci/test_shop.py::test_one"]["status"] == "completed"
    assert hub.state("nested") in (None, "None")


def test_without_a_hub_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    suite = "import sys\n\ndef test_bare(): assert 'tasktree_rt.client' not in sys.modules\n"
    done = suite_ran(tmp_path, suite)
    assert done.returncode == 0, done.stdout
    assert "tasktree-rt" not in done.stdout


def test_a_hub_that_is_away_changes_no_result(tmp_path: Path) -> None:
    done = suite_ran(tmp_path, SUITE, "--tasktree", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "1 failed, 4 passed, 1 skipped, 1 xfailed, 2 errors" in done.stdout
