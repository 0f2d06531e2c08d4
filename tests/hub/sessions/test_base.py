"""What all sessions have in common: the farewell, how a connection's end is told."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tasktree_rt.core.close_codes import OVERLOADED, TOKEN_MISSING
from tasktree_rt.dialects.tasktree import Plain
from tasktree_rt.errors import Unavailable
from tasktree_rt.hub.error_messages import failure
from tasktree_rt.hub.sessions.rejected import RejectedSession
from tasktree_rt.metrics import Metrics
from tests.hub.transport import Carried
from tests.hub.world import a_world, update


def test_a_failure_says_when_to_come_again_in_whole_milliseconds() -> None:
    said = failure(Unavailable("no", code="overloaded", field="events", retry_after=0.0001), "id")
    assert (said.code, said.id, said.field, said.retry_after_ms) == ("overloaded", "id", "events", 1)


@pytest.mark.parametrize("closing", [TOKEN_MISSING, OVERLOADED])
async def test_a_farewell_says_why_and_hears_nothing(autojump_clock: MockClock, closing: object) -> None:
    async with a_world() as world:
        assert closing in (TOKEN_MISSING, OVERLOADED)
        wanted = TOKEN_MISSING if closing is TOKEN_MISSING else OVERLOADED
        carried = Carried(RejectedSession(world.hub, Plain(), wanted), world.nursery)
        carried.send("anything")
        await world.publish("p", update("n"))
        assert carried.received() == []
        assert carried.transport.close_read == (wanted.code, wanted.reason)
        carried.end()
        assert not world.hub.connections
        assert not world.hub.sessions


async def test_an_end_is_counted_by_its_code_and_leaves_nothing_behind(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        codes: list[tuple[str, int]] = []
        monkeypatch.setattr(Metrics, "closed", lambda _, dialect, code: codes.append((dialect, code)))
        ended, vanished, closed = (world.plain() for _ in range(3))
        closed.session.close(OVERLOADED)
        ended.end(1000)
        vanished.end()
        closed.end()
        assert codes == [("plain", 1000), ("plain", 1006), ("plain", 1013)]
        assert not world.hub.connections
        assert not world.hub.index.watchers("p")
