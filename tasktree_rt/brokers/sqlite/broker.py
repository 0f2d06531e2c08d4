"""The durable broker: one SQLite file in WAL mode, one writer.

An append is one transaction with ``synchronous=FULL``: once it is answered it survives ``kill -9`` and, as
far as the disk keeps its word, a power failure. One thread at a time writes, through one connection; another
one reads, so that a read never waits for a commit. Everything large (checkpoints, trimming, what ended lives
leave) is done in many small transactions that take their turn with the appends. The file does not shrink:
what was deleted is written over.

The parts: `schema` the tables, `files` opening and refusing, `lock_file` the file beside it that keeps a
second hub out and knows a restored backup, `hold` the lock on the file whatever its name, `places` whether it
is still there, `appender` batches to rows, `writer` all transactions, `reader` all queries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from traceback import clear_frames
from typing import Final, Protocol, TypeVar

import trio

from tasktree_rt.brokers.base import (
    KEPT_DEATHS_AGE,
    Append,
    Checkpoint,
    Conflict,
    Duplicate,
    Key,
    Life,
    Matter,
    Outcome,
    Outline,
    Retention,
    Salvaged,
    Settled,
    Snapshot,
    Summary,
)
from tasktree_rt.brokers.sqlite import interactions, reader, salvage
from tasktree_rt.brokers.sqlite.appender import look_up
from tasktree_rt.brokers.sqlite.files import Connect, Files, refusals
from tasktree_rt.brokers.sqlite.schema import connect as sqlite_connect
from tasktree_rt.brokers.sqlite.schema import is_damage, primary_code, translated
from tasktree_rt.brokers.sqlite.worker import Worker
from tasktree_rt.brokers.sqlite.writer import NewState, Writer
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position, Recovered
from tasktree_rt.errors import StoreDamaged, StoreUnavailable

T = TypeVar("T")

_SCANNED_AT_ONCE: Final = 20_000
"""Events that one step of a filtered read looks at."""
_SLICE_BYTES: Final = 256 * 1024
"""Of a checkpoint written in one transaction, if its parts are small enough."""
_SWEPT_AT_OPEN: Final = 64
"""Steps of cleaning up that `open` waits for; the rest is done by `trim`."""


class Run(Protocol):
    """Calls something that blocks, at most one at a time for each limiter, as `in_thread` does."""

    def __call__(self, call: Callable[[], T], /, *, limiter: trio.CapacityLimiter) -> Awaitable[T]:
        """Return what `call` returns. Once begun it is waited for, cancelled or not."""


async def in_thread(call: Callable[[], T], /, *, limiter: trio.CapacityLimiter) -> T:
    """Call it in a worker thread."""
    return await trio.to_thread.run_sync(call, limiter=limiter)


class SqliteBroker:
    """See `brokers.base.Broker`.

    Args:
        path: the database; made with its folder if it is not there. A guard is kept at ``PATH.lock``.
        run: how to call what blocks; a simulation calls it inline and lets it fail. By default a thread of
            its own writes, and Trio's read.
        connect: how to connect to a path; a simulation's connections fail when told to.
        busy_timeout: seconds to wait for another program that writes to the file.
        log_bytes: so large the log that SQLite writes ahead is made at open, in zeros: a commit that makes a
            file longer takes several times as long as one that writes over what is there.
    """

    durable = True

    def __init__(
        self,
        path: str,
        *,
        run: Run | None = None,
        connect: Connect = sqlite_connect,
        busy_timeout: float = 0.5,
        log_bytes: int = 0,
    ) -> None:
        self.name = f"sqlite:{path}"
        self._files = Files(path, connect, busy_timeout, log_bytes)
        self._worker = Worker("tasktree-rt store")
        self._run: Run = run or in_thread
        self._run_writer: Run = run or self._worker
        self._write_turn = trio.CapacityLimiter(1)
        self._read_turn = trio.CapacityLimiter(1)
        self._writer: Writer | None = None
        self._reader: sqlite3.Connection | None = None
        self._broken: str | None = None
        """Why nothing is written any more: only opening it anew finds out how things stand."""

    # --- life of the broker ---------------------------------------------------------------------------

    async def open(self) -> None:
        """Lock, check and open the file; what a crash left unfinished goes."""
        with trio.CancelScope(shield=True):
            await self._run_writer(self._open, limiter=self._write_turn)

    def _open(self) -> None:
        self._files.open()
        try:
            with refusals(self._files.path):
                self._writer = Writer(
                    self._files.writer,
                    self._files.committed,
                    before=self._files.before_commit,
                    after=self._files.after_commit,
                )
                self._reader = self._files.reader()
                for _ in range(_SWEPT_AT_OPEN):
                    if not self._writer.sweep_states():
                        break
                self._files.opened()
        except BaseException:
            self._close()
            raise

    async def aclose(self) -> None:
        """Wait for what is being written, close, and unlock."""
        with trio.CancelScope(shield=True):
            await self._run(self._close_reader, limiter=self._read_turn)
            await self._run_writer(self._close, limiter=self._write_turn)
            self._worker.close()

    def _close_reader(self) -> None:
        connection, self._reader = self._reader, None
        if connection is not None:
            connection.close()

    def _close(self) -> None:
        self._close_reader()
        writer, self._writer = self._writer, None
        try:
            with translated():
                if writer is not None:
                    writer.close()
        finally:
            self._files.close()

    async def _write(self, work: Callable[[Writer], T]) -> T:
        """Do something with the writer, in its turn."""

        def call() -> T:
            if self._writer is None:
                raise StoreUnavailable("the store is not open")
            self._check_broken()
            try:
                return work(self._writer)
            except (sqlite3.Error, StoreUnavailable) as error:
                with self._lasting():  # entered only here: a commit that is well pays nothing for it
                    raise error

        return await self._run_writer(call, limiter=self._write_turn)

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        """Inside, SQLite's errors become ours, and one that does not pass is remembered.

        Raises:
            StoreUnavailable: what went wrong, or that the files are not where they were, which explains it.
        """
        try:
            with translated():
                yield
        except StoreUnavailable as error:
            if error.lasting and self._broken is None:
                self._broken = str(error)
            self._explain(error)
            raise

    def _explain(self, error: StoreUnavailable) -> None:
        """Raise that the files are not where they were, or the disk is full, if that is why."""
        try:
            self._files.check()
        except StoreUnavailable as lost:
            self._broken = str(lost)
            raise lost from error
        cause = error.__cause__
        failed = isinstance(cause, sqlite3.Error) and primary_code(cause) == sqlite3.SQLITE_IOERR
        if failed and self._files.full:
            raise StoreUnavailable(f"the disk is full ({cause})") from cause

    def _check_broken(self) -> None:
        if self._broken is not None:
            raise StoreUnavailable(self._broken, lasting=True)

    async def _ask(self, project_id: str, work: Callable[[sqlite3.Connection], T]) -> T:
        """`_read` of one project: what cannot be read is damage of its own.

        Raises:
            StoreDamaged: something of it cannot be read.
            StoreUnavailable: a fault of the store's.
        """
        try:
            return await self._read(work)
        except StoreUnavailable as error:
            if is_damage(error.__cause__):
                raise StoreDamaged(project_id, str(error)) from error
            raise

    async def verify(self) -> None:
        """Look for the files; writes nothing."""

        def look() -> None:
            with self._lasting():
                self._check_broken()
                self._files.check()

        await self._run(look, limiter=self._read_turn)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Ask something of the reading connection, in its turn."""

        def call() -> T:
            if self._reader is None:
                raise StoreUnavailable("the store is not open")
            with self._lasting():
                try:
                    return work(self._reader)
                except Exception as error:
                    # A cursor that was broken off would keep its view of the database as long as the error.
                    clear_frames(error.__traceback__)
                    raise

        return await self._run(call, limiter=self._read_turn)

    # --- publishing -----------------------------------------------------------------------------------

    async def append(self, batch: Sequence[Append]) -> list[Outcome]:
        """Keep all of `batch` in one transaction. Not cancellable once begun."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not all(entry.drafts for entry in batch):
            raise ValueError("an Append needs at least one draft")
        outcomes: list[Outcome] = []
        with trio.CancelScope(shield=True):
            outcomes.extend(await self._write(lambda writer: writer.append(batch)))
        return outcomes

    async def producer_ids(self, subject: str, producer_id: str) -> list[str]:
        """The ids known of a producer, oldest first."""
        return await self._read(lambda connection: reader.producer_ids(connection, subject, producer_id))

    async def recorded(self, key: Key, digest: bytes) -> Duplicate | Conflict | None:
        """What a publish with this key would get now."""
        known = await self._read(lambda connection: look_up(connection, (key,)).get(key))
        if known is None:
            return None
        return known[1] if known[0] == digest else Conflict()

    async def probe(self) -> None:
        """Raise `StoreUnavailable` if an append would."""
        await self._write(Writer.probe)

    # --- reading --------------------------------------------------------------------------------------

    async def load(self, project_id: str) -> Life:
        """The project's life as it stands."""
        return await self._ask(project_id, lambda connection: reader.load(connection, project_id))

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
        """Events after a position. One that trimming overtakes ends with what was found before."""
        found = await self._slices(reader.read_slice, project_id, since, limit, max_bytes, (type, node_id))
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
        """Events before a position."""
        wanted = (type, node_id)
        found = await self._slices(reader.read_slice_back, project_id, before, limit, max_bytes, wanted)
        return found if isinstance(found, Gap) else Recovered(tuple(reversed(found)))

    async def _slices(
        self,
        read: reader.ReadSlice,
        project_id: str,
        place: Position,
        limit: int,
        max_bytes: int,
        wanted: tuple[str | None, str | None],
    ) -> list[Record] | Gap:
        """Records in the order in which `read` goes through the log, slice by slice."""
        found: list[Record] = []
        while True:
            look = (project_id, place, limit, max_bytes, wanted, _SCANNED_AT_ONCE)
            piece = await self._ask(project_id, _looking(read, look))
            if isinstance(piece, Gap):
                return found or piece
            for record in piece.records:
                max_bytes -= len(record.body)
                if found and max_bytes < 0:
                    return found
                found.append(record)
            limit -= len(piece.records)
            if piece.done:
                return found
            place = piece.position

    async def projects(self, after: str = "", limit: int = 100) -> list[Summary]:
        """Projects with a log, by id."""
        return await self._read(lambda connection: reader.projects(connection, after, limit))

    async def uncovered(self, before: int, limit: int) -> list[str]:
        """Projects whose newest event is older, and not in a checkpoint."""
        return await self._read(lambda connection: reader.uncovered(connection, before, limit))

    async def count_projects(self) -> int:
        """How many projects have a log."""
        return await self._read(reader.count_projects)

    async def owned(self) -> dict[tuple[str, bool], int]:
        """How many logs there are of each owner."""
        return await self._read(reader.owned)

    async def matter(self, matter_id: str) -> Matter | None:
        """A prompt or a command."""
        return await self._read(lambda connection: interactions.matter(connection, matter_id))

    async def matters(
        self,
        *,
        open: bool | None = None,
        kind: str | None = None,
        topic: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Matter]:
        """Prompts and commands after a place."""
        return await self._read(
            lambda connection: interactions.matters(connection, open, kind, topic, after, limit)
        )

    # --- what is left of a damaged project ------------------------------------------------------------

    async def outline(self, project_id: str) -> Outline:
        """A project as it stands, whatever of its log can be read."""
        return await self._ask(project_id, lambda connection: salvage.outline(connection, project_id))

    async def checkpoints(self, project_id: str) -> list[int]:
        """The seqs of its checkpoints, the newest first."""
        return await self._ask(project_id, lambda connection: salvage.checkpoints(connection, project_id))

    async def salvage(self, project_id: str, after: int, *, limit: int) -> Salvaged:
        """Whatever can be read of its events."""
        return await self._ask(
            project_id, lambda connection: salvage.salvage(connection, project_id, after, limit)
        )

    async def recover(
        self, project_id: str, at: Position, new_epoch: str, settles: Sequence[Settled] = ()
    ) -> bool:
        """Go on from a checkpoint under another epoch; the events up to it go in small steps before."""
        life = await self._write(lambda writer: writer.life(project_id, at.epoch))
        if life is None:
            return False
        while (await self._write(partial(Writer.drop_events, life=life, floor=at.seq)))[1]:
            pass
        return await self._write(lambda writer: writer.recover(project_id, at, new_epoch, settles))

    # --- states ---------------------------------------------------------------------------------------

    async def save_checkpoint(self, project_id: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint."""
        await self._save(NewState(project_id, checkpoint.epoch, checkpoint.seq), checkpoint.parts)

    async def checkpoint_at(self, project_id: str, position: Position) -> Checkpoint | None:
        """The newest checkpoint at or before a position."""
        return await self._ask(
            project_id, lambda connection: reader.checkpoint_at(connection, project_id, position)
        )

    async def save_snapshot(self, snapshot: Snapshot, parts: tuple[bytes, ...]) -> None:
        """Keep a named snapshot."""
        new = NewState(
            snapshot.project_id,
            snapshot.epoch,
            snapshot.seq,
            snapshot.snapshot_id,
            snapshot.name,
            snapshot.created,
            snapshot.owner,
        )
        await self._save(new, parts)

    async def snapshots(self, project_id: str | None) -> list[Snapshot]:
        """A project's snapshots, oldest first, or all there are."""
        return await self._read(lambda connection: reader.snapshots(connection, project_id))

    async def snapshot(self, project_id: str, snapshot_id: str) -> tuple[Snapshot, tuple[bytes, ...]] | None:
        """One of them with its parts."""
        return await self._ask(
            project_id, lambda connection: reader.snapshot(connection, project_id, snapshot_id)
        )

    async def delete_snapshot(self, project_id: str, snapshot_id: str) -> bool:
        """Forget one of them."""
        return await self._write(
            partial(Writer.delete_snapshot, project_id=project_id, snapshot_id=snapshot_id)
        )

    async def _save(self, new: NewState, parts: tuple[bytes, ...]) -> None:
        """Write a state in slices; nobody sees it before the last one."""
        state = await self._write(lambda writer: writer.begin_state(new))
        if state is None:
            return
        writer = self._writer
        try:
            first = 0
            while first < len(parts):
                end = _slice_end(parts, first)
                await self._write(partial(Writer.add_parts, state=state, first=first, parts=parts[first:end]))
                first = end
            await self._write(partial(Writer.finish_state, state=state, new=new))
        finally:
            if writer is not None:
                writer.leave_state(state)

    # --- trimming -------------------------------------------------------------------------------------

    async def trim(
        self, retention: Retention, now: int, *, spared: Collection[str] = ()
    ) -> dict[str, Position]:
        """Drop what nobody can need, in small steps. What a failure leaves, the next trim takes."""
        floors = await self._trim_logs(retention, now, spared)
        await self._repeat(Writer.purge_grave)
        await self._repeat(Writer.sweep_states)
        await self._forget_publishes(now)
        cutoff = now - round(retention.max_age * 1_000_000)
        await self._repeat(lambda writer: writer.forget_matters(cutoff))
        for owner, newest in await self._read(partial(interactions.crowded, most=retention.max_events)):
            await self._repeat(partial(Writer.forget_matters_of, owner=owner, newest=newest))
        graves = min(cutoff, now - KEPT_DEATHS_AGE)
        await self._repeat(lambda writer: writer.forget_graves(graves))
        return floors

    async def _repeat(self, work: Callable[[Writer], bool]) -> None:
        while await self._write(work):
            pass

    async def _trim_logs(
        self, retention: Retention, now: int, spared: Collection[str]
    ) -> dict[str, Position]:
        floors: dict[str, Position] = {}
        cutoff = now - round(retention.max_age * 1_000_000)
        after: int | None = 0
        while after is not None:
            look = partial(reader.excess, after=after, retention=retention, cutoff=cutoff, spared=spared)
            plan = await self._read(look)
            for excess in plan.work:
                more = True
                while more:
                    floor, more = await self._write(
                        partial(Writer.drop_events, life=excess.life, floor=excess.floor)
                    )
                    if floor:
                        floors[excess.project_id] = Position(excess.epoch, floor)
            after = plan.after
        return floors

    async def _forget_publishes(self, now: int) -> None:
        after: int | None = 0
        while after is not None:
            plan = await self._read(partial(reader.forgettable, after=after, now=now))
            for producer in plan.work:
                await self._repeat(partial(Writer.forget_publishes, producer=producer, now=now))
            after = plan.after


def _looking(read: reader.ReadSlice, look: reader.Look) -> Callable[[sqlite3.Connection], reader.Slice | Gap]:
    return lambda connection: read(connection, *look)


def _slice_end(parts: Sequence[bytes], first: int) -> int:
    """Up to where the parts from `first` on, at least one, fit into one transaction."""
    size = len(parts[first])
    end = first + 1
    while end < len(parts) and size + len(parts[end]) <= _SLICE_BYTES:
        size += len(parts[end])
        end += 1
    return end
