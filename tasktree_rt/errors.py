"""Every exception this package raises on purpose.

::

    HubError                      something the caller can act on
    ├── PeerError                 the peer's fault: told to the peer with a code of the protocol
    │   ├── InvalidInput          what was sent cannot be understood; ``field`` names the place
    │   ├── Refused               understood, but not allowed in the present state
    │   │   └── ProjectDamaged    what the store has of a project cannot be read
    │   └── Unavailable           not now: the same request may be sent again after ``retry_after``
    ├── StoreError                the store could not do what was asked
    │   ├── StoreUnusable         never will: foreign, newer, corrupt or locked by another hub
    │   ├── StoreUnavailable      not now: disk full, I/O error, busy
    │   └── StoreDamaged          one log cannot be read; all others can
    ├── SettingsError             a setting that cannot be used; names its place
    └── ClientError               raised by ``tasktree_rt.client``
        ├── ConnectionLost        the hub went away and no reconnect was wanted
        ├── PublishRefused        the hub refused a publish for good; carries the peer error's fields
        └── RequestRefused        the same of a question, an answer, a command, a notification

Expected outcomes (a gap, a shed, a duplicate) are return values, not exceptions.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

HTTP_STATUS: Final[dict[str, int]] = {
    "invalid_json": 400,
    "invalid_message": 400,
    "invalid_event": 400,
    "invalid_project_id": 400,
    "invalid_position": 400,
    "mixed_projects": 400,
    "too_large": 413,
    "node_too_large": 409,
    "project_full": 409,
    "subject_full": 409,
    "idempotency_conflict": 409,
    "invalid_transition": 409,
    "project_damaged": 409,
    "prompt_closed": 409,
    "no_orchestrator": 409,
    "too_many_subscriptions": 429,
    "rate_limited": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "gone": 410,
    "overloaded": 503,
    "store_unavailable": 503,
    "draining": 503,
    "internal": 500,
}
"""Every error code of the protocol with its HTTP status (docs/protocol.md, "Errors")."""


class HubError(Exception):
    """Base of everything this package raises on purpose."""


class PeerError(HubError):
    """The peer's fault, or the hub's state, told to the peer.

    Attributes:
        code: a key of `HTTP_STATUS`.
        message: one sentence for a person.
        field: where in the message the fault is (``events[3].data.node_id``), if it has a place.
        retry_after: seconds after which the same request may be sent again, if that helps.
        outcome: what settled it already, with ``prompt_closed`` and ``gone``.
    """

    default_code: ClassVar[str] = "invalid_message"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
        outcome: dict[str, Any] | None = None,
    ) -> None:
        self.code = code or self.default_code
        self.message = message
        self.field = field
        self.retry_after = retry_after
        self.outcome = outcome
        super().__init__(f"{field}: {message}" if field else message)

    @property
    def status(self) -> int:
        """The HTTP status that goes with `code`."""
        return HTTP_STATUS[self.code]


class InvalidInput(PeerError):
    """What was sent cannot be understood."""


class Refused(PeerError):
    """Understood, but not allowed in the present state."""

    default_code = "forbidden"


class ProjectDamaged(Refused):
    """What the store has of a project (or of a user's log) cannot be read; everything else works.

    Attributes:
        topic: the project, or the user's log.
        reason: what is wrong with it.
    """

    default_code = "project_damaged"

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(
            f"what is stored of {topic!r} is damaged: {reason}; export what is left, recover or delete it",
            field="project_id",
        )
        self.topic = topic
        self.reason = reason


class Unavailable(PeerError):
    """Not now; the same request, under the same id, may be sent again after `retry_after` seconds."""

    default_code = "store_unavailable"


class StoreError(HubError):
    """The store could not do what was asked."""


class StoreUnusable(StoreError):
    """The store will never work as it is: foreign, newer, corrupt, or open in another hub."""


class StoreUnavailable(StoreError):
    """The store cannot do it now (disk full, I/O error, busy); trying again later may help.

    Attributes:
        lasting: it helps only once a person has mended the store (its file is gone, or damaged).
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class StoreDamaged(StoreError):
    """What the store has of one log, `topic`, cannot be read; `reason` says what of it.

    Everything else works.
    """

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"{topic}: {reason}")
        self.topic = topic
        self.reason = reason


class SettingsError(HubError):
    """A setting that cannot be used; the message names it and where it came from."""


class ClientError(HubError):
    """Raised by `tasktree_rt.client`."""


class ConnectionLost(ClientError):
    """The hub went away and no reconnect was wanted, or reconnecting is pointless."""


class PublishRefused(ClientError):
    """The hub refused a publish for good; nothing of it was kept.

    Attributes: as of `PeerError`.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        self.code = code
        self.message = message
        self.field = field
        super().__init__(f"{code}: {message}" + (f" (at {field})" if field else ""))


class RequestRefused(ClientError):
    """The hub refused a request for good: a question, an answer, a command, a notification …

    Attributes: as of `PeerError`; `code` is ``http_<status>`` where whoever answered gave none, and
    `repeated` says that an earlier try, whose answer was lost, may have been done.
    """

    def __init__(
        self, code: str, message: str, field: str | None = None, outcome: dict[str, Any] | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.field = field
        self.outcome = outcome
        self.repeated = False
        super().__init__(f"{code}: {message}" + (f" (at {field})" if field else ""))
