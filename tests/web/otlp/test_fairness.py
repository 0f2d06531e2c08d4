"""A program that sends spans without a pause keeps nobody else waiting."""

from __future__ import annotations

from typing import Final

import trio

from tasktree_rt.core.events import Event, ProjectId
from tests.dialects.otlp.encode import PROJECT, as_protobuf, described
from tests.web.realhub import real_hub

BATCH: Final = 512
ROUNDS: Final = 2
PUBLISHES: Final = 10
MOST: Final = 6 * 32
"""Events of the sender that are stored while one publish of another waits: some slices, never a batch."""


async def test_others_publish_between_the_slices_of_a_batch() -> None:
    said = {f"a{n}": "x" * 20 for n in range(15)}
    async with real_hub() as running, trio.open_nursery() as nursery:

        async def send() -> None:
            async with running.http() as http:
                for number in range(ROUNDS):
                    first = number * BATCH + 1
                    spans = (
                        described(n, 1 if n > 1 else 0, attributes=said) for n in range(first, first + BATCH)
                    )
                    headers = {"Content-Type": "application/x-protobuf"}
                    answer = await http.post("/v1/traces", content=as_protobuf(*spans), headers=headers)
                    assert answer.status_code == 200

        def stored() -> int:
            found = running.hub.cache.get(PROJECT)
            return 0 if found is None else found.tree.head

        nursery.start_soon(send)
        with trio.fail_after(120):
            while not stored():
                await trio.lowlevel.checkpoint()
            waited = []
            for number in range(PUBLISHES):
                before, changes = stored(), {"progress": number}
                data = {"node_id": "n", "changes": changes}
                now = running.hub.timestamp()
                await running.hub.publish(Event("node_update", ProjectId("quiet"), data, now))
                waited.append(stored() - before)
        assert max(waited) <= MOST
        assert any(waited) or stored() > ROUNDS * BATCH  # they ran side by side
