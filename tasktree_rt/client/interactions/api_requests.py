"""Requests to the hub's HTTP API, and what its responses hold. Pure."""

from __future__ import annotations

import math
from typing import Final
from urllib.parse import quote

from attrs import frozen

from tasktree_rt.client.transport.http_retry import Request
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position

LONGEST_WAIT: Final = 60.0
"""Seconds for which the hub holds a request at most."""


@frozen
class Outcome:
    """What became of a command.

    Attributes:
        command_id: the hub's name of it.
        status: ``done``, ``refused``, ``timeout`` (no orchestrator said anything), ``cancelled`` (the project
            was deleted), or ``pending``: not known yet.
        message: what the orchestrator said about it.
    """

    command_id: str
    status: str
    message: str | None = None


@frozen
class EventPage:
    """Events of a log as JSON objects, the oldest first; `next` is the `since` of the next page, if any."""

    events: list[Json]
    next: str | None


@frozen
class SearchPage:
    """Events that match a search.

    Attributes:
        hits: the newest of a project first, each with ``project_id, epoch, seq, type, kind, node_id, level,
            received`` and ``excerpt``, a list of text pieces of which every second one matches.
        count: how many events match, as far as the hub looked.
        exact: whether `count` is all of them.
        next: the `after` of the next page, if any.
        index: whether the hub asked an index. False: it read the newest events only.
    """

    hits: list[Json]
    count: int
    exact: bool
    next: str | None
    index: bool


@frozen
class NotificationPage:
    """The events of a user's log, as `EventPage`; `read` is the seq up to which the user has read it."""

    events: list[Json]
    next: str | None
    read: int


def query_of(*pairs: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Query parameters without those that are None."""
    return tuple((key, value) for key, value in pairs if value is not None)


def since_text(since: Position | str | None) -> str | None:
    """A position as the query has it."""
    return None if since is None else str(since)


def held_request(
    method: str,
    path: str,
    wait: float,
    *,
    query: tuple[tuple[str, str], ...] = (),
    body: bytes | None = None,
    repeatable: bool = True,
) -> Request:
    """A request that the hub may hold for `wait` seconds, at most 60."""
    held = min(wait, LONGEST_WAIT)
    query += (("wait", f"{math.ceil(held)}"),) if held > 0 else ()
    return Request(method, path, query, body, held, repeatable)


def user_path(user_id: str, what: str) -> str:
    """The path of something of a user's."""
    return f"/users/{quote(user_id, safe='')}/{what}"


def project_path(project_id: str, what: str) -> str:
    """The path of something of a project's."""
    return f"/projects/{quote(project_id, safe='')}/{what}"


def is_outcome_of(outcome: Json, said: Json) -> bool:
    """Whether an outcome is what was answered."""
    return outcome.get("how") == "answered" and all(outcome.get(key) == said[key] for key in said)
