"""The durable broker: one SQLite file in WAL mode, one writer.

An append is one transaction with ``synchronous=FULL``: once it is answered it survives ``kill -9`` and, as
far as the disk keeps its word, a power failure. Everything large (checkpoints, trimming, what ended lives
leave) is done in many small transactions that take their turn with the appends. The file does not shrink: new
rows take the room of deleted ones.

The parts:

- what is stored: `log`, `states`, `interactions`, `producers`, `projects`, `access`, `damage` (what is left
  of a damaged project), `trimming`; `schema` has the tables, `appender` turns batches into rows;
- the connections: `connections` and their turns, `writer` all transactions, `worker` the thread that writes;
- the files: `files` opens them, `identity` refuses what is not a database of this program, `lock_file` keeps
  a second hub out and knows a restored backup, `hold` is the lock on the database whatever its name, `places`
  sees whether the files are still there; `archive` reads a database without a broker;
- the index of what events say, in a file of its own: `search`, `search_file`, `search_index`, `search_query`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import trio

from tasktree_rt.brokers.base import (
    Append,
    Bounds,
    Checkpoint,
    Conflict,
    Duplicate,
    Following,
    Found,
    Interaction,
    Key,
    Life,
    Outcome,
    Outline,
    Place,
    Retention,
    Salvaged,
    Settled,
    Snapshot,
    Summary,
    Trimmed,
    Where,
)
from tasktree_rt.brokers.base.scan import scan
from tasktree_rt.brokers.sqlite import damage, interactions, log, projects, states
from tasktree_rt.brokers.sqlite import publish_ids as producers
from tasktree_rt.brokers.sqlite.access import SqliteAccess
from tasktree_rt.brokers.sqlite.connections import Connections, Run, in_thread
from tasktree_rt.brokers.sqlite.files import Connect, Files
from tasktree_rt.brokers.sqlite.schema import connect as sqlite_connect
from tasktree_rt.brokers.sqlite.schema import life_of
from tasktree_rt.brokers.sqlite.search import SearchIndex
from tasktree_rt.brokers.sqlite.states import NewState, StateWriter
from tasktree_rt.brokers.sqlite.trimming import Trimming, drop_events
from tasktree_rt.brokers.sqlite.writer import Writer
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.core.search import Query


class SqliteBroker:
    """A `Broker` that keeps everything in one SQLite file; its contract says what each method does.

    Args:
        path: the database; made with its folder if it is not there, and a lock file at ``PATH.lock``.
        run: how to call what blocks; a simulation calls it inline and lets it fail. By default a thread of
            its own writes, and Trio's read.
        connect: how to connect to a path; a simulation's connections fail when told to.
        busy_timeout: seconds to wait for another program that writes to the file.
        log_bytes: size of SQLite's write-ahead log that is made at open, in zeros: a commit that makes a file
            longer takes several times as long as one that writes over what is there.
        index: keep an index for `search` in a file of its own; without it a search reads the logs.
    """

    durable = True
    following: Following | None = None

    def __init__(
        self,
        path: str,
        *,
        run: Run | None = None,
        connect: Connect = sqlite_connect,
        busy_timeout: float = 0.5,
        log_bytes: int = 0,
        index: bool = False,
    ) -> None:
        self.name = f"sqlite:{path}"
        self._index = SearchIndex(path, run or in_thread) if index else None
        self._connections = Connections(Files(path, connect, busy_timeout, log_bytes), run)
        self.access = SqliteAccess(self._connections)
        self._states = StateWriter(self._connections)
        self._trimming = Trimming(self._connections, self._states)

    async def open(self) -> None:
        """Lock, check and open the file; what a crash left unfinished is deleted."""
        await self._connections.open(self._states.clean_up)

    async def aclose(self) -> None:
        """Wait for what is being written, close, and unlock."""
        if self._index is not None:
            await self._index.aclose()
        await self._connections.aclose()

    async def probe(self) -> None:
        """Write pages and delete them again."""
        await self._connections.write(Writer.probe)

    async def verify(self) -> None:
        """Look for the files; writes nothing."""
        await self._connections.verify()

    # --- log ------------------------------------------------------------------------------------------

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Keep all of `batch` in one transaction. Not cancellable once begun."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not all(entry.drafts for entry in batch):
            raise ValueError("an Append needs at least one draft")
        outcomes: list[Outcome] = []
        with trio.CancelScope(shield=True):
            outcomes.extend(await self._connections.write(lambda writer: writer.append(batch)))
        return outcomes

    async def load(self, project_id: str) -> Life:
        """Read the project's present life."""
        return await self._connections.read_project(project_id, partial(log.load, project_id=project_id))

    async def read(
        self,
        project_id: str,
        since: Position,
        *,
        limit: int,
        max_bytes: int = 4 * 1024 * 1024,
        type: str | None = None,
        node_id: str | None = None,
    ) -> Recovered | Gap:
        """Read events after a position. A read that trimming overtakes ends with what it had found before."""
        request = log.Request(project_id, limit, max_bytes, (type, node_id))
        found = await log.read(self._connections, log.read_slice, request, since)
        return found if isinstance(found, Gap) else Recovered(tuple(found))

    async def read_back(
        self,
        project_id: str,
        before: Position,
        *,
        limit: int,
        max_bytes: int = 4 * 1024 * 1024,
        type: str | None = None,
        node_id: str | None = None,
    ) -> Recovered | Gap:
        """Read the newest events up to a position."""
        request = log.Request(project_id, limit, max_bytes, (type, node_id))
        found = await log.read(self._connections, log.read_slice_back, request, before)
        return found if isinstance(found, Gap) else Recovered(tuple(reversed(found)))

    async def trim(
        self,
        retention: Retention,
        now: int,
        *,
        spared: Collection[str] = (),
        trimmed: Callable[[Trimmed], None] = lambda _: None,
    ) -> dict[str, Position]:
        """Delete what retention does not want, in small steps."""
        return await self._trimming.trim(retention, now, spared, trimmed)

    # --- search ---------------------------------------------------------------------------------------

    @property
    def indexes(self) -> bool:
        """Whether it was asked to keep one."""
        return self._index is not None

    async def search(self, query: Query, where: Where, bounds: Bounds, after: Place | None = None) -> Found:
        """Ask the index; read the logs where there is none."""
        found = None if self._index is None else await self._index.search(query, where, bounds, after)
        return await scan(self, query, where, bounds, after) if found is None else found

    async def index(self) -> bool:
        """Do some of the index's work."""
        return self._index is not None and await self._index.step()

    # --- producers ------------------------------------------------------------------------------------

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        """Read the known ids of a producer, oldest first."""
        return await self._connections.read(
            partial(producers.producer_ids, subject=subject, producer_id=producer_id)
        )

    async def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """Read the outcome that an append with this key would have."""
        known = (await self._connections.read(partial(producers.look_up, keys=(key,)))).get(key)
        if known is None:
            return None
        return known[1] if known[0] == digest else Conflict()

    # --- interactions ---------------------------------------------------------------------------------

    async def interaction(self, interaction_id: str) -> Interaction | None:
        """Read a prompt or command by its id."""
        return await self._connections.read(partial(interactions.interaction, interaction_id=interaction_id))

    async def interactions(
        self,
        *,
        open: bool | None = None,
        kind: str | None = None,
        topic: str | None = None,
        name: str | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Interaction]:
        """Read prompts and commands after a place, or before one."""
        return await self._connections.read(
            lambda connection: interactions.interactions(
                connection, open, kind, topic, name, after, before, limit
            )
        )

    # --- projects -------------------------------------------------------------------------------------

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        """Read the list of projects, by id."""
        return await self._connections.read(partial(projects.projects, after=after, limit=limit))

    async def count_projects(self) -> int:
        """Count the projects with a log."""
        return await self._connections.read(projects.count_projects)

    async def owned(self) -> dict[tuple[str, bool], int]:
        """Count the logs of each owner."""
        return await self._connections.read(projects.owned)

    async def stored_bytes(self) -> dict[str, int]:
        """Sum up the bytes of each owner's logs."""
        return await self._connections.read(projects.stored_bytes)

    async def uncovered(self, before: int, limit: int) -> list[str]:
        """Find projects whose newest event is old and not in a checkpoint."""
        return await self._connections.read(partial(projects.uncovered, before=before, limit=limit))

    # --- states ---------------------------------------------------------------------------------------

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in slices; readers see it once it is whole."""
        await self._states.save(NewState(project_id, checkpoint.epoch, checkpoint.seq), checkpoint.parts)

    async def checkpoint_at(self, project_id: str, position: Position) -> Checkpoint | None:
        """Read the newest checkpoint at or before a position."""
        return await self._connections.read_project(
            project_id, partial(states.checkpoint_at, project_id=project_id, position=position)
        )

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Write a named snapshot in slices; readers see it once it is whole."""
        new = NewState(
            snapshot.project_id,
            snapshot.epoch,
            snapshot.seq,
            snapshot.snapshot_id,
            snapshot.name,
            snapshot.created,
            snapshot.owner,
        )
        await self._states.save(new, parts)

    async def snapshots(self, project_id: str | None) -> list[Snapshot]:
        """Read the list of a project's snapshots, or of all."""
        return await self._connections.read(partial(states.snapshots, project_id=project_id))

    async def snapshot(self, project_id: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """Read a snapshot with its parts."""
        return await self._connections.read_project(
            project_id, partial(states.snapshot, project_id=project_id, snapshot_id=snapshot_id)
        )

    async def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Make a snapshot unseen; trimming deletes it."""
        return await self._connections.transact(
            partial(states.delete_snapshot, project_id=project_id, snapshot_id=snapshot_id)
        )

    # --- damage ---------------------------------------------------------------------------------------

    async def outline(self, project_id: str) -> Outline:
        """Read what is known of a project beside its log."""
        return await self._connections.read_project(
            project_id, partial(damage.outline, project_id=project_id)
        )

    async def checkpoints(self, project_id: str) -> list[int]:
        """Read the seqs of a project's checkpoints."""
        return await self._connections.read_project(
            project_id, partial(damage.checkpoints, project_id=project_id)
        )

    async def salvage(self, project_id: str, after: int, *, limit: int) -> Salvaged:
        """Read what can be read of a project's events."""
        return await self._connections.read_project(
            project_id, partial(damage.salvage, project_id=project_id, after=after, limit=limit)
        )

    async def recover(
        self, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled] = ()
    ) -> bool:
        """Delete the events up to a checkpoint in small steps, then go on from it under another epoch."""
        transact = self._connections.transact
        life = await transact(partial(life_of, project_id=project_id, epoch=at.epoch))
        if life is None:
            return False
        while (await transact(partial(drop_events, life=life, floor=at.seq)))[1]:
            pass
        return await self._connections.write(
            lambda writer: damage.recover(writer, project_id, at, new_epoch, settles)
        )
