"""What `just release-check` finds before it builds anything; the builds themselves are its own matter."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def loaded() -> ModuleType:
    path = Path(__file__).parent.parent / "deploy" / "release.py"
    spec = importlib.util.spec_from_file_location("release", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = loaded()


def test_all_files_of_this_checkout_name_one_version() -> None:
    found = release.versions()
    assert len(found) == 4
    assert release.disagreement(found) == ""


def test_a_version_that_differs_is_told_with_its_file() -> None:
    told = release.disagreement({"a": "1.0.0", "b": "1.0.1"})
    assert told == "versions differ: a 1.0.0, b 1.0.1"


@pytest.mark.parametrize(
    ("changelog", "told"),
    [
        ("## [Unreleased]\n\n## [1.0.0] - 2026-12-01\n\n- a\n", ""),
        ("## [1.0.0] - 2026-12-01\n", ""),
        ("## [Unreleased]\n\n- a\n\n## [1.0.0] - 2026-12-01\n", "CHANGELOG.md: Unreleased is not empty"),
        ("## [1.0.0]\n\n- a\n", "CHANGELOG.md: expected a part ## [1.0.0] with its date"),
        ("## [Unreleased]\n\n- a\n", "CHANGELOG.md: expected a part ## [1.0.0] with its date"),
    ],
)
def test_a_changelog_without_a_dated_part_is_told(changelog: str, told: str) -> None:
    assert release.undated(changelog, "1.0.0") == told


def test_files_that_are_not_the_same_bytes_are_named(tmp_path: Path) -> None:
    for folder, texts in (("one", {"a": "1", "b": "2"}), ("two", {"a": "1", "b": "3", "c": "4"})):
        (tmp_path / folder).mkdir()
        for name, text in texts.items():
            (tmp_path / folder / name).write_text(text)
    assert release.differing(tmp_path / "one", tmp_path / "two") == ["b", "c"]
