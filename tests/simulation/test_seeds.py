"""Some hundred seeds: the first ones on a desk, new ones where $CI is set; ``just simulate`` for more."""

from __future__ import annotations

import os
import random

import pytest

from tests.simulation.run import run_seed

PIECES = 20
EACH = 10
FIRST = random.SystemRandom().randrange(1 << 40) if os.environ.get("CI") else 0
"""Every worker that collects these tests must see the same names, so that seeds are not among them."""


@pytest.mark.parametrize("piece", range(PIECES))
def test_every_promise_is_kept(piece: int) -> None:
    first = FIRST + piece * EACH
    for seed in range(first, first + EACH):
        outcome = run_seed(seed)
        assert not outcome.failed, f"just simulate --seed {seed}\n{outcome.told}"
