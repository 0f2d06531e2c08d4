"""Turn errors of the store into errors for a peer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasktree_rt.errors import ProjectDamaged, StoreDamaged, StoreUnavailable
from tasktree_rt.hub.projects.store_health import unavailable


@contextmanager
def readable() -> Iterator[None]:
    """Turn errors of the store in this block into errors for a peer.

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
