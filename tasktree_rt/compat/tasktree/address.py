"""The address of the hub, and the backend's name there."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from attrs import frozen

from tasktree_rt.client.transport.tls import Cert, Verify, tls_context


@frozen
class Address:
    """The hub's address, this producer's id and token, its spool file (None: in memory), and the context for
    TLS (None: the hub has none).
    """

    url: str
    producer_id: str
    token: str | None
    spool: Path | None
    spool_max_bytes: int
    tls: ssl.SSLContext | None = None

    @property
    def verify(self) -> Verify:
        """What the client's functions take for TLS."""
        return self.tls or True


def context_for(url: str, verify: Verify | None, cert: Cert | None) -> ssl.SSLContext | None:
    """Return the context for a hub at `url`; what is not given comes from the environment.

    Raises:
        ValueError: a file cannot be used.
    """
    if verify is None:
        verify = os.environ.get("TASKTREE_RT_CAFILE") or True
    if cert is None and not isinstance(verify, ssl.SSLContext):
        shown, key = os.environ.get("TASKTREE_RT_CLIENT_CERT"), os.environ.get("TASKTREE_RT_CLIENT_KEY")
        cert = (shown, key) if shown and key else shown or None
    return tls_context(url, verify, cert)
