"""What a status means, whatever word an orchestrator has for it: as much of it as the reducer needs.

``frontend/src/core/statuses.ts`` has the same words; the shared cases of the reducer hold both to them.
"""

from __future__ import annotations

from typing import Final

_WAITING: Final = """draft ready pending queued unclaimed up_next planned planning incomplete todo backlog
    created scheduled blocked waiting"""
_RUNNING: Final = (
    "running in_progress started active working agent_running spawned executing retrying merging"
)
_DONE: Final = "completed complete done merged success succeeded passed finished ok skipped"
_FAILED: Final = "failed error errored timeout timed_out crashed failure broken damaged lost"
_CANCELLED: Final = "cancelled canceled aborted terminated stopped"

_FAILED_WORDS: Final = frozenset(_FAILED.split())
_ENDED: Final = frozenset(f"{_DONE} {_FAILED} {_CANCELLED}".split())
_AGAIN: Final = frozenset(f"{_WAITING} {_RUNNING}".split())


def is_ended(status: object) -> bool:
    """Return True if a node of this status is expected to change no more."""
    return type(status) is str and status.lower() in _ENDED


def begins_again(status: object) -> bool:
    """Return True if a node of this status runs or waits to run; False for unknown statuses."""
    return type(status) is str and status.lower() in _AGAIN


def is_failed(status: object) -> bool:
    """Return True if the status means that something went wrong."""
    return type(status) is str and status.lower() in _FAILED_WORDS
