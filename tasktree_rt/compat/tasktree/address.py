"""The address of the hub, and the backend's name there."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


@frozen
class Address:
    """The hub's address, this producer's id and token, and its spool file (None: in memory)."""

    url: str
    producer_id: str
    token: str | None
    spool: Path | None
    spool_max_bytes: int
