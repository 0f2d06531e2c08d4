"""Inputs that hypothesis makes of the corpus: what always runs, blind to what an input reaches."""

from __future__ import annotations

import random
import time
from typing import Final

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target, seeds

AT_ONCE: Final = 20
QUICK: Final = 2.0
"""Seconds of CPU that no input may need: the CPU's time, which others' load does not change."""


def run(target: Target, data: bytes) -> None:
    """One input, in bounded time."""
    began = time.process_time()
    target.run(data)
    assert time.process_time() - began < QUICK


def look(target: Target, examples: int) -> None:
    """Try `examples` times `AT_ONCE` inputs; the exception of one that fails has the input as a note."""
    known = list(seeds(target.name).values())
    phases = [Phase.explicit, Phase.reuse, Phase.generate]

    @settings(
        max_examples=examples,
        phases=phases,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64))
    def some(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(AT_ONCE):
            data = mutated(chance, known, target.words)
            try:
                run(target, data)
            except BaseException:
                note(f"{target.name}: {data!r}")
                raise

    some()


def look_for(target: Target, seconds: float) -> None:
    """The same until so much time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        look(target, 50)
