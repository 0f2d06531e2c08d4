"""Every file, folder, module, recipe and command that a page names is there; the map lists every room."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import click
import pytest

from tasktree_rt.cli.main import tasktree_rt

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "tasktree_rt"
PAGES: Final = sorted([ROOT / "README.md", ROOT / "frontend" / "README.md", *(ROOT / "docs").glob("**/*.md")])
SUFFIX: Final = r"\.(?:py|md|json|jsonl|toml|patch|ts|tsx|sh|html|css|conf|service|yml|svg|png|cfg)"
SKIPPED: Final = frozenset({".git", ".venv", "node_modules", "dist", "__pycache__", ".bench"})
FOREIGN: Final = frozenset(
    {
        "a2amcp_orchestrator.py",
        "api.py",
        "api/conn_manager.py",
        "api/ws_api.py",
        "autogpt-server-api/client.ts",
        "autogpt_libs/auth/config.py",
        "data/event_bus.py",
        "data/execution.py",
        "data/redis_client.py",
        "mine.toml",
        "project.jsonl",
        "tasktree-rt.toml",
        "tasktree_rt/web/static/manual",
    }
)
"""Files of other systems, files that a user makes, and what `just docs` builds."""


@cache
def paths() -> frozenset[str]:
    """Every file and folder of the repository; a folder ends with a slash."""
    found: list[str] = []
    folders = [ROOT]
    while folders:
        for one in folders.pop().iterdir():
            if one.name in SKIPPED:
                continue
            name = one.relative_to(ROOT).as_posix()
            found.append(name + "/" if one.is_dir() else name)
            if one.is_dir():
                folders.append(one)
    return frozenset(found)


def spans(page: Path) -> Iterator[str]:
    """The pieces of code in a page's sentences."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", text.replace("`` ` ``", ""))


def named(page: Path) -> list[str]:
    """The paths in a page: what ends like a file or a folder, and what begins with a folder of the house."""
    rooms = "|".join(one.rstrip("/") for one in folders_of("") + folders_of("tasktree_rt/"))
    path = re.compile(rf"(?:[\w.*-]+/)*[\w.*-]+{SUFFIX}|(?:[\w.-]+/)+|(?:{rooms})(?:/[\w.*-]+)+")
    plain = (re.sub(r"<\w+>", "*", one) for one in spans(page))
    return [one for one in plain if path.fullmatch(one) and one not in FOREIGN]


def folders_of(parent: str) -> list[str]:
    pattern = re.compile(rf"{re.escape(parent)}[\w-]+/")
    return [one.removeprefix(parent) for one in paths() if pattern.fullmatch(one)]


def is_there(name: str) -> bool:
    """A path counts from the root, from the package, or from any folder if it is one name alone."""
    bare = "/" not in name.rstrip("/")
    start = r"(?:.*/)?" if bare else r"(?:tasktree_rt/|tasktree_rt/hub/)?"
    end = "" if name.endswith("/") else r"(?:/|\.py)?"
    pattern = re.compile(start + re.escape(name).replace(r"\*", "[^/]*") + end)
    return any(pattern.fullmatch(one) for one in paths())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    assert [one for one in named(page) if not is_there(one)] == []


def test_paths_are_recognised_and_missing_ones_found() -> None:
    found = set(named(ROOT / "docs" / "contributing.md"))
    assert {
        "hub/delivery/outbox.py",
        "core/reducer.py",
        "sessions/",
        "tests/simulation/mutants/*.patch",
    } <= found
    assert not is_there("hub/delivery/no_such_module.py")
    assert not is_there("no_such_room/")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_module_that_a_page_names_can_be_imported(page: Path) -> None:
    for name in {one for span in spans(page) for one in re.findall(r"^tasktree_rt(?:\.\w+)+", span)}:
        assert resolves(name), name


def resolves(name: str) -> bool:
    """True if `name` is a module of the package, or a name within one."""
    parts = name.split(".")
    if parts[1] == "integrations":
        return is_in_integration(parts[2:])
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        return not parts[count:] or (len(parts) == count + 1 and hasattr(found, parts[count]))
    return False


def is_in_integration(parts: list[str]) -> bool:
    """The same of a module that needs another framework, which is not installed here: by its text."""
    file = PACKAGE / "integrations" / f"{parts[0]}.py"
    named = re.compile(rf"^(?:def|class) {parts[1]}\b" if parts[1:] else "", re.MULTILINE)
    return file.is_file() and named.search(file.read_text(encoding="utf-8")) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_class_that_a_page_names_with_its_module_is_defined_there(page: Path) -> None:
    for module, name in {
        one for span in spans(page) for one in re.findall(r"\b([a-z_]+)\.([A-Z]\w+)$", span)
    }:
        files = [PACKAGE.parent / one for one in paths() if one.endswith(f"/{module}.py")]
        assert any(
            re.search(rf"^class {name}\b", one.read_text(encoding="utf-8"), re.MULTILINE) for one in files
        )


def test_the_map_lists_every_room() -> None:
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    outside, inside = page.split("Inside the hub:")
    rows = set(re.findall(r"^\| `(\w+)/`", outside, re.MULTILINE))
    assert rows == {one.rstrip("/") for one in folders_of("tasktree_rt/")}
    rows = set(re.findall(r"^\| `(\w+)/`", inside, re.MULTILINE))
    assert rows == {one.rstrip("/") for one in folders_of("tasktree_rt/hub/")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_recipe_that_a_page_names_is_in_the_justfile(page: Path) -> None:
    recipes = set(
        re.findall(
            r"^([a-z-]+)(?: [^:=\n]*)?:(?!=)", (ROOT / "justfile").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`|/bin/)just ([a-z-]+)", text, re.MULTILINE))
    assert named <= recipes


def test_the_readme_lists_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `tasktree-rt ([a-z-]+)", readme, re.MULTILINE)
    assert sorted(listed) == sorted(tasktree_rt.list_commands(click.Context(tasktree_rt)))
