"""What a peer is told when the store cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasktree_rt.errors import ProjectDamaged, StoreDamaged, StoreUnavailable
from tasktree_rt.hub.projects.store_health import unavailable


@contextmanager
def readable() -> Iterator[None]:
    """Inside, a store that cannot be read is what a peer is told.

    Raises:
        Unavailable: for every `StoreUnavailable`.
        ProjectDamaged: for every `StoreDamaged`.
    """
    try:
        yield
    except StoreUnavailable as error:
        raise unavailable(error, "the store cannot be read") from error
    except StoreDamaged as error:
        raise ProjectDamaged(error.topic, error.reason) from error
