"""Where a backend finds its hub, and by which name the hub knows it."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


@frozen
class Address:
    """Where the hub is, who this is, and where it keeps what the hub does not have yet (None: in memory)."""

    url: str
    producer_id: str
    token: str | None
    spool: Path | None
    spool_max_bytes: int
