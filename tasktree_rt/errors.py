"""Every exception this package raises on purpose.

::

    HubError                      the base class; the caller can act on each of these
    ├── PeerError                 the hub sends it to the peer, with a code of the protocol
    │   ├── InvalidInput          the message is malformed; ``field`` names the place
    │   ├── Refused               the message is valid, but not allowed in the present state
    │   │   └── ProjectDamaged    the store cannot read a project's log
    │   └── Unavailable           the hub cannot do it now; repeat the request after ``retry_after``
    ├── StoreError                the store failed
    │   ├── StoreUnusable         for good: a foreign, newer or corrupt store, or another hub has it open
    │   ├── StoreUnavailable      for now: disk full, I/O error, busy
    │   └── StoreDamaged          for one log; all others can be read
    ├── SettingsError             a setting is invalid; the message names its place
    └── ClientError               raised by ``tasktree_rt.client``
        ├── ConnectionLost        the connection ended and the client does not reconnect
        ├── PublishRefused        the hub refused a publish for good; has the fields of `PeerError`
        └── RequestRefused        the hub refused a prompt, an answer, a command or a notification

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
    "ambiguous": 409,
    "too_many_subscriptions": 429,
    "rate_limited": 429,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "gone": 410,
    "overloaded": 503,
    "access_unavailable": 503,
    "store_unavailable": 503,
    "draining": 503,
    "internal": 500,
}
"""Every error code of the protocol with its HTTP status (docs/protocol.md, "Errors")."""


class HubError(Exception):
    """The base class of every exception this package raises on purpose."""


class PeerError(HubError):
    """An error that the hub sends to the peer: the peer's fault, or the hub's present state.

    Attributes:
        code: a key of `HTTP_STATUS`.
        message: one sentence for a person.
        field: the place of the fault in the message (``events[3].data.node_id``); None without a place.
        retry_after: seconds until the peer may repeat the same request; None if repeating does not help.
        outcome: the earlier resolution of the prompt or command, with ``prompt_closed`` and ``gone``.
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
        """The HTTP status for `code`."""
        return HTTP_STATUS[self.code]


class InvalidInput(PeerError):
    """The peer's message is malformed; `field` names the place."""


class Refused(PeerError):
    """The peer's message is valid, but not allowed in the present state."""

    default_code = "forbidden"


class ProjectDamaged(Refused):
    """The store cannot read the log of one project or user. All others work.

    Attributes:
        topic: the project's id, or the topic of the user's log.
        reason: the damage.
    """

    default_code = "project_damaged"

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(
            f"the log of {topic!r} is damaged: {reason}; export it, then recover or delete it",
            field="project_id",
        )
        self.topic = topic
        self.reason = reason


class Unavailable(PeerError):
    """The hub cannot do it now. The peer may repeat the request, with the same id, after `retry_after`
    seconds.
    """

    default_code = "store_unavailable"


class StoreError(HubError):
    """The base class of the store's errors."""


class StoreUnusable(StoreError):
    """The store cannot be used: it is foreign, newer, corrupt, or open in another hub."""


class StoreUnavailable(StoreError):
    """The store cannot do it now: disk full, I/O error, busy. A later retry may succeed.

    Attributes:
        lasting: a retry fails until a person repairs the store (its file is gone, or damaged).
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class StoreDamaged(StoreError):
    """The store cannot read the log of one `topic`. `reason` names the damage; all other logs work."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"{topic}: {reason}")
        self.topic = topic
        self.reason = reason


class SettingsError(HubError):
    """A setting is invalid; the message names the setting and its source (file, variable, flag)."""


class ClientError(HubError):
    """The base class of the exceptions that `tasktree_rt.client` raises."""


class ConnectionLost(ClientError):
    """The connection ended, and the client does not reconnect: it was told not to, or it cannot succeed."""


class PublishRefused(ClientError):
    """The hub refused a publish for good and stored none of its events.

    The attributes are those of `PeerError`.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        self.code = code
        self.message = message
        self.field = field
        super().__init__(f"{code}: {message}" + (f" (at {field})" if field else ""))


class RequestRefused(ClientError):
    """The hub refused a request for good: a prompt, an answer, a command, a notification, …

    The attributes are those of `PeerError`. `code` is ``http_<status>`` if the response has no code, e.g.
    because a proxy sent it. `repeated`: the client lost the response to an earlier attempt, so the hub may
    have done the request already.
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
