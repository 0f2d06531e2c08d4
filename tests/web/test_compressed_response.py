"""Compressed responses: who gets them, what they hold, and that a stream's events go out at once."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import h11
import pytest
import trio
import trio.lowlevel
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from tasktree_rt.dialects.deflate import Compressor
from tasktree_rt.settings import Compression
from tasktree_rt.web.compressed_response import chosen
from tasktree_rt.web.gzip_stream import BEGIN, SLICE, GzipStream
from tests.web.realhub import RealHub, auth, node_update, real_hub, token
from tests.web.test_event_stream import stream

STATE = "/api/v1/projects/p/state"
TEXT = "the same few words, " * 100
GZIP = {"Accept-Encoding": "gzip"}
PLAIN = {"Accept-Encoding": "identity"}


def accepted(header: str | None) -> Accept:
    return parse_accept_header(header, Accept)


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP;q=0.1", "gzip"),
        ("*", "gzip"),
        ("*;q=0.5", "gzip"),
        ("br", "identity"),
        ("gzip;q=0", "identity"),
        ("*, gzip;q=0", "identity"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0", None),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0, br", None),
        ("*;q=0", None),
        ("*;q=0, gzip;q=0.2", "gzip"),
        ("*;q=0, identity", "identity"),
    ],
)
def test_the_coding_is_the_one_that_the_client_prefers(header: str | None, coding: str | None) -> None:
    assert chosen(accepted(header)) == coding


pieces = st.lists(
    st.binary(max_size=50)
    | st.builds(lambda word, n: word * n, st.binary(max_size=8), st.integers(0, 30_000)),
    max_size=8,
)


@given(pieces, st.integers(1, 3_000))
def test_a_gzip_stream_holds_what_was_put_in_and_each_piece_can_be_read_at_once(
    said: list[bytes], least: int
) -> None:
    stream, reader = GzipStream(Compressor(1, 4).packed, least), zlib.decompressobj(zlib.MAX_WBITS | 16)
    whole = BEGIN
    reader.decompress(BEGIN)
    for one in said:
        packed = list(stream.piece(one))
        assert len(packed) == -(-len(one) // SLICE)
        assert reader.decompress(b"".join(packed)) == one
        whole += b"".join(packed)
    end = stream.end()
    assert reader.decompress(end) == b""
    assert reader.eof
    assert gzip.decompress(whole + end) == b"".join(said)


def test_the_length_of_a_piece_says_nothing_of_those_before_it() -> None:
    secret, guess = b"password: correct horse battery staple, " * 60, b"password: correct horse, " * 60
    lengths = set()
    for before in (b"", secret, random.Random(1).randbytes(5_000)):
        stream = GzipStream(Compressor(1, 9).packed, 1)
        list(stream.piece(before))
        lengths.add(len(b"".join(stream.piece(guess))))
    assert len(lengths) == 1


@asynccontextmanager
async def filled(nodes: int = 1, **settings: object) -> AsyncIterator[RealHub]:
    async with real_hub(**settings) as hub:  # type: ignore[arg-type]
        for start in range(0, nodes, 500):
            await hub.publish(
                "p", *(node_update(f"n{n}", text=TEXT) for n in range(start, min(nodes, start + 500)))
            )
        yield hub


async def raw(
    hub: RealHub, path: str, headers: dict[str, str], method: str = "GET"
) -> tuple[h11.Response, bytes]:
    """A response as it comes."""
    client, body = h11.Connection(h11.CLIENT), b""
    async with await trio.open_tcp_stream("127.0.0.1", int(hub.url.rpartition(":")[2])) as stream:
        sent = client.send(
            h11.Request(method=method, target=path, headers=[("Host", "localhost"), *headers.items()])
        )
        await stream.send_all((sent or b"") + (client.send(h11.EndOfMessage()) or b""))
        found = None
        with trio.fail_after(30):
            while True:
                event = client.next_event()
                if event is h11.NEED_DATA:
                    client.receive_data(await stream.receive_some())
                elif isinstance(event, h11.Response):
                    found = event
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    assert found is not None
                    return found, body


async def test_a_small_and_a_large_state_come_compressed() -> None:
    for nodes in (1, 300):
        async with filled(nodes) as hub:
            head, packed = await raw(hub, STATE, GZIP)
            headers = dict(head.headers)
            assert headers[b"content-encoding"] == b"gzip"
            assert b"Accept-Encoding" in headers[b"vary"]
            plain_head, plain = await raw(hub, STATE, PLAIN)
            assert b"content-encoding" not in dict(plain_head.headers)
            assert b"Accept-Encoding" in dict(plain_head.headers)[b"vary"]
            assert gzip.decompress(packed) == plain
            assert len(packed) < len(plain) / 5
            if nodes == 1:
                assert int(headers[b"content-length"]) == len(packed)


async def test_what_is_small_or_not_wanted_stays_plain() -> None:
    async with filled() as hub, hub.http() as http:
        for path, headers in (("/healthz", GZIP), (STATE, {"Accept-Encoding": "br"}), (STATE, PLAIN)):
            answer = await http.get(path, headers=headers)
            assert "Content-Encoding" not in answer.headers
            assert "Accept-Encoding" in answer.headers["Vary"]
        forced = await http.get("/healthz", headers={"Accept-Encoding": "gzip, identity;q=0"})
        assert forced.headers["Content-Encoding"] == "gzip"
        assert forced.json() == {"status": "healthy"}
        refused = await http.get(STATE, headers={"Accept-Encoding": "identity;q=0"})
        assert refused.status_code == 406
        assert "gzip" in refused.json()["detail"]
    async with filled(compression=Compression(http=False)) as hub, hub.http() as http:
        answer = await http.get(STATE, headers=GZIP)
        assert "Content-Encoding" not in answer.headers


async def test_a_page_keeps_its_tag_as_a_weak_one() -> None:
    async with real_hub() as hub, hub.http() as http:
        plain = await http.get("/docs", headers=PLAIN)
        packed = await http.get("/docs", headers=GZIP)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["ETag"] == f"W/{plain.headers['ETag']}"
        assert packed.text == plain.text
        known = await http.get("/docs", headers={**GZIP, "If-None-Match": packed.headers["ETag"]})
        assert (known.status_code, known.content) == (304, b"")
        assert known.headers["ETag"] == packed.headers["ETag"]
        assert "Content-Encoding" not in known.headers


async def test_a_head_request_gets_no_body() -> None:
    for nodes in (1, 300):
        async with filled(nodes) as hub:
            head, body = await raw(hub, STATE, GZIP, "HEAD")
            assert (head.status_code, body) == (200, b"")


async def test_an_answer_with_a_token_or_a_key_is_never_compressed() -> None:
    """The routes that answer with one; another must use `reply_secret` too."""
    tight = Compression(min_size=1)
    async with real_hub(auth=auth(), compression=tight) as hub, hub.http() as http:
        await hub.publish("p", node_update("a"))
        mine = {"Authorization": f"Bearer {token(admin=True, watch=['*'], push=['*'])}", **GZIP}
        made = await http.post(
            "/api/v1/admin/keys", headers=mine, json={"name": "ci", "grants": {"watch": ["*"]}}
        )
        shared = await http.post("/api/v1/projects/p/tokens", headers=mine, json={})
        for answer, field in ((made, "key"), (shared, "token")):
            assert answer.status_code == 201, answer.text
            assert len(answer.json()[field]) > 20
            assert "Content-Encoding" not in answer.headers
            assert answer.headers["Cache-Control"] == "no-store"
        listed = await http.get("/api/v1/admin/keys", headers=mine)
        assert listed.headers["Content-Encoding"] == "gzip"
        assert made.json()["key"] not in listed.text


async def test_each_event_of_a_stream_goes_out_at_once_and_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with filled(compression=Compression(min_size=300)) as hub, AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(stream(hub, headers=GZIP)) for _ in range(2)]
        for reader in (one, two):
            assert reader.headers["content-encoding"] == "gzip"
            assert (await reader.data())[1]["type"] == "subscribed"
            assert (await reader.data())[1]["type"] == "project_state"
        sizes: list[int] = []
        monkeypatch.setattr(hub.hub.compressor, "_count", lambda before, _: sizes.append(before))
        for number in range(3):
            await hub.publish("p", node_update(f"m{number}", text=TEXT if number else "short"))
            for reader in (one, two):
                assert (await reader.data())[1]["data"]["node_id"] == f"m{number}"
        assert len(sizes) == 2, "the short one is stored; the others are compressed once for both"


async def test_a_large_state_is_compressed_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tasks get their turns while 3 MB are compressed, and no slice is larger than 64 KiB."""
    sizes: list[int] = []
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with filled(1_500) as hub:
        real = hub.hub.compressor.packed

        def packed(data: bytes) -> bytes:
            sizes.append(turns)
            assert len(data) <= SLICE
            return real(data)

        monkeypatch.setattr(hub.hub.compressor, "packed", packed)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            _, body = await raw(hub, STATE, GZIP)
            nursery.cancel_scope.cancel()
        assert len(json.loads(gzip.decompress(body))["data"]["nodes"]) == 1_500
        assert len(sizes) > 40
        gaps = [after - before for before, after in pairwise(sizes)]
        assert sum(gap > 0 for gap in gaps) > len(gaps) / 2


async def test_a_body_that_no_reader_takes_to_its_end_is_given_back() -> None:
    async with filled(1_500) as hub:
        answers = hub.app.extensions["large_answers"]
        async with await trio.open_tcp_stream("127.0.0.1", int(hub.url.rpartition(":")[2])) as stream:
            head = f"GET {STATE} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"
            await stream.send_all(head.encode())
            await stream.receive_some(10)
            assert len(answers) == 1
        with trio.fail_after(30):
            while len(answers):
                await trio.lowlevel.checkpoint()
