"""Long work gives way for as long as somebody else has something to do, and not for ever."""

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.hub.pace import IDLE, TURNS, breathe


@pytest.mark.parametrize(("busy", "expected"), [(0, 1), (1, 2), (3, 4), (100, TURNS)])
async def test_it_goes_on_after_a_turn_in_which_nobody_was_busy(
    busy: int, expected: int, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        mock_clock.jump(2 * IDLE if turns <= busy else IDLE / 2)

    with monkeypatch.context() as patch:
        patch.setattr(trio.lowlevel, "checkpoint", turn)
        await breathe()
    assert turns == expected
