"""The audit log: one structured line for each refusal of access and each change of it, never with a secret.

A line has ``log=audit``, who did it (``subject``, ``token_id``: that of the token or of
the API key), from where (``address``) and on what.
"""

from __future__ import annotations

from typing import Final

from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.core.access import Grants
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.access.line_limit import LineLimit

log: Final[BoundLogger] = get_logger("tasktree_rt.audit", log="audit")
AUDITED: Final = frozenset({"unauthorized", "forbidden"})
"""Codes of the refusals that the log has."""
MAX_TEXT: Final = 300
"""Characters of a text that a peer may have chosen."""


class Audit:
    """Write the audit log."""

    def __init__(self) -> None:
        self._limit = LineLimit(lambda times: log.warning("many different refusals", times=times))

    def refused(self, error: PeerError, caller: Grants | None, address: str, on: str) -> None:
        """Log a refusal of access; other errors are ignored. One line a minute for an address and a code.

        `caller` is None if nobody is known; `on` is the route, or the dialect of a connection.
        """
        if error.code not in AUDITED:
            return
        times = self._limit.due((address, error.code))
        if times:
            reason = error.message[:MAX_TEXT]
            who = {} if caller is None else _named(caller)
            log.warning("refused", **who, address=address, on=on[:MAX_TEXT], reason=reason, times=times)

    def did(self, what: str, caller: Grants, **on: object) -> None:
        """Log what a caller did: ``key created``, ``project deleted``, …"""
        log.info(what, **_named(caller), address=caller.address, **on)


def _named(caller: Grants) -> dict[str, str]:
    named = {"subject": caller.subject, "token_id": caller.token_id}
    return {name: value[:MAX_TEXT] for name, value in named.items() if value}
