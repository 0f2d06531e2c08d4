"""Addresses that an app wants opened beside ``settings.bind``: the app carries them to the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quart import Quart

from tasktree_rt.web.server.listeners import FixedPath

_KEY: Final = "tasktree_addresses"
"""Key of ``app.extensions``."""


def addresses_in(app: Quart) -> Sequence[FixedPath]:
    """Return the addresses that an app wants (`put_addresses`)."""
    found: Sequence[FixedPath] = app.extensions.get(_KEY, ())
    return found


def put_addresses(app: Quart, addresses: Sequence[FixedPath]) -> None:
    """Give an app the addresses that its foreign systems want, for `addresses_in`."""
    app.extensions[_KEY] = addresses
