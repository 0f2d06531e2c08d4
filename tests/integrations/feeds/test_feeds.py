"""What real tools printed (go 1.26, cargo 1.95, ninja 1.11, BuildKit 0.34, pytest 9), fed to a real hub."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.cli.feed import KINDS
from tasktree_rt.client.joining import join
from tasktree_rt.integrations.feeds.base import Feed
from tests.cli.processes import PATIENCE, environment
from tests.live_hub import LiveHub, live_hub

RECORDED: Final = Path(__file__).parent / "recorded"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHub]:
    with live_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def fed(hub: LiveHub, folder: Path, kind: str, data: bytes, project: str) -> tuple[int, str]:
    """Feed by the command, over a pipe; the exit code and what it printed."""
    command = [sys.executable, "-m", "tasktree_rt", "feed", kind, project, "--hub", hub.url]
    done = subprocess.run(
        command, check=False, input=data, capture_output=True, env=environment(folder), timeout=PATIENCE
    )
    assert b"Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.decode()


def tree(hub: LiveHub, project: str, kind: str) -> dict[str, str]:
    """Each node below the feed's as `path of titles: status`."""
    nodes = hub.nodes(project)

    def path(node: dict[str, Any]) -> str:
        above = nodes.get(node.get("parent_id", ""))
        mine = str(node["title"])
        return mine if above is None or above["node_id"] == kind else f"{path(above)} > {mine}"

    return {path(one): one["status"] for one in nodes.values() if one["node_id"] != kind}


def test_go_tests_are_packages_tests_and_subtests(hub: LiveHub, tmp_path: Path) -> None:
    code, printed = fed(hub, tmp_path, "go", (RECORDED / "go.jsonl").read_bytes(), "go")
    shop = "example.com/shop"
    assert tree(hub, "go", "go") == {
        f"{shop}/bad": "failed",
        f"{shop}/bad > TestSum": "failed",
        f"{shop}/bad > TestSum > negative": "failed",
        f"{shop}/bad > TestSum > zero": "completed",
        f"{shop}/empty": "skipped",
        f"{shop}/nobuild": "failed",
        f"{shop}/ok": "completed",
        f"{shop}/ok > TestLater": "skipped",
        f"{shop}/ok > TestPrices": "completed",
        f"{shop}/ok > TestPrices > apple": "completed",
        f"{shop}/ok > TestPrices > fresh/pear": "completed",
    }
    nodes = hub.nodes("go")
    assert nodes[f"go/{shop}/bad/TestSum/negative"]["message"] == "bad_test.go:6: sum is 3, want 4"
    assert nodes[f"go/{shop}/ok/TestLater"]["message"] == "ok_test.go:11: no network"
    assert "nobuild/nobuild_test.go:5:32: undefined: undefined" in hub.lines("go", f"go/{shop}/nobuild")
    assert (code, hub.state("go"), nodes["go"]["status"]) == (1, "failed", "failed")
    assert f"ok  \t{shop}/ok\t0.003s\n" in printed
    assert "bad_test.go:6: sum is 3, want 4" in printed
    assert "priced apple" not in printed


def test_a_broken_off_go_test_leaves_no_test_running(hub: LiveHub, tmp_path: Path) -> None:
    lines = (RECORDED / "go.jsonl").read_bytes().splitlines(keepends=True)
    code, _ = fed(hub, tmp_path, "go", b"".join(lines[:16]), "go-cut")
    assert code == 1
    assert set(tree(hub, "go-cut", "go").values()) == {"cancelled", "failed", "skipped"}


def test_cargo_shows_crates_and_what_the_compiler_says(hub: LiveHub, tmp_path: Path) -> None:
    code, printed = fed(hub, tmp_path, "cargo", (RECORDED / "cargo.jsonl").read_bytes(), "cargo")
    assert tree(hub, "cargo", "cargo") == {
        "price 0.1.0: price (lib)": "completed",
        "shop 0.3.0: build-script-build (custom-build)": "completed",
        "shop 0.3.0: run build script": "completed",
        "shop 0.3.0: shop (bin)": "completed",
    }
    assert (code, hub.state("cargo")) == (0, "completed")
    assert "unused variable" in printed
    assert "\x1b[" in "".join(hub.lines("cargo"))


def test_a_crate_that_does_not_compile_has_failed(hub: LiveHub, tmp_path: Path) -> None:
    code, _ = fed(hub, tmp_path, "cargo", (RECORDED / "cargo-bad.jsonl").read_bytes(), "cargo-bad")
    nodes = {node["title"]: node for node in hub.nodes("cargo-bad").values()}
    broken = nodes["shop 0.3.0: shop (bin)"]
    assert (broken["status"], broken["message"]) == ("failed", "cannot find function `off` in crate `price`")
    assert nodes["price 0.1.0: price (lib)"]["cached"] is True
    assert (code, hub.state("cargo-bad")) == (1, "failed")


def test_ninjas_lines_are_steps(hub: LiveHub, tmp_path: Path) -> None:
    data = (RECORDED / "ninja.txt").read_bytes()
    code, printed = fed(hub, tmp_path, "ninja", data, "ninja")
    assert tree(hub, "ninja", "ninja") == {"CC b.o": "failed", "CC a.o": "completed", "CC c.o": "completed"}
    assert hub.lines("ninja", "ninja/CC b.o") == ['echo "no such type" >&2; exit 3', "no such type"]
    assert hub.lines("ninja", "ninja/CC a.o") == ["compiling a.c"]
    assert (code, printed) == (1, data.decode())
    assert fed(hub, tmp_path, "ninja", (RECORDED / "ninja-ok.txt").read_bytes(), "ninja-ok")[0] == 0


def test_a_docker_builds_steps_have_their_output_and_what_they_need(hub: LiveHub, tmp_path: Path) -> None:
    code, printed = fed(hub, tmp_path, "docker", (RECORDED / "docker.jsonl").read_bytes(), "docker")
    nodes = {node["title"]: node for node in hub.nodes("docker").values()}
    assert {node["status"] for node in nodes.values()} == {"completed"}
    run = nodes['[base 2/2] RUN ["/hello"]']
    assert run["depends_on"] == [nodes["[base 1/2] COPY hello /hello"]["node_id"]]
    assert hub.lines("docker", run["node_id"]) == ["hello from the build"]
    assert (code, hub.state("docker")) == (0, "completed")
    assert "hello from the build\n" in printed


def test_a_failed_step_of_a_docker_build_says_why(hub: LiveHub, tmp_path: Path) -> None:
    code, printed = fed(hub, tmp_path, "docker", (RECORDED / "docker-bad.jsonl").read_bytes(), "docker-bad")
    nodes = {node["title"]: node for node in hub.nodes("docker-bad").values()}
    failed = nodes['[stage-1 2/2] RUN ["/hello", "fail"]']
    assert failed["status"] == "failed"
    assert failed["message"].endswith('"/hello fail" did not complete successfully: exit code: 1')
    assert (code, hub.state("docker-bad")) == (1, "failed")
    assert "error: failed to solve" in printed


def test_junit_has_suites_cases_and_their_reasons(hub: LiveHub, tmp_path: Path) -> None:
    code, printed = fed(hub, tmp_path, "junit", (RECORDED / "junit.xml").read_bytes(), "junit")
    assert tree(hub, "junit", "junit") == {
        "pytest": "failed",
        "pytest > test_good": "completed",
        "pytest > test_bad[1]": "failed",
        "pytest > test_later": "skipped",
        "pytest > test_broken": "failed",
    }
    nodes = {node["title"]: node for node in hub.nodes("junit").values()}
    assert nodes["test_bad[1]"]["message"] == "AssertionError: one is not two"
    assert nodes["test_later"]["message"] == "no network"
    assert (code, printed) == (1, "")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "aaaa">]>\n<testsuite/>\n', "document type"),
        (b"<testsuite name='s'>\n", "no element found"),
        (b"not xml\n", "syntax error"),
    ],
)
def test_an_xml_file_that_cannot_be_read_fails_and_says_why(
    hub: LiveHub, tmp_path: Path, data: bytes, problem: str
) -> None:
    project = f"xml-{problem.replace(' ', '-')}"
    assert fed(hub, tmp_path, "junit", data, project)[0] == 1
    assert problem in hub.nodes(project)["junit"]["message"]


@pytest.mark.parametrize("kind", ["go", "cargo", "docker", "ninja"])
def test_what_no_tool_printed_is_passed_on_as_it_is(hub: LiveHub, tmp_path: Path, kind: str) -> None:
    data = b'plain\n{"half": \n[1]\n{"other": "tool"}\n\xff\n'
    assert fed(hub, tmp_path, kind, data, f"passed-{kind}") == (0, data.decode("utf-8", "replace"))


NAMES: Final = (
    *("Action", "Package", "Test", "Output", "reason", "target", "message", "vertexes", "digest", "started"),
    *("completed", "logs", "statuses", "vertex", "data", "kind", "name", "package_id", "inputs", "total"),
)
WORDS: Final = (
    "output",
    "run",
    "fail",
    "skip",
    "pass",
    "compiler-message",
    "compiler-artifact",
    "a/b",
    "YQ==",
)
JSON: Final = st.recursive(
    st.none() | st.integers(0, 9) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=8,
)


def feed_of(kind: str) -> Feed:
    made = KINDS[kind]
    module = import_module(f"tasktree_rt.integrations.feeds.{made.module}")
    found: Feed = getattr(module, made.name)(join("p", hub=""), "above")
    return found


@settings(max_examples=60)
@given(st.sampled_from(sorted(KINDS)), st.lists(JSON | st.text(max_size=30), max_size=6))
def test_no_line_breaks_a_feed(kind: str, lines: list[Any]) -> None:
    feed = feed_of(kind)
    for line in lines:
        feed.line(f"{line if isinstance(line, str) else json.dumps(line)}\n")
    feed.end()
