"""How many modules one has to read to follow a message through the hub: no more than today."""

from __future__ import annotations

from typing import Final

from tests.hub.paths import PATHS, measure

MOST: Final = {"event": 44, "subscription": 25, "prompt": 52, "http": 48}
"""What `tests.hub.paths` finds. To be lowered whenever it finds fewer, never raised."""


async def test_no_path_passes_through_more_modules_than_before() -> None:
    found = {name: one.modules for name, one in (await measure()).items()}
    assert found.keys() == MOST.keys() == PATHS.keys()
    longer = {name: modules for name, modules in found.items() if len(modules) > MOST[name]}
    assert not longer
