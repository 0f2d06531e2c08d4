"""Hubs that attacks share: one that asks for tokens, one that is open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.arena import Arena
from tests.attacks.arena import arena as run
from tests.secure import secure
from tests.web.realhub import auth


@pytest.fixture(scope="module")
def arena(request: pytest.FixtureRequest) -> Iterator[Arena]:
    """The hub of a module's attacks; it has the settings of the module's ``AUTH``, or a secret, and of its
    ``SETTINGS``.
    """
    module = request.module
    secure.on = "tls" in getattr(module, "SETTINGS", {})
    with run(getattr(module, "AUTH", auth()), getattr(module, "SETTINGS", {})) as found:
        yield found
    secure.on = False
