"""Inflate one compressed WebSocket message (RFC 7692, 7.2.2)."""

from __future__ import annotations

from typing import Final

from tasktree_rt.core.close_codes import INVALID_DATA, TOO_LARGE
from tasktree_rt.web.inflating import RAW, Damaged, Oversized, inflate
from tasktree_rt.web.server.frames import InvalidMessage, Messages, Packed

_CUT_OFF: Final = b"\x00\x00\xff\xff"
"""The end of an empty stored block: the sender leaves it out."""
_END: Final = b"\x03\x00"
"""An empty last block: most messages that were cut short have none."""
_BEHIND: Final = (b"", _CUT_OFF + _END, b"\x00" + _CUT_OFF + _END)
"""What may follow the stream: the bytes added here, if the sender's own block was the last (7.2.3.4)."""


async def inflated(message: Packed, messages: Messages) -> str | bytes:
    """Return the message as text or bytes.

    Raises:
        InvalidMessage: it is no deflate data, is larger than a message may be, or its text is not UTF-8.
    """
    try:
        data, behind = await inflate(message.data + _CUT_OFF + _END, messages.most, RAW)
    except Oversized:
        raise InvalidMessage(TOO_LARGE) from None
    except Damaged:
        raise InvalidMessage(INVALID_DATA) from None
    if behind not in _BEHIND:
        raise InvalidMessage(INVALID_DATA)
    return messages.decoded(data, message.opcode)
