"""Where a backend keeps what the hub does not have yet: one file for each process of it.

The processes of one backend (and a new one beside an old one that is about to end) take files numbered from
the same name. What a process left that is no more, the next one takes over.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from platformdirs import user_state_path

from tasktree_rt import private
from tasktree_rt.client.producer.file_lock import lock
from tasktree_rt.client.producer.orchestrator import Orchestrator
from tasktree_rt.client.producer.spool import Spool
from tasktree_rt.dialects.base import decode_object
from tasktree_rt.errors import ClientError, InvalidInput, PublishRefused

MOST: Final = 64
"""Processes of one backend."""
LONGEST_LINE: Final = 64 * 1024
LARGEST: Final = 2**53
_logger: Final = logging.getLogger("tasktree_rt.compat")


def default_place(hub: str, producer_id: str) -> Path:
    """The file of a backend that names none: of this user, this hub and this producer."""
    name = blake2b(f"{hub}\n{producer_id}".encode(), digest_size=8).hexdigest()
    return user_state_path("tasktree-rt") / "tasktree" / f"{name}.spool"


def places(first: Path) -> list[Path]:
    """The files that the processes of a backend may have, in order."""
    return [first, *(first.with_name(f"{first.name}.{number}") for number in range(2, MOST + 1))]


def usable_place(first: Path | None, producer_id: str) -> Path | None:
    """The first file that no process has; None, and a line in the log, if there is none that can be used."""
    if first is None:
        return None
    try:
        place = next((place for place in places(first) if _is_free(place)), None)
        if place is None:
            raise ClientError(f"spool {first}: {MOST} processes use it already")
        Spool(place, producer_id, LARGEST).close()
    except ClientError as error:
        _logger.error("what waits for the hub does not outlive this process: %s", error)
        return None
    return place


async def take_over(first: Path, own: Path, producer_id: str, orchestrator: Orchestrator) -> int:
    """Publish what processes left that are no more; returns how many events."""
    taken = 0
    for place in left_over(first):
        if place == own:
            continue
        try:
            taken += await _take_file(place, producer_id, orchestrator)
        except (ClientError, InvalidInput) as error:
            _logger.error("what an earlier process left cannot be sent: %s", error)
    return taken


async def _take_file(path: Path, producer_id: str, orchestrator: Orchestrator) -> int:
    spool = Spool(path, producer_id, LARGEST)
    try:
        places = list(spool.waiting.values())
        for place in places:
            events = decode_object(spool.load(place))["events"]
            with suppress(PublishRefused):
                await orchestrator.publish(events, id=place.id)
            spool.settle(place)
    finally:
        spool.close()
    return len(places)


def left_over(first: Path) -> list[Path]:
    """The files of processes that are no more, which hold something."""
    return [place for place in places(first) if _holds_something(place) and _is_free(place)]


def _holds_something(place: Path) -> bool:
    """Whether there is anything behind its first line."""
    try:
        with place.open("rb") as file:
            return bool(file.readline(LONGEST_LINE) and file.read(1))
    except OSError:
        return False


def _is_free(place: Path) -> bool:
    try:
        private.make_folder(str(place.parent))
        fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
    except OSError as error:
        raise ClientError(f"spool {place}: {error.strerror or error}") from error
    try:
        lock(fd)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
