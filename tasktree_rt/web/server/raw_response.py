"""Render whole HTTP responses as bytes, each the last on its connection."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from tasktree_rt.web.protective_headers import PROTECTIVE

_NAME: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_FRAMING: Final = frozenset(("connection", "content-length", "transfer-encoding"))
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def sound(name: str, value: str) -> bool:
    """Return whether a header is valid: the name is a token, the value has no control characters (CR, LF)."""
    return _NAME.fullmatch(name) is not None and _VALUE.fullmatch(value) is not None


def rendered(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """Render an HTTP/1.1 response with its length, ``Connection: close`` and the protective headers; drop
    invalid headers."""
    given = [one for one in headers if one[0].lower() not in _FRAMING and sound(*one)]
    names = {name.lower() for name, _ in given}
    given += [one for one in PROTECTIVE if one[0].lower() not in names]
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in given]
    lines.append(f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    return "".join(lines).encode("latin-1") + body


def answer(status: int, sentence: str = "") -> bytes:
    """Render a response of the server itself; `sentence` is its body."""
    headers = [("Content-Type", "text/plain; charset=utf-8")] if sentence else []
    if status == 426:
        headers += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    if status == 503:
        headers += [("Retry-After", "1")]
    return rendered(status, headers, sentence.encode())
