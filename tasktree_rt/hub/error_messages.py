"""Errors as messages."""

from __future__ import annotations

import math

from tasktree_rt.core.protocol import Failure, RequestId
from tasktree_rt.errors import PeerError, ProjectDamaged


def failure(error: PeerError, request: RequestId = None) -> Failure:
    """An error as a message; one of a project names it, since not every one answers a request."""
    after = None if error.retry_after is None else math.ceil(error.retry_after * 1000)
    topic = error.topic if isinstance(error, ProjectDamaged) else None
    return Failure(error.code, error.message, request, error.field, after, error.outcome, topic)
