"""A Trio nursery whose single exception leaves it without a group around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def background() -> AsyncIterator[trio.Nursery]:
    """A nursery that lets a single exception out as it is, not as a group of one."""
    alone: BaseException
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
        return
    except BaseExceptionGroup as group:
        # Without the Cancelled of an outer scope, if any: the next checkpoint raises it anew.
        _, others = group.split(trio.Cancelled)
        if others is None or len(others.exceptions) != 1:
            raise
        alone = others.exceptions[0]
    context = alone.__context__
    try:
        raise alone
    finally:
        alone.__context__ = context
        del alone
