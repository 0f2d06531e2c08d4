"""The regression guard: a short burst beside FastAPI's, so that a slow change does not go unnoticed."""

from __future__ import annotations

from tests.bench.catalogue import OURS, PEERS
from tests.bench.scenarios.fanout import burst

LEAST = 8
TRIES = 3


def burst_ratio() -> float:
    """How many times as much CPU a delivery costs with FastAPI (uvloop)."""
    theirs, ours = (
        burst(PEERS[name], 200, most, budget=2.0)["us"]
        for name, most in (("fastapi-uvloop", 150), (OURS, 1_000))
    )
    return theirs / ours
