"""The head of an HTTP request: whether the hub takes it, and whether it asks for a WebSocket.

Two parsers, one answer. `strict` is one regular expression for the heads that clients really send and takes a
quarter of the time of h11; it accepts only what h11 accepts, with the same result (a test compares the two).
Whatever it does not know goes through h11.

h11 is lenient where two servers in a row may read one head differently. `flaw` names what the hub refuses of
that; `web.http11` answers it, for requests of every kind.
"""

from __future__ import annotations

import re
from typing import Final

import h11
from attrs import frozen

MAX_HEAD: Final = 16 * 1024
"""Bytes a head may have; h11's own bound under Hypercorn is the same."""

Headers = list[tuple[bytes, bytes]]

_TOKEN: Final = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]"
# A value begins and ends with a visible character, so that a line can be matched in one way only and a head
# that does not match is given up after one pass back. (Possessive quantifiers would say it more plainly; the
# first releases of Python 3.11 match wrongly with them.)
_STRICT: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) ([!-~]+) HTTP/1\.1\r\n"
    rb"((?:" + _TOKEN + rb"+: ?(?:[!-~](?:[ -~]*[!-~])?)?\r\n)+)"
    rb"\r\n"
)
_LINE: Final = re.compile(rb"([^:]+): ?([^\r]*)\r\n")
# What `flaw` lets through: every line ends with CR LF, begins with its name, and holds no control character.
_FIELD: Final = rb"(" + _TOKEN + rb"+):([\t -~\x80-\xff]*)\r\n"
_FIELDS: Final = re.compile(_FIELD)
_SHAPE: Final = re.compile(
    rb"(" + _TOKEN + rb"+) ([!-~]+) HTTP/([0-9]\.[0-9])\r\n((?:" + _FIELD + rb")*)\r\n"
)
_VERSIONS: Final = frozenset((b"1.0", b"1.1"))
_NAME: Final = rb"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"
_HOST: Final = re.compile(rb"(" + _NAME + rb")(?::[0-9]{0,5})?")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)", re.IGNORECASE)
_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_END: Final = re.compile(rb"\n\r?\n")
_ASKS_UPGRADE: Final = re.compile(rb"\nupgrade:", re.IGNORECASE)
_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")

# h11 rewrites or refuses these (several lengths, unknown codings): its business, not the regular
# expression's.
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


@frozen
class Flaw:
    """Why a request is refused before anything of it is understood: the status, and a sentence."""

    status: int
    sentence: str


@frozen
class Head:
    """A parsed request head. Header names are in lower case, in the order sent; `size` is its length in
    bytes."""

    method: bytes
    target: bytes
    http_version: bytes
    headers: Headers
    size: int

    def values(self, name: bytes) -> list[bytes]:
        """Every value sent under `name` (lower case)."""
        return [value for known, value in self.headers if known == name]

    def tokens(self, name: bytes) -> list[bytes]:
        """The comma-separated elements of all headers called `name`, without the empty ones."""
        joined = b",".join(self.values(name))
        return [token for part in joined.split(b",") if (token := part.strip(b" \t"))]


def end_of_head(data: bytes | bytearray, start: int = 0) -> int:
    """Where the head in `data` ends: after its empty line; -1 if it is not whole.

    `start`: how much was looked at before. Data that begin with an empty line, which no request may, end
    there.
    """
    if data[:1] == b"\n" or data[:2] == b"\r\n":
        return data.index(b"\n") + 1
    found = _END.search(data, max(0, start - 2))
    return found.end() if found else -1


def strict(data: bytes) -> Head | None:
    """The head that `data` begins with, if it is of the plain kind and whole; None says nothing about it."""
    match = _STRICT.match(data)
    if match is None:
        return None
    headers = [(name.lower(), value) for name, value in _LINE.findall(match[3])]
    hosts = 0
    for name, _ in headers:
        if name in _FRAMING:
            return None
        hosts += name == b"host"
    if hosts != 1:
        return None
    return Head(match[1], match[2], b"1.1", headers, match.end())


def lenient(data: bytes) -> Head | None:
    """The head that `data` begins with by h11's rules; None if it is not whole, or refused by h11."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    size = len(data) - len(connection.trailing_data[0])
    return Head(event.method, event.target, event.http_version, list(event.headers), size)


def websocket_head(data: bytes) -> Head | None:
    """The head of a request for a WebSocket (RFC 6455, 4.2.1), valid or not; None for every other request.

    `data` holds a whole head. A request that is not HTTP/1.1 GET, or has a `flaw`, is not one for a
    WebSocket.
    """
    head = strict(data)
    if head is None and _ASKS_UPGRADE.search(data) and flaw(data) is None:
        head = lenient(data)
    if head is None or not _asks_for_websocket(head):
        return None
    return head if _flaw_of_names(head.method, head.target, head.values(b"host")) is None else None


def _asks_for_websocket(head: Head) -> bool:
    upgrade = connection = b""
    for name, value in head.headers:
        if name == b"upgrade":
            upgrade += b"," + value.lower()
        elif name == b"connection":
            connection += b"," + value.lower()
    return (
        _lists(upgrade, b"websocket")
        and _lists(connection, b"upgrade")
        and head.method == b"GET"
        and head.http_version == b"1.1"
    )


def _lists(value: bytes, token: bytes) -> bool:
    return token in value and token in [part.strip(b" \t") for part in value.split(b",")]


def flaw(data: bytes) -> Flaw | None:
    """What the whole head that `data` begins with breaks of HTTP/1.1 as the hub wants it; None if nothing."""
    head = strict(data)
    if head is not None:
        return _flaw_of_names(head.method, head.target, head.values(b"host"))
    raw = data[: end_of_head(data)]
    shape = _SHAPE.fullmatch(raw)
    if shape is None:
        return Flaw(400, _complaint(raw))
    version = shape[3]
    if version not in _VERSIONS:
        return Flaw(505, "This hub speaks HTTP/1.1.")
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _FIELDS.findall(shape[4]):
        fields.setdefault(name.lower(), []).append(value)
    hosts = [value.strip(b" \t") for value in fields.get(b"host", ())]
    if not hosts and version == b"1.0":
        return _flaw_of_framing(version, fields)
    return _flaw_of_framing(version, fields) or _flaw_of_names(shape[1], shape[2], hosts)


def _complaint(raw: bytes) -> str:
    """Why `raw` does not have the shape of a head."""
    lines = raw.split(b"\n")[:-1]
    if any(not line.endswith(b"\r") or b"\r" in line[:-1] for line in lines):
        return "Every line of a request's head must end with CR LF."
    if any(line.startswith((b" ", b"\t")) for line in lines[1:]):
        return "A header that goes on in a line of its own is not taken."
    return "This is not the head of an HTTP/1.1 request."


def _flaw_of_framing(version: bytes, fields: dict[bytes, list[bytes]]) -> Flaw | None:
    """Where the body ends must be said once, and in the one way that everybody understands alike."""
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if lengths and codings:
        return Flaw(400, "Content-Length and Transfer-Encoding exclude each other.")
    if len(lengths) > 1 or (lengths and not _DIGITS.fullmatch(lengths[0].strip(b" \t"))):
        return Flaw(400, "Content-Length must be sent once, as a number in digits.")
    if codings and version != b"1.1":
        return Flaw(400, "Transfer-Encoding needs HTTP/1.1.")
    if len(codings) > 1 or (codings and codings[0].removeprefix(b" ").lower() != b"chunked"):
        return Flaw(501, "The one Transfer-Encoding that is taken is chunked, sent once and spelled so.")
    return None


def _flaw_of_names(method: bytes, target: bytes, hosts: list[bytes]) -> Flaw | None:
    """Host is a name with or without a port, and an absolute target is of the same host."""
    host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        return Flaw(400, "Host must be sent once, as a name or an address, with or without a port.")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return None
    authority = _ABSOLUTE.match(target)
    named = _HOST.fullmatch(authority[1]) if authority else None
    if named is None or named[1].lower() != host[1].lower():
        return Flaw(400, "The target must be a path, or an address of the host that Host names.")
    return None


def path_and_query(target: bytes) -> bytes:
    """A target without the scheme and host that it may begin with."""
    authority = _ABSOLUTE.match(target)
    if authority is None:
        return target
    rest = target[authority.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def fault(head: Head) -> tuple[int, str] | None:
    """What is wrong with a request for a WebSocket: the status to refuse it with and a sentence; None if
    nothing."""
    if head.values(b"sec-websocket-version") != [b"13"]:
        return 426, "This server speaks WebSocket version 13."
    keys = head.values(b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        return 400, "Sec-WebSocket-Key must be sent once and be 16 bytes in base64."
    if head.values(b"transfer-encoding") or head.values(b"content-length") not in ([], [b"0"]):
        return 400, "A request for a WebSocket has no body."
    return None
