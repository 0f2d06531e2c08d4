"""Attacks on the HTTP parser and on paths."""

from __future__ import annotations

import gzip

from tests.attacks.arena import MESSAGE, SECRET
from tests.attacks.attacker import NATIVE, OWN, Attacker
from tests.attacks.table import attack

KIND = "http"
BEHIND = f"DELETE /api/v1/projects/{OWN} HTTP/1.1\r\nHost: HOST\r\n\r\n"
"""The request that is smuggled."""


def publish(fields: str, body: str = "0\r\n\r\n" + BEHIND) -> bytes:
    """A publish whose length is told in an odd way, with another request behind it."""
    return f"POST /api/v1/projects/{OWN}/events HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n\r\n{body}".encode()


def get(target: str = "/healthz", fields: str = "Host: HOST\r\n", version: str = "HTTP/1.1") -> bytes:
    """A request without a body."""
    return f"GET {target} {version}\r\n{fields}\r\n".encode("latin-1")


def alone(attacker: Attacker, data: bytes, status: int, *words: str) -> None:
    """The answer is this refusal, and the last of its connection: nothing behind it is read."""
    one = attacker.socket()
    one.send(data.replace(b"HOST", attacker.host.encode()))
    one.whole_answer().refused(status, *words)
    assert one.ended() == b""


# --- smuggling --------------------------------------------------------------------------------------


@attack(
    KIND, "`Content-Length` and `Transfer-Encoding` in one request (CL.TE, TE.CL)", "400; the connection ends"
)
def test_both_lengths(attacker: Attacker) -> None:
    alone(attacker, publish("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400, "exclude each other")
    alone(attacker, publish("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400, "exclude each other")


@attack(KIND, "two `Content-Length`, also alike, or a list", "400; the connection ends")
def test_two_lengths(attacker: Attacker) -> None:
    for fields in ("Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nContent-Length: 5"):
        alone(attacker, publish(fields), 400, "sent once")
    alone(attacker, publish("Content-Length: 5, 5"), 400, "sent once")


@attack(KIND, "a `Content-Length` with a sign, in hex, or beyond all numbers", "400; the connection ends")
def test_an_odd_length(attacker: Attacker) -> None:
    for length in ("+5", "-5", "0x5", "5 5", "", "9" * 40, "\u00b2"):
        alone(attacker, publish(f"Content-Length: {length}").replace("²".encode(), b"\xb2"), 400, "digits")


@attack(KIND, "a `Transfer-Encoding` that another server may not see (TE.TE)", "501; the connection ends")
def test_a_hidden_coding(attacker: Attacker) -> None:
    for coding in (
        "xchunked",
        "chunked, identity",
        "identity, chunked",
        " chunked ",
        '"chunked"',
        "\tchunked",
    ):
        alone(attacker, publish(f"Transfer-Encoding:{coding}"), 501, "chunked")
    alone(attacker, publish("Transfer-Encoding: chunked\r\nTransfer-Encoding: x"), 501, "chunked")


@attack(KIND, "`Transfer-Encoding` with HTTP/1.0", "400; the connection ends")
def test_a_coding_in_http_1_0(attacker: Attacker) -> None:
    alone(
        attacker, publish("Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1), 400, "HTTP/1.1"
    )


@attack(KIND, "a space before the colon of a header", "400; the connection ends")
def test_a_space_before_the_colon(attacker: Attacker) -> None:
    alone(attacker, publish("Transfer-Encoding : chunked"), 400)
    alone(attacker, publish("Content-Length : 5"), 400)


@attack(KIND, "a header that continues on the next line (obs-fold)", "400; the connection ends")
def test_a_folded_header(attacker: Attacker) -> None:
    alone(attacker, publish("X: a\r\n Transfer-Encoding: chunked"), 400, "next line")
    alone(attacker, publish("X: a\r\n\tb"), 400, "next line")


@attack(KIND, "lines that end with LF or CR alone", "400; the connection ends")
def test_bare_line_ends(attacker: Attacker) -> None:
    alone(attacker, get().replace(b"\r\n", b"\n"), 400, "CR LF")
    alone(attacker, publish("X: a\rTransfer-Encoding: chunked"), 400, "CR LF")
    alone(attacker, publish("X: a\nContent-Length: 5"), 400, "CR LF")


@attack(KIND, "a chunked body with another end, or with trailer fields", "400; the connection ends")
def test_another_end_of_chunks(attacker: Attacker) -> None:
    for body in ("0\n\n", "0\r\n\n", "0\r\nX: y\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n"):
        alone(attacker, publish("Transfer-Encoding: chunked", body + BEHIND), 400)


@attack(KIND, "a chunk whose size is no number, negative, or beyond all memory", "400; the connection ends")
def test_an_odd_chunk(attacker: Attacker) -> None:
    for size in ("x", "-1", "0x5", "+5", "f" * 21, " 5"):
        alone(attacker, publish("Transfer-Encoding: chunked", f"{size}\r\nhello\r\n0\r\n\r\n"), 400)
    one = attacker.socket()
    one.send(
        publish("Transfer-Encoding: chunked", "7fffffffffffffff\r\n").replace(b"HOST", attacker.host.encode())
    )
    one.send(b"x" * 1000)  # the hub waits for no memory, and for no longer than a body may take
    attacker.later(4.0)
    assert one.whole_answer().status in (401, 408)


@attack(KIND, "chunk extensions and chunks of one byte without end", "400 after 32 KiB of framing")
def test_a_flood_of_chunk_framing(attacker: Attacker) -> None:
    for chunk in ("1;" + "x" * 500 + "\r\ny\r\n", "1\r\ny\r\n"):
        one = attacker.socket()
        head = publish("Transfer-Encoding: chunked\r\nAuthorization: Bearer TOKEN", "")
        one.send(head.replace(b"HOST", attacker.host.encode()).replace(b"TOKEN", attacker.token.encode()))
        one.send(chunk.encode() * (60_000 // (len(chunk) - 1)))
        one.whole_answer().refused(400, "chunks")


@attack(
    KIND,
    "a second request hidden in the body of the first",
    "it is read as the body; 400 or 401 for the first",
)
def test_a_request_in_a_body(attacker: Attacker) -> None:
    hidden = BEHIND.replace("HOST", attacker.host)
    one = attacker.socket()
    answer = attacker.http("POST", f"/api/v1/projects/{OWN}/events", body=hidden.encode(), on=one)
    answer.refused(400, code="invalid_json")
    assert attacker.http("GET", "/healthz", on=one).status == 200  # the next answer is the next request's


# --- heads ------------------------------------------------------------------------------------------


@attack(KIND, "a URL as target with another host than `Host`, or two hosts", "400; the connection ends")
def test_two_hosts(attacker: Attacker) -> None:
    alone(attacker, get("http://evil.example/healthz"), 400, "Host")
    alone(attacker, get(fields="Host: HOST\r\nHost: evil.example\r\n"), 400, "Host")
    alone(attacker, get(fields="Host: HOST, evil.example\r\n"), 400, "Host")
    alone(attacker, get(fields="Host: evil@HOST\r\n"), 400, "Host")
    alone(attacker, get("ftp://HOST/healthz"), 400, "target")


@attack(KIND, "no `Host` in HTTP/1.1", "400; the connection ends")
def test_no_host(attacker: Attacker) -> None:
    alone(attacker, get(fields="X: y\r\n"), 400, "Host")


@attack(
    KIND,
    "a head of more than 16 KiB: a long target, a long header, a thousand headers",
    "431, or 400 beyond the number",
)
def test_a_large_head(attacker: Attacker) -> None:
    alone(attacker, get("/" + "a" * 20_000), 431, "16 KiB")
    alone(attacker, get(fields="Host: HOST\r\nX: " + "a" * 20_000 + "\r\n"), 431, "16 KiB")
    alone(attacker, get(fields="Host: HOST\r\n" + "X: y\r\n" * 4_000), 431, "16 KiB")


@attack(KIND, "a control character or NUL in a header, a target or a method", "400; the connection ends")
def test_control_characters(attacker: Attacker) -> None:
    alone(attacker, get(fields="Host: HOST\r\nX: a\x00b\r\n"), 400)
    alone(attacker, get(fields="Host: HOST\r\nX: a\x1bb\r\n"), 400)
    alone(attacker, get("/health\x00z"), 400)
    alone(attacker, get("/health z"), 400)
    alone(attacker, get().replace(b"GET", b"G\x00T"), 400)


@attack(
    KIND,
    "HTTP/0.9, HTTP/3.0, the preface of HTTP/2, TLS, or no HTTP at all",
    "400 or 505; the connection ends",
)
def test_another_protocol(attacker: Attacker) -> None:
    alone(attacker, b"GET /healthz\r\n\r\n", 400)
    alone(attacker, get(version="HTTP/3.0"), 505)
    alone(attacker, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
    alone(attacker, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400)
    alone(attacker, b"*1\r\n$4\r\nPING\r\n\r\n", 400)


@attack(KIND, "an upgrade to HTTP/2 without TLS (`h2c`)", "the upgrade is ignored")
def test_h2c(attacker: Attacker) -> None:
    fields = (
        "Host: HOST\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"
    )
    answer = attacker.raw(get(fields=fields))
    assert (answer.status, answer.text) == (200, '{"status":"healthy"}')


# --- slow -------------------------------------------------------------------------------------------


@attack(KIND, "a head that never ends (slowloris)", "408 after `limits.handshake_timeout`")
def test_a_slow_head(attacker: Attacker) -> None:
    slow = [attacker.socket() for _ in range(20)]
    for one in slow:
        one.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    attacker.arena.deliver()
    attacker.later()
    for one in slow:
        assert one.whole_answer().status == 408
        assert one.ended() == b""


@attack(KIND, "a body that never ends", "408 after three times `limits.handshake_timeout`")
def test_a_slow_body(attacker: Attacker) -> None:
    slow = [attacker.socket() for _ in range(20)]
    for one in slow:
        head = f"Content-Length: 1000\r\nAuthorization: Bearer {attacker.token}"
        one.send(publish(head, "[").replace(b"HOST", attacker.host.encode()))
    attacker.arena.deliver()
    attacker.later(4.0)
    for one in slow:
        assert one.whole_answer().status == 408


@attack(KIND, "connections that say nothing", "closed after `limits.handshake_timeout`")
def test_silence(attacker: Attacker) -> None:
    silent = [attacker.socket() for _ in range(50)]
    attacker.arena.deliver()
    attacker.later()
    assert [one.ended() for one in silent] == [b""] * 50


@attack(
    KIND,
    "requests without end on one connection, whose answers are not read (pipelining)",
    "read only as fast as answers are taken; aborted after `delivery.stall_timeout`",
)
def test_pipelining(attacker: Attacker) -> None:
    one = attacker.socket(receive_buffer=4096)
    asked = get("/docs/reducer.json").replace(b"HOST", attacker.host.encode())
    with attacker.flooding(one, asked * 100):
        attacker.later()
    attacker.outlasted()


@attack(KIND, "a body larger than the limit, announced or chunked", "413 before it is stored")
def test_a_large_body(attacker: Attacker) -> None:
    one = attacker.socket()
    head = f"Content-Length: {MESSAGE + 1}\r\nAuthorization: Bearer {attacker.token}"
    one.send(publish(head, "").replace(b"HOST", attacker.host.encode()))
    one.whole_answer().refused(413, code="too_large")
    other = attacker.socket()
    head = f"Transfer-Encoding: chunked\r\nAuthorization: Bearer {attacker.token}"
    other.send(publish(head, "").replace(b"HOST", attacker.host.encode()))
    other.send((b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 4)
    other.whole_answer().refused(413, code="too_large")


@attack(
    KIND,
    "a zip bomb: a small gzip body that inflates to a thousand times as much",
    "413; at most the limit is inflated",
)
def test_a_zip_bomb(attacker: Attacker) -> None:
    bomb = gzip.compress(b"[" + b" " * 30_000_000)
    assert len(bomb) < MESSAGE
    answer = attacker.http("POST", f"/api/v1/projects/{OWN}/events", [("Content-Encoding", "gzip")], bomb)
    answer.refused(413, "inflated", code="too_large")


@attack(KIND, "a gzip body within a gzip body, cut short, or with more behind it", "400 or 415")
def test_an_odd_gzip(attacker: Attacker) -> None:
    whole = gzip.compress(b"[]")
    path, coding = f"/api/v1/projects/{OWN}/events", [("Content-Encoding", "gzip")]
    for body in (gzip.compress(whole), whole[:-4], whole + whole, b"no gzip"):
        attacker.http("POST", path, coding, body).refused(400)
    attacker.http("POST", path, [("Content-Encoding", "gzip, gzip")], whole).refused(415, "gzip")


# --- methods and paths ------------------------------------------------------------------------------


@attack(
    KIND,
    "a method override by header or query, and methods that there are not",
    "the method of the request line holds; 405",
)
def test_method_override(attacker: Attacker) -> None:
    path = f"/api/v1/projects/{SECRET}"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert attacker.http("GET", path, [(name, "DELETE")]).status in (404, 405)
    assert attacker.http("POST", f"{path}?_method=DELETE").status in (404, 405)
    for method in ("TRACE", "CONNECT", "PROPFIND", "get"):
        assert attacker.http(method, path).status in (400, 404, 405)


@attack(
    KIND,
    "path traversal in files and documents: `..`, `%2e%2e`, `%5c`, `//`, an absolute path",
    "404; nothing outside is read",
)
def test_path_traversal(attacker: Attacker) -> None:
    for way in ("../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/settings/auth.py"):
        for folder in ("/static/", "/assets/", "/docs/", "/"):
            answer = attacker.http("GET", folder + way, token="")
            assert answer.status in (401, 404), (folder, way, answer)
            assert b"root:" not in answer.body
    for path in (
        "/static/..%5c..%5cauth.py",
        "/static//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "//etc/passwd",
    ):
        assert attacker.http("GET", path, token="").status in (308, 401, 404), path


@attack(
    KIND,
    "NUL and encoded slashes in a path, double encoding, bytes that are no UTF-8",
    "400 or 404; never another project",
)
def test_odd_bytes_in_a_path(attacker: Attacker) -> None:
    for name in (
        "mallory-1%00",
        "%00",
        "mallory-1%0d%0aX: y",
        "%ff%fe",
        "mallory-1%252f..",
        "mallory-1%2f..%2fsecret-1",
    ):
        answer = attacker.http("GET", f"/api/v1/projects/{name}/state")
        assert answer.status in (400, 403, 404), (name, answer)
        assert "hidden" not in answer.text


@attack(
    KIND,
    "line breaks in ids, keys and queries that an answer repeats (header injection)",
    "400; no header of the attacker's in any answer",
)
def test_header_injection(attacker: Attacker) -> None:
    breaks = "%0d%0aSet-Cookie:%20a=b"
    for path in (
        f"/api/v1/projects/mallory-1{breaks}/state",
        f"/{breaks}",
        f"/static/{breaks}",
        f"/p/{breaks}",
        f"/api/v1/projects/mallory-1/events?since={breaks}",
        f"/api/v1/projects?after={breaks}",
        f"//evil.example{breaks}",
    ):
        answer = attacker.http("GET", path)
        assert "set-cookie" not in answer.headers, path
    for path in (f"/ws/updates?project_id={breaks}", f"/ws/orchestrator?producer_id={breaks}"):
        assert "set-cookie" not in attacker.handshake(path, []).headers


@attack(
    KIND,
    "an open redirect: `//evil.example`, `/\\evil.example`, `/p//evil.example/`",
    "no redirect to another host",
)
def test_open_redirect(attacker: Attacker) -> None:
    for path in (
        "//evil.example",
        "//evil.example/",
        "/%5cevil.example",
        "/p//evil.example/..",
        "/static//evil.example",
    ):
        answer = attacker.http("GET", path, token="")
        where = answer.headers.get("location", "")
        assert not where or where.startswith(("/", f"http://{attacker.host}/")), (path, where)
        assert not where.startswith("//"), (path, where)


@attack(
    KIND,
    "a forged address: `Remote-Addr`, `X-Forwarded-For`, `Forwarded`, `X-Real-IP`",
    "ignored, unless a trusted proxy sends it",
)
def test_forged_address(attacker: Attacker) -> None:
    forged = [(name, "10.9.8.7") for name in ("Remote-Addr", "X-Forwarded-For", "X-Real-IP")]
    attacker.watcher(headers=[NATIVE, *forged, ("Forwarded", "for=10.9.8.7")])
    seen = {found.address for found in attacker.arena.real.hub.connections.values()}
    assert seen == {"127.0.0.1", "127.0.0.66"}
