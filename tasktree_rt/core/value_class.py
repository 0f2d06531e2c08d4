"""Objects that are made for every event and never changed afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as fixed
else:
    # Frozen ones take twice the time to be made, and a publish makes ten. The type checker sees to it.
    from attrs import define as fixed

__all__ = ["fixed"]
