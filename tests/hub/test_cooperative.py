"""Long work gives way for as long as somebody else has something to do, and comes to its end all the same."""

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.hub.cooperative import IDLE, LONGEST, TURNS, yield_if_due


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

    async def pause(self) -> int:
        """How many turns pass until the next slice."""
        before = self.turns
        await yield_if_due()
        return self.turns - before


@pytest.mark.parametrize(("busy", "expected"), [(0, 1), (1, 2), (3, 4), (100, TURNS)])
async def test_the_next_slice_waits_for_a_turn_in_which_nobody_was_busy(
    busy: int, expected: int, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        loop = Loop(mock_clock, patch)
        loop.busy = [2 * IDLE] * busy
        assert await loop.pause() == expected


async def test_where_all_are_always_busy_work_goes_on_for_half_as_long_as_they_had(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        loop = Loop(mock_clock, patch)
        loop.busy = [0.001] * 100
        assert await loop.pause() == TURNS
        mock_clock.jump(TURNS * 0.001 / 2 - 0.0001)
        assert await loop.pause() == 0
        mock_clock.jump(0.0002)
        assert await loop.pause() == TURNS
        loop.busy = [1.0] * 100
        mock_clock.jump(1)
        assert await loop.pause() == TURNS
        mock_clock.jump(LONGEST + 0.0001)
        assert await loop.pause() == TURNS


async def test_on_an_idle_hub_every_slice_is_followed_by_a_turn(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        loop = Loop(mock_clock, patch)
        assert [await loop.pause() for _ in range(3)] == [1, 1, 1]


async def test_all_long_work_together_goes_on_for_that_long(mock_clock: MockClock) -> None:
    pieces, step = 10, 0.0005
    slices, longest = 0, 0.0

    async def others() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            mock_clock.jump(2 * IDLE)

    async def work() -> None:
        nonlocal slices
        for _ in range(40):
            mock_clock.jump(step)
            slices += 1
            await yield_if_due()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        async with trio.open_nursery() as working:
            for _ in range(pieces):
                working.start_soon(work)
            while working.child_tasks:
                begun = trio.current_time()
                await trio.lowlevel.checkpoint()
                longest = max(longest, trio.current_time() - begun)
        nursery.cancel_scope.cancel()
    assert slices == 40 * pieces
    # The loop runs tasks in any order: between two turns of this one, all others may have had two of theirs.
    assert longest <= 2 * (LONGEST + pieces * step + 2 * IDLE)
