"""What differs from seed to seed in the deployment itself.

The hub's bounds are made so small that a few hundred events reach them: outboxes of a few messages, states
of many parts, replays from the store, checkpoints every few events, projects put away while they are
watched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Final

from tasktree_rt.hub.delivery import encoded_batch as batch
from tasktree_rt.hub.delivery import fanout, outbox, socket_writer
from tasktree_rt.hub.delivery import heartbeat_schedule as heartbeats
from tasktree_rt.hub.delivery import socket_subscriber as writing
from tasktree_rt.hub.executions import status_feed as board
from tasktree_rt.hub.executions import status_notifier as statuses
from tasktree_rt.hub.projects import cache as shelf
from tasktree_rt.hub.projects import checkpoints, loading, project, shared_snapshot
from tasktree_rt.hub.projects import recent_changes as moves
from tasktree_rt.hub.projects import retention as keeper
from tasktree_rt.hub.publish import committer as ingest
from tasktree_rt.hub.resume import catchup
from tasktree_rt.hub.sessions import execution_status as spectating
from tasktree_rt.hub.sessions import position_heartbeat as positions
from tasktree_rt.hub.sessions import watcher as watching
from tasktree_rt.settings import (
    AutoGpt,
    Compression,
    Delivery,
    Drain,
    Execution,
    Keep,
    Limits,
    People,
    Settings,
)
from tests.simulation.seeding import replaced

_MODULES: Final = (
    batch,
    board,
    catchup,
    checkpoints,
    fanout,
    heartbeats,
    ingest,
    keeper,
    loading,
    moves,
    outbox,
    positions,
    project,
    shared_snapshot,
    shelf,
    socket_writer,
    spectating,
    statuses,
    watching,
    writing,
)
"""Where a bound may be in force by its name."""

BOUNDS: Final[dict[str, tuple[int, ...]]] = {
    "CHUNK": (256, 2_000, 64 * 1024),
    "PART_BYTES": (150, 400, 2_000, 32 * 1024),
    "MAX_NODES": (2, 6, 1_000),
    "REPLAY_EVENTS": (2, 8, 256),
    "REPLAY_BYTES": (300, 2_000, 256 * 1024),
    "SMALL_REPLAY": (2, 2, 12, 256),
    "TAIL_EVENTS": (4, 16, 2_048),
    "NODES_AN_EVENT": (1, 1, 200),
    "LOADED": (1, 2, 4_096),
    "OLDER": (4, 1_024),
    "BATCH": (1, 3, 512),
    "MAX_BEATS": (1, 100),
    "MOVED": (2, 16_384),
    "WALK": (2, 2_048),
    "AT_ONCE": (1, 2_000),
    "SHARED": (1, 8),
}
"""Constants of the product and what they may be instead. `SLICE` is another thing in each module."""
SMALLEST: Final = {1_024: 1, 4_096: 150, 16_384: 1_024}
"""Sizes from which on messages are compressed, by the largest message."""
SLICES: Final = {fanout: (1, 3, 200), checkpoints: (2, 512), loading: (2, 512), statuses: (1, 200)}


@contextmanager
def bounds(dice: Random) -> Iterator[None]:
    """Put some of the hub's constants in the place of the others."""
    with ExitStack() as stack:
        for name, sizes in BOUNDS.items():
            size = dice.choice(sizes)
            for module in _MODULES:
                if hasattr(module, name):
                    stack.enter_context(replaced(module, name, size))
        for module, sizes in SLICES.items():
            stack.enter_context(replaced(module, "SLICE", dice.choice(sizes)))
        yield


def settings(dice: Random) -> Settings:
    """Settings with small bounds."""
    message = dice.choice((1_024, 4_096, 4_096, 16_384))
    return Settings(
        lifecycle=dice.choice(("observe", "observe", "enforce")),
        limits=Limits(
            max_message_size=message,
            max_messages_per_second=1_000.0,
            message_burst=1_000,
            max_unacked=dice.choice((2, 16, 64)),
            max_open_prompts=dice.choice((3, 12)),
            max_open_commands=dice.choice((2, 12)),
            max_waiting_publishes=dice.choice((20, 50_000, 50_000)),
        ),
        # Its clients here subscribe anew each time, and are to be told of that and nothing else.
        autogpt=AutoGpt(inherit_window=0.0),
        delivery=Delivery(
            outbox_messages=dice.choice((16, 16, 32, 64)),
            outbox_bytes=message * dice.choice((2, 3)),
            stall_timeout=dice.choice((2.0, 10.0)),
            heartbeat_interval=dice.choice((0.7, 3.0)),
            ping_interval=dice.choice((5.0, 30.0)),
            ping_timeout=3.0,
            close_timeout=dice.choice((0.5, 2.0)),
            max_replay=dice.choice((30, 10_000)),
        ),
        compression=Compression(min_size=SMALLEST[message]),
        keep=Keep(
            max_events=dice.choice((8, 15, 40, 1_000)),
            max_age=dice.choice((20.0, 1e6)),
            checkpoint_events=dice.choice((5, 15)),
            sweep_interval=dice.choice((0.9, 2.4)),
        ),
        execution=Execution(status_interval=dice.choice((0.0, 0.2, 1.0))),
        people=People(command_timeout=dice.choice((2.0, 10.0))),
        drain=Drain(window=1.0, timeout=dice.choice((0.5, 2.0))),
    )
