"""Every WebSocket close code the hub sends, what it means, and what the client should do about it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen

MAX_REASON: Final = 100
"""Characters to which the hub cuts a close frame's reason; a frame has room for 123 bytes, mostly ASCII."""


class Advice(Enum):
    """What a client does after a close."""

    STOP = "do not repeat what was done"
    RECONNECT = "reconnect with back-off and resume from the last position"
    RECONNECT_ADVISED = "reconnect after the advised time and resume"
    GET_TOKEN = "get a token first"  # noqa: S105 (advice, not a password)
    RELOAD = "reload the state, then watch from its position"


@frozen
class Closing:
    """One close code of the protocol."""

    code: int
    reason: str
    advice: Advice


NORMAL: Final = Closing(1000, "", Advice.STOP)
GOING_AWAY: Final = Closing(1001, "going away", Advice.RECONNECT)
PROTOCOL_ERROR: Final = Closing(1002, "protocol error", Advice.STOP)
INVALID_DATA: Final = Closing(1007, "invalid UTF-8", Advice.STOP)
TOO_LARGE: Final = Closing(1009, "message too large", Advice.STOP)
INTERNAL: Final = Closing(1011, "internal error", Advice.RECONNECT)
RESTART: Final = Closing(1012, "service restart", Advice.RECONNECT_ADVISED)
OVERLOADED: Final = Closing(1013, "try again later", Advice.RECONNECT_ADVISED)
TOKEN_MISSING: Final = Closing(4001, "token missing", Advice.GET_TOKEN)
TOKEN_WITHOUT_SUBJECT: Final = Closing(4002, "token without subject", Advice.GET_TOKEN)
TOKEN_INVALID: Final = Closing(4003, "token invalid or expired", Advice.GET_TOKEN)
NOT_FOUND: Final = Closing(4004, "no such execution", Advice.STOP)
SLOW_CONSUMER: Final = Closing(4008, "slow consumer", Advice.RECONNECT)
GAP: Final = Closing(4009, "gap", Advice.RELOAD)
DISCONNECTED: Final = Closing(4010, "disconnected by an administrator", Advice.STOP)
TOO_FAST: Final = Closing(4029, "rate limited", Advice.STOP)

ALL: Final = (
    NORMAL,
    GOING_AWAY,
    PROTOCOL_ERROR,
    INVALID_DATA,
    TOO_LARGE,
    INTERNAL,
    RESTART,
    OVERLOADED,
    TOKEN_MISSING,
    TOKEN_WITHOUT_SUBJECT,
    TOKEN_INVALID,
    NOT_FOUND,
    SLOW_CONSUMER,
    GAP,
    DISCONNECTED,
    TOO_FAST,
)
BY_CODE: Final = {closing.code: closing for closing in ALL}


def advice(code: int | None) -> Advice:
    """What to do after a close with `code`; an unknown code, or none (1006), means reconnect."""
    known = BY_CODE.get(code) if code is not None else None
    return known.advice if known else Advice.RECONNECT
