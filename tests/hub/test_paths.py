"""How many modules one has to read to follow a message through the hub: no more than today."""

from __future__ import annotations

from typing import Final

from tests.hub.paths import PAGE, PATHS, listed, measure

MOST: Final = {"event": 45, "subscription": 30, "prompt": 54, "http": 50}
"""What `tests.hub.paths` finds. To be lowered whenever it finds fewer."""


async def test_no_path_passes_through_more_modules_than_before() -> None:
    found = {name: one.modules for name, one in (await measure()).items()}
    assert found.keys() == MOST.keys() == PATHS.keys()
    longer = {name: modules for name, modules in found.items() if len(modules) > MOST[name]}
    assert not longer


async def test_the_page_lists_the_modules_of_each_path() -> None:
    """If this fails, ``python -m tests.hub.paths --page`` writes the page anew."""
    found = {name: set(one.modules) for name, one in (await measure()).items()}
    assert listed(PAGE.read_text(encoding="utf-8")) == found
