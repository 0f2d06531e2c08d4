"""A hub that is away, hangs, or cannot keep up costs the program nothing but its own exit budget."""

from __future__ import annotations

import re
import threading

import trio

from tasktree_rt.client.joining import join
from tests.client.joining.programs import ran, refusing_hub, silent_hub
from tests.client.running import nodes
from tests.web.realhub import real_hub

SAYS = """
import logging, threading
from tasktree_rt.client.joining import join
warned = threading.Event()

class Warned(logging.StreamHandler):
    def emit(self, record):
        super().emit(record)
        warned.set()

logging.getLogger("tasktree_rt.client").addHandler(Warned())
joined = join(exit_timeout=0.5)
for number in range(1000):
    with joined.node(f"n{number}") as step:
        step.log("x")
"""
AND_TRIED = "assert warned.wait(100)"

LOST = re.compile(r"tasktree_rt: (\d+) events of project p did not get to the hub at (\S+): (.*)")


def lost(errors: str) -> tuple[int, str, str]:
    found = LOST.search(errors)
    assert found is not None, errors
    return int(found[1]), found[2], found[3]


async def test_a_hub_that_refuses_is_named_once_and_what_is_lost_is_counted() -> None:
    url = refusing_hub()
    code, errors = await ran(SAYS + AND_TRIED, url)
    assert code == 0
    assert lost(errors) == (3000, url, "ConnectionRefusedError: [Errno 111] Connection refused")
    assert errors.count("cannot be reached") == 1
    assert len(errors.splitlines()) == 2


async def test_a_hub_that_hangs_holds_nothing_up_and_what_waits_there_is_counted_too() -> None:
    with silent_hub() as url:
        code, errors = await ran(SAYS, url)
    assert code == 0
    count, address, _ = lost(errors)
    assert (count, address) == (3000, url)


async def test_what_was_said_while_the_hub_was_away_arrives_when_it_is_there() -> None:
    refused = threading.Event()
    async with real_hub() as running:
        port = running.url.rpartition(":")[2]
        away = refusing_hub()
        joined = join("p", hub=away)
        assert joined._poster is not None
        made = joined._poster._made

        def first_away() -> object:
            if not refused.is_set():
                refused.set()
                return made()
            assert joined._poster is not None
            joined._poster._port = int(port)
            return made()

        joined._poster._made = first_away  # type: ignore[method-assign, assignment]
        joined.node("n").complete()
        assert await trio.to_thread.run_sync(joined.flush, 60.0)
        assert (await nodes(running))["n"]["status"] == "completed"
        assert joined.statistics().lost == 0
        joined.close()
    assert refused.is_set()


def test_a_full_queue_drops_lines_first_and_counts() -> None:
    with silent_hub() as url:
        joined = join("p", hub=url, exit_timeout=0.0)
        joined._sender.buffer._max_changes = 1_000  # type: ignore[union-attr]
        for number in range(5_000):
            joined.plan(f"n{number}")
        for number in range(21_000):
            joined.log(number)
        found = joined.statistics()
        assert found.waiting <= 21_001
        assert found.lost >= 5_000 - 1_000 - 1_000  # a batch may be on its way
        assert found.dropped >= 1_000
        joined.close()


async def test_a_wrong_token_is_said_once_and_stops_nothing() -> None:
    code = """
    from tasktree_rt.client.joining import join
    joined = join(exit_timeout=60)
    joined.node("n").complete()
    assert joined.flush(60)
    joined.node("m").complete()
    assert joined.flush(60)
    """
    from tests.web.realhub import auth

    async with real_hub(auth=auth()) as running:
        found, errors = await ran(code, running.url, TASKTREE_RT_TOKEN="wrong")
    assert found == 0
    assert errors.count("refused events of project p") == 1
    assert "4 events" in errors
