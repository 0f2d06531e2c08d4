"""What git ignores, and what tools make, is not looked at; and the demo says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tasktree_rt.cli.demo.ignored_files import left_out
from tasktree_rt.cli.demo.names import ROOT
from tasktree_rt.cli.demo.run import WORK, Job
from tasktree_rt.cli.demo.walk import walk
from tests.cli.demo.test_run import PROJECT, Recorder, plant
from tests.cli.processes import finished


def checkout(root: Path, ignored: str) -> None:
    root.mkdir(exist_ok=True)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".gitignore").write_text(ignored)


def seen(root: Path, *, everything: bool = False) -> tuple[set[str], str]:
    leaving = left_out(os.fsencode(root), everything=everything)
    paths = {os.fsdecode(entry.path) for entry in walk(os.fsencode(root), leaving)}
    return paths - {""}, str(leaving)


def test_what_git_ignores_is_left_out_at_every_depth(tmp_path: Path) -> None:
    checkout(tmp_path, "/.venv/\n*.pyc\nbuilt\n")
    plant(
        tmp_path,
        {
            ".venv/lib/x.py": b"x = (",
            "src/a.py": b"",
            "src/a.pyc": b"",
            "src/built/out.js": b"",
            "src/.gitignore": b"notes\n",
            "src/notes": b"",
            "notes": b"",
            "node_modules/kept.js": b"",
        },
    )
    paths, said = seen(tmp_path)
    assert paths == {
        ".gitignore",
        "node_modules",
        "node_modules/kept.js",
        "notes",
        "src",
        "src/.gitignore",
        "src/a.py",
    }
    assert said == "left out, as git ignores it: .venv, src/a.pyc, src/built and 1 more"


def test_a_folder_within_a_checkout_asks_the_same_git(tmp_path: Path) -> None:
    checkout(tmp_path, "*.log\n/here/.venv\n")
    plant(tmp_path / "here", {".venv/x": b"", "deep/a.log": b"", "deep/b": b""})
    assert seen(tmp_path / "here") == (
        {"deep", "deep/b"},
        "left out, as git ignores it: .venv, deep/a.log",
    )


def test_names_that_are_no_text_are_left_out_too(tmp_path: Path) -> None:
    checkout(tmp_path, "*.tmp\n")
    odd = os.fsencode(tmp_path) + b"/new\nline \xff.tmp"
    with open(odd, "wb"):
        pass
    paths, said = seen(tmp_path)
    assert paths == {".gitignore"}
    assert said == "left out, as git ignores it: new line �.tmp"


def test_without_git_what_tools_make_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(
        tmp_path,
        {
            ".git/config": b"",
            ".venv/x.py": b"",
            "my env/pyvenv.cfg": b"",
            "web/node_modules/a/b.js": b"",
            "a/__pycache__/a.pyc": b"",
            "a/a.py": b"",
            "b/node_modules": b"a file of that name",
        },
    )
    monkeypatch.setenv("PATH", "/nowhere")
    paths, said = seen(tmp_path)
    assert paths == {"a", "a/a.py", "b", "b/node_modules", "web"}
    assert said == "left out, as tools make it: .venv, my env, a/__pycache__ and 1 more"


def test_a_folder_that_is_ignored_itself_is_shown_all_the_same(tmp_path: Path) -> None:
    checkout(tmp_path, "scratch\n")
    plant(tmp_path / "scratch", {"a": b"", "node_modules/b": b""})
    assert seen(tmp_path / "scratch") == ({"a"}, "left out, as tools make it: node_modules")


def test_everything_is_everything(tmp_path: Path) -> None:
    checkout(tmp_path, ".venv\n")
    plant(tmp_path, {".venv/x": b""})
    paths, said = seen(tmp_path, everything=True)
    assert {".venv/x", ".git/HEAD"} <= paths
    assert said == ""


def test_nothing_that_a_checkouts_own_settings_name_is_run(tmp_path: Path) -> None:
    checkout(tmp_path, "x\n")
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    subprocess.run(["git", "-C", str(tmp_path), "config", "core.fsmonitor", str(hook)], check=True)
    seen(tmp_path)
    assert not (tmp_path / "ran").exists()


async def test_the_tree_and_the_output_say_what_was_left_out_and_it_ends_well(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    checkout(root, ".venv\n")
    plant(root, {".venv/broken.py": b"x = (", "src/good.py": b"x = 1", "README.md": b"", "Licence": b""})
    recorder = Recorder()
    totals = await Job(os.fsencode(root), PROJECT, recorder, recorder, 10_000).run()
    assert (totals.failed, recorder.left) == (0, "left out, as git ignores it: .venv")
    nodes = recorder.nodes
    assert nodes.fields(ROOT)["message"] == f"{WORK}; {recorder.left}"
    assert {nodes.fields(name)["status"] for name in nodes.nodes} == {"completed"}
    first = sorted(
        (fields["order"], fields["title"])
        for fields in map(nodes.fields, nodes.nodes)
        if fields.get("parent_id") == ROOT
    )
    assert [title for _, title in first] == ["src", "Licence", "README.md", ".gitignore"]
    arguments = ("demo", "folder", "--once", "--bind", "127.0.0.1:0", "--store", "memory:", "--pace", "1000")
    code, out, error = await finished(tmp_path, *arguments)
    assert (code, error) == (0, "")
    assert "left out, as git ignores it: .venv\n" in out
    assert out.endswith("tasktree-rt: done: 2 folders, 4 files completed, 0 failed\n")
    code, out, _ = await finished(tmp_path, *arguments, "--all")
    assert "failed: .venv/broken.py: SyntaxError" in out
