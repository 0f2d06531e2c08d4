"""What a status means: the words of hub, browser and documentation are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasktree_rt.core.statuses import begins_again, is_ended

ROOT = Path(__file__).parents[2]
CLASSES = ("waiting", "running", "review", "done", "failed", "cancelled")


def words() -> dict[str, list[str]]:
    """The browser's words by class."""
    text = (ROOT / "frontend/src/core/statuses.ts").read_text(encoding="utf-8")
    found = {name: re.search(rf'^  {name}:\s*"([^"]+)"', text, re.MULTILINE) for name in CLASSES}
    return {name: match[1].split() for name, match in found.items() if match}


@pytest.mark.skipif(not (ROOT / "frontend").is_dir(), reason="an sdist has no sources of the pages")
def test_hub_and_browser_know_the_same_words() -> None:
    known = words()
    assert set(known) == set(CLASSES)
    for name, all_words in known.items():
        for word in all_words:
            assert is_ended(word) is (name in {"done", "failed", "cancelled"}), word
            assert begins_again(word.upper()) is (name in {"waiting", "running"}), word


@pytest.mark.skipif(not (ROOT / "frontend").is_dir(), reason="an sdist has no sources of the pages")
def test_the_protocol_lists_them() -> None:
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    section = text.partition("\n### Attempts\n")[2].partition("\n## ")[0]
    rows = {
        row[1]: set(re.findall(r"`(\w+)`", row[2]))
        for row in re.finditer(r"^\| (\w+) \| (.*) \|$", section, re.MULTILINE)
    }
    known = words()
    assert rows["waiting"] == set(known["waiting"])
    assert rows["running"] == set(known["running"])
    assert rows["ended"] == {*known["done"], *known["failed"], *known["cancelled"]}


@pytest.mark.parametrize("status", [None, 1, [], "review", "a word of my own"])
def test_other_values_say_nothing(status: object) -> None:
    assert not is_ended(status)
    assert not begins_again(status)
