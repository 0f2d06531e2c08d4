"""Every decoder that faces the network, fed with the corpus and with what hypothesis makes of it.

Half a minute of it in CI, in tests of two seconds; ``just fuzz`` looks longer, guided by coverage.
"""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tasktree_rt
from tests.fuzz.stage import Stage
from tests.fuzz.target import CORPUS, Target, seeds
from tests.fuzz.targets import TARGETS
from tests.fuzz.unguided import AT_ONCE, QUICK, look, run

SHARE = 12.0
"""Milliseconds of each target per example of hypothesis's profile: 1.5 s of each in CI."""
MEMORY = 32 * 1024 * 1024

EVERY = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())


@pytest.fixture(autouse=True, scope="module")
def _no_stage_stays() -> Iterator[None]:
    yield
    Stage.close()


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    for name in TARGETS:
        assert len(seeds(name)) >= 5, name
        assert all(len(data) <= 8192 for data in seeds(name).values()), name


@EVERY
def test_the_corpus_holds(target: Target) -> None:
    for name, data in seeds(target.name).items():
        try:
            run(target, data)
        except BaseException as error:
            error.add_note(f"corpus/{target.name}/{name}")
            raise


@EVERY
def test_an_input_costs_no_more_memory_than_it_may(target: Target) -> None:
    target.run(b"")
    tracemalloc.start()
    try:
        for data in seeds(target.name).values():
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            target.run(data)
            assert tracemalloc.get_traced_memory()[1] - before < MEMORY
    finally:
        tracemalloc.stop()


@EVERY
def test_what_is_made_of_the_corpus_holds_too(target: Target) -> None:
    examples = settings.default.max_examples * SHARE / target.cost / AT_ONCE  # type: ignore[union-attr]
    look(target, max(1, round(examples)))


@EVERY
@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink])
@given(data=st.binary(max_size=200))
def test_any_bytes_hold(target: Target, data: bytes) -> None:
    run(target, data)


# --- regular expressions --------------------------------------------------------------------------


SEARCHED = ("head._END", "head._ASKS_UPGRADE")
"""Looked for anywhere in what was sent; the others must match where it begins."""
NETWORK = ("core", "dialects", "compat", "hub", "web", "client")


def _patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    for layer in NETWORK:
        for module in walk_packages([f"{tasktree_rt.__path__[0]}/{layer}"], f"tasktree_rt.{layer}."):
            for name, value in vars(import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    yield f"{module.name}.{name}", value


PATTERNS = list(_patterns())
PUMPED = [
    *("a", "0", " ", "a ", ":", "-", ".", "a:", "a-", "0:", "\t", ",", "*", "~", "é", "\r\n", "\\", '"', "Z"),
    *("GET / HTTP/1.1\r\n", "Host: a\r\n", "a: b\r\n", "2026-", "00:", "T0", "x=", "[", "]"),
]


@pytest.mark.parametrize(("name", "pattern"), PATTERNS, ids=[name for name, _ in PATTERNS])
def test_no_regular_expression_takes_more_than_linear_time(
    name: str, pattern: re.Pattern[str] | re.Pattern[bytes]
) -> None:
    began = time.process_time()
    for before in ("", "GET / HTTP/1.1\r\nHost:", "2026-01-02T03:04:05.", "a:", "1-"):
        for pump in PUMPED:
            text = before + pump * (16_000 // len(pump)) + "\x01"
            for tried in (pattern.search,) if name.endswith(SEARCHED) else (pattern.match, pattern.fullmatch):
                tried(text.encode() if isinstance(pattern.pattern, bytes) else text)  # type: ignore[arg-type]
    assert time.process_time() - began < QUICK, name
