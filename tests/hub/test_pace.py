"""Long work gives way for as long as somebody else has something to do, and comes to its end all the same."""

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.hub.pace import IDLE, LONGEST, TURNS, Pace


class Loop:
    """Stands in for the loop: each turn takes as long as `busy` says, in order, and then none at all."""

    def __init__(self, clock: MockClock, patch: pytest.MonkeyPatch) -> None:
        self.busy: list[float] = []
        self.turns = 0
        self._clock = clock
        patch.setattr(trio.lowlevel, "checkpoint", self._turn)

    async def _turn(self) -> None:
        self.turns += 1
        self._clock.jump(self.busy.pop(0) if self.busy else 0)

    async def turns_of(self, pace: Pace) -> int:
        """How many turns pass until the next slice."""
        before = self.turns
        await pace.breathe()
        return self.turns - before


@pytest.mark.parametrize(("busy", "expected"), [(0, 1), (1, 2), (3, 4), (100, TURNS)])
async def test_the_next_slice_waits_for_a_turn_in_which_nobody_was_busy(
    busy: int, expected: int, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        loop = Loop(mock_clock, patch)
        loop.busy = [2 * IDLE] * busy
        assert await loop.turns_of(Pace()) == expected


async def test_where_all_are_always_busy_work_goes_on_for_half_as_long_as_they_had(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        loop, pace = Loop(mock_clock, patch), Pace()
        loop.busy = [0.001] * 100
        assert await loop.turns_of(pace) == TURNS
        mock_clock.jump(TURNS * 0.001 / 2 - 0.0001)
        assert await loop.turns_of(pace) == 0
        mock_clock.jump(0.0002)
        assert await loop.turns_of(pace) == TURNS
        loop.busy = [1.0] * 100
        mock_clock.jump(1)
        assert await loop.turns_of(pace) == TURNS
        mock_clock.jump(LONGEST + 0.0001)
        assert await loop.turns_of(pace) == TURNS


async def test_on_an_idle_hub_every_slice_is_followed_by_a_turn(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        loop, pace = Loop(mock_clock, patch), Pace()
        assert [await loop.turns_of(pace) for _ in range(3)] == [1, 1, 1]
