"""Save, read and delete named snapshots, and limit them for each project and subject."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import trio
from attrs import frozen

from tasktree_rt.brokers.base import Broker, Snapshot
from tasktree_rt.core.tree import Snapshot as State
from tasktree_rt.errors import Refused
from tasktree_rt.hub.projects.checkpoints import check_state, encode_parts
from tasktree_rt.hub.projects.past_states import PastStates
from tasktree_rt.hub.projects.quotas import SNAPSHOT, Quotas
from tasktree_rt.hub.projects.store_errors import readable


@frozen
class StoredSnapshot:
    """A snapshot as the store has it: its record, and its state (`checkpoints.encode_parts`)."""

    info: Snapshot
    parts: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of the state."""
        return sum(map(len, self.parts))


class NamedSnapshots:
    """See the module's docstring. `most` is of one project; `wall` tells the time in microseconds."""

    def __init__(
        self, broker: Broker, holdings: Quotas, past: PastStates, most: int, wall: Callable[[], int]
    ) -> None:
        self._broker = broker
        self._holdings = holdings
        self._past = past
        self._most = most
        self._wall = wall
        self._kept: dict[str, dict[str, str]] = {}
        """The owner of each snapshot, by project and id."""

    async def load(self) -> None:
        """Count the snapshots in the store.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        for one in await self._broker.snapshots(None):
            self._note(one.project_id, one.snapshot_id, one.owner)

    async def keep(
        self, project_id: str, name: str, owner: str, state: Callable[[], Awaitable[State]]
    ) -> Snapshot:
        """Save what `state` returns under a name. Returns when it is stored.

        Raises:
            Refused: ``project_full``, ``subject_full``, or ``not_found`` if the project ends meanwhile.
            Unavailable: the store cannot take it now.
        """
        self._check(project_id, owner)
        snapshot_id = secrets.token_hex(8)
        self._note(project_id, snapshot_id, owner)
        try:
            found = await state()
            kept = Snapshot(snapshot_id, project_id, name, found.epoch, found.seq, self._wall(), owner)
            parts = await encode_parts(found)
            with readable(), trio.CancelScope(shield=True):
                await self._broker.save_snapshot(kept, parts)
        except BaseException:
            self._forget(project_id, snapshot_id)
            raise
        if snapshot_id not in self._kept.get(project_id, ()):
            raise Refused("the project was deleted meanwhile", code="not_found", field="project_id")
        return kept

    async def of(self, project_id: str) -> list[Snapshot]:
        """List the snapshots of a project.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        return await self._broker.snapshots(project_id)

    async def find(self, project_id: str, snapshot_id: str) -> StoredSnapshot:
        """Return a snapshot with its state; concurrent callers share it.

        Raises:
            Refused: ``not_found``.
            Unavailable: the store cannot be read now.
            ProjectDamaged: its state cannot be read.
        """

        async def read() -> StoredSnapshot | None:
            with readable():
                found = await self._broker.snapshot(project_id, snapshot_id)
                if found is not None:
                    await check_state(project_id, found[1])
            return None if found is None else StoredSnapshot(*found)

        found = await self._past.get((project_id, snapshot_id), read)
        if found is None:
            raise _missing(snapshot_id)
        return found

    async def delete(self, project_id: str, snapshot_id: str) -> None:
        """Delete a snapshot.

        Raises:
            Refused: ``not_found``.
            Unavailable: the store cannot do it now.
        """
        with readable(), trio.CancelScope(shield=True):
            known = await self._broker.delete_snapshot(project_id, snapshot_id)
        self._forget(project_id, snapshot_id)
        if not known:
            raise _missing(snapshot_id)

    def ended(self, project_id: str) -> None:
        """Stop counting the snapshots of a deleted project."""
        for owner in self._kept.pop(project_id, {}).values():
            self._holdings.drop(owner, SNAPSHOT)

    def _check(self, project_id: str, owner: str) -> None:
        if len(self._kept.get(project_id, ())) >= self._most:
            message = f"the project has {self._most} snapshots (limits.max_snapshots_per_project)"
            raise Refused(message, code="project_full", field="project_id")
        self._holdings.check(owner, SNAPSHOT, field="project_id")

    def _note(self, project_id: str, snapshot_id: str, owner: str) -> None:
        self._kept.setdefault(project_id, {})[snapshot_id] = owner
        self._holdings.add(owner, SNAPSHOT)

    def _forget(self, project_id: str, snapshot_id: str) -> None:
        kept = self._kept.get(project_id, {})
        owner = kept.pop(snapshot_id, None)
        if owner is not None:
            self._holdings.drop(owner, SNAPSHOT)
            if not kept:
                del self._kept[project_id]


def _missing(snapshot_id: str) -> Refused:
    return Refused(f"there is no snapshot {snapshot_id!r}", code="not_found", field="snapshot_id")
