"""Short ways to say what the brokers' tests append and save."""

from __future__ import annotations

from tasktree_rt.brokers.base import Append, Appended, Broker, Checkpoint, Draft, Key, Outcome
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Gap, Position, Recovered

HOUR = 3_600_000_000
DAY = 24 * HOUR
NOW = 1_700_000_000_000_000


def drafts(*bodies: str, kind: str = "log", node: str | None = None) -> tuple[Draft, ...]:
    return tuple(Draft(kind, node, body.encode()) for body in bodies)


def entry(
    project: str = "p",
    *bodies: str,
    at: int = NOW,
    epoch: str = "e1",
    ends: bool = False,
    key: str | None = None,
    producer: str = "producer",
    digest: bytes = b"digest",
    kind: str = "log",
    node: str | None = None,
    state: str | None = None,
    nodes: int = 0,
    about: bytes = b"",
    owner: str = "",
) -> Append:
    return Append(
        project,
        drafts(*(bodies or ("{}",)), kind=kind, node=node),
        at,
        epoch,
        ends=ends,
        state=state,
        nodes=nodes,
        key=None if key is None else Key("subject", producer, key),
        digest=digest,
        about=about,
        owner=owner,
    )


def numbered(count: int, first: int = 1) -> list[str]:
    return [f'{{"n":{n}}}' for n in range(first, first + count)]


async def append_one(broker: Broker, one: Append) -> Outcome:
    (outcome,) = await broker.append([one])
    return outcome


async def fill(
    broker: Broker, count: int, project: str = "p", *, at: int = NOW, epoch: str = "e1"
) -> Appended:
    """Append `count` events in one entry."""
    outcome = await append_one(broker, entry(project, *numbered(count), at=at, epoch=epoch))
    assert isinstance(outcome, Appended)
    return outcome


async def events(broker: Broker, project: str = "p", since: Position | None = None) -> tuple[Record, ...]:
    """All events after a position, by default after the floor."""
    life = await broker.load(project)
    found = await broker.read(project, since or Position(life.epoch, life.floor), limit=1_000_000)
    assert isinstance(found, Recovered), found
    return found.records


async def seqs(broker: Broker, since: Position, project: str = "p", **asked: object) -> list[int] | str:
    """The seqs that a read gives, or why there is a gap."""
    found = await broker.read(project, since, **{"limit": 1_000, **asked})  # type: ignore[arg-type]
    return found.why if isinstance(found, Gap) else [record.seq for record in found.records]


async def seqs_back(broker: Broker, before: Position, project: str = "p", **asked: object) -> list[int] | str:
    """The same of a read backwards."""
    found = await broker.read_back(project, before, **{"limit": 1_000, **asked})  # type: ignore[arg-type]
    return found.why if isinstance(found, Gap) else [record.seq for record in found.records]


async def checkpoint(
    broker: Broker, seq: int, *parts: bytes, project: str = "p", epoch: str = "e1"
) -> Checkpoint:
    """Save a checkpoint."""
    made = Checkpoint(epoch, seq, parts or (b"state at %d" % seq,))
    await broker.save_checkpoint(project, made)
    return made
