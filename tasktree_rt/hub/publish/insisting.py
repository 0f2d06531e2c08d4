"""Judge a publish again where another hub was first.

A conditional publish (`Append.conditional`) is stored only if the log is as this hub has judged it. If it is
not, the hub has applied by now what the others appended, and judges the same publish on that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from tasktree_rt.errors import PeerError
from tasktree_rt.hub.publish.pending_publish import PendingPublish, end_like

LONGEST: Final = 10.0
"""Seconds for which a publish is judged again; then it is refused as `overloaded`."""


def insisting(attempt: Callable[[], PendingPublish]) -> PendingPublish:
    """Call `attempt` until its publish is not overtaken; return the publish that ends with the last one.

    Raises:
        PeerError: the first call does.
    """
    first = attempt()
    if not first.append.conditional:
        return first
    whole = PendingPublish(first.project, first.append, first.size, first.begun, first.shown)
    first.whole = whole
    first.callbacks.append(partial(_ended, whole, attempt, trio.current_time() + LONGEST))
    return whole


def _ended(
    whole: PendingPublish, attempt: Callable[[], PendingPublish], until: float, last: PendingPublish
) -> None:
    if last.moved is None or trio.current_time() > until:
        end_like(whole, last)
        return
    try:
        again = attempt()
    except PeerError as error:
        last.error = error
        end_like(whole, last)
    else:
        again.whole = whole
        again.callbacks.append(partial(_ended, whole, attempt, until))
