"""Parse the head of an HTTP request: does the hub accept it, and does it ask for a WebSocket?

Two parsers give the same result. `strict` is one regular expression for the heads of common clients; it takes
a quarter of h11's time and accepts only heads that h11 accepts (a test compares the two). All other heads go
through h11.

h11 accepts some heads that two servers in a row may read differently. `flaw` finds these; `web.server.http11`
answers the error for every kind of request.
"""

from __future__ import annotations

import re
from typing import Final

import h11
from attrs import frozen

MAX_HEAD: Final = 16 * 1024
"""Maximum bytes of a head; h11's bound under Hypercorn is the same."""
TOO_LONG: Final = "The head of a request may have at most 16 KiB."
"""The body of the 431."""

Headers = list[tuple[bytes, bytes]]

_TOKEN: Final = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]"
# A value begins and ends with a visible character: each line matches in one way only, so a head without a
# match fails after one backtracking pass. (Possessive quantifiers would be simpler, but the first releases of
# Python 3.11 match wrongly with them.)
_STRICT: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) ([!-~]+) HTTP/1\.1\r\n"
    rb"((?:" + _TOKEN + rb"+: ?(?:[!-~](?:[ -~]*[!-~])?)?\r\n)+)"
    rb"\r\n"
)
_LINE: Final = re.compile(rb"([^:]+): ?([^\r]*)\r\n")
# A head that `flaw` accepts: every line ends with CR LF, begins with a name, and has no control character.
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

# h11 rewrites or refuses these (several lengths, unknown codings), so `strict` accepts none of them.
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


@frozen
class Flaw:
    """The reason to refuse a request before it is parsed: the response's status and its body, a sentence."""

    status: int
    sentence: str


@frozen
class Head:
    """A parsed request head.

    Attributes:
        headers: names in lower case and values, in the order sent.
        size: the head's length in bytes.
    """

    method: bytes
    target: bytes
    http_version: bytes
    headers: Headers
    size: int

    def values(self, name: bytes) -> list[bytes]:
        """Return every value of the header `name` (lower case)."""
        return [value for known, value in self.headers if known == name]

    def tokens(self, name: bytes) -> list[bytes]:
        """Return the comma-separated elements of all headers `name`, without the empty ones."""
        joined = b",".join(self.values(name))
        return [token for part in joined.split(b",") if (token := part.strip(b" \t"))]


def end_of_head(data: bytes | bytearray, start: int = 0) -> int:
    """Return the end of the head in `data`, after its empty line; -1 if the head is not whole.

    `start`: the length that an earlier call searched. If `data` begin with an empty line, which is invalid,
    the head ends there.
    """
    if data[:1] == b"\n" or data[:2] == b"\r\n":
        return data.index(b"\n") + 1
    found = _END.search(data, max(0, start - 2))
    return found.end() if found else -1


def strict(data: bytes) -> Head | None:
    """Parse the head at the start of `data` if it is whole and common. None: try `lenient`."""
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
    """Parse the head at the start of `data` with h11; None if it is not whole, or h11 refuses it."""
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
    """Parse the head of a request for a WebSocket (RFC 6455, 4.2.1), valid or not; None for other requests.

    `data` holds a whole head. Only an HTTP/1.1 GET without a `flaw` counts as a request for a WebSocket.
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
    """Return the first rule of HTTP/1.1 that the whole head at the start of `data` breaks; None if none."""
    head = strict(data)
    if head is not None:
        return _flaw_of_names(head.method, head.target, head.values(b"host"))
    raw = data[: end_of_head(data)]
    shape = _SHAPE.fullmatch(raw)
    if shape is None:
        return Flaw(400, _complaint(raw))
    version = shape[3]
    if version not in _VERSIONS:
        return Flaw(505, "This hub supports HTTP/1.1.")
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _FIELDS.findall(shape[4]):
        fields.setdefault(name.lower(), []).append(value)
    hosts = [value.strip(b" \t") for value in fields.get(b"host", ())]
    if not hosts and version == b"1.0":
        return _flaw_of_framing(version, fields)
    return _flaw_of_framing(version, fields) or _flaw_of_names(shape[1], shape[2], hosts)


def _complaint(raw: bytes) -> str:
    """Return the sentence for `raw`, which is no valid head."""
    lines = raw.split(b"\n")[:-1]
    if any(not line.endswith(b"\r") or b"\r" in line[:-1] for line in lines):
        return "Every line of a request's head must end with CR LF."
    if any(line.startswith((b" ", b"\t")) for line in lines[1:]):
        return "A header must not continue on the next line."
    return "This is not the head of an HTTP/1.1 request."


def _flaw_of_framing(version: bytes, fields: dict[bytes, list[bytes]]) -> Flaw | None:
    """Check that the body's end is declared once, in a way that all servers read alike."""
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if lengths and codings:
        return Flaw(400, "Content-Length and Transfer-Encoding exclude each other.")
    if len(lengths) > 1 or (lengths and not _DIGITS.fullmatch(lengths[0].strip(b" \t"))):
        return Flaw(400, "Content-Length must be sent once, as a number in digits.")
    if codings and version != b"1.1":
        return Flaw(400, "Transfer-Encoding needs HTTP/1.1.")
    if len(codings) > 1 or (codings and codings[0].removeprefix(b" ").lower() != b"chunked"):
        return Flaw(501, "Transfer-Encoding must be chunked, sent once and spelled so.")
    return None


def _flaw_of_names(method: bytes, target: bytes, hosts: list[bytes]) -> Flaw | None:
    """Check that Host is a name with or without a port, and that an absolute target has the same host."""
    host = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        return Flaw(400, "Host must be sent once, as a name or an address, with or without a port.")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return None
    authority = _ABSOLUTE.match(target)
    named = _HOST.fullmatch(authority[1]) if authority else None
    if named is None or named[1].lower() != host[1].lower():
        return Flaw(400, "The target must be a path, or a URL of the host in Host.")
    return None


def path_and_query(target: bytes) -> bytes:
    """Return a target without its scheme and host, if it has them."""
    authority = _ABSOLUTE.match(target)
    if authority is None:
        return target
    rest = target[authority.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def fault(head: Head) -> tuple[int, str] | None:
    """Check a request for a WebSocket; return the response's status and body to refuse it, None if it is
    valid.
    """
    if head.values(b"sec-websocket-version") != [b"13"]:
        return 426, "This server supports WebSocket version 13."
    keys = head.values(b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        return 400, "Sec-WebSocket-Key must be sent once and be 16 bytes in base64."
    if head.values(b"transfer-encoding") or head.values(b"content-length") not in ([], [b"0"]):
        return 400, "A request for a WebSocket has no body."
    return None
