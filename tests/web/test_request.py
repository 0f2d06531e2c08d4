"""Bodies of requests: gzip with a bound, other codings refused in words, and byte order marks."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from tasktree_rt.dialects.base import decode_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.web import inflating
from tasktree_rt.web.inflating import CHUNK
from tasktree_rt.web.request import inflated
from tests.web.realhub import RealHub, node_update, real_hub

P = "/api/v1/projects/p/events"
EVENT = json.dumps(node_update("n", title="x" * 1000)).encode()
MIB = 1 << 20


async def post(
    hub: RealHub, content: bytes | AsyncIterator[bytes], path: str = P, **headers: str
) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with hub.http() as http:
        return await http.post(path, content=content, headers={"Content-Type": "application/json", **given})


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "X-Gzip"])
async def test_a_gzip_body_is_read_as_what_it_stands_for(coding: str) -> None:
    async with real_hub() as hub:
        packed = gzip.compress(EVENT)
        assert len(packed) < len(EVENT) / 5
        answer = await post(hub, packed, Content_Encoding=coding)
        assert answer.status_code == 200, answer.text

        async def in_chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(packed), 50):
                yield packed[at : at + 50]

        assert (await post(hub, in_chunks(), Content_Encoding=coding)).status_code == 200
        assert (await post(hub, EVENT, Content_Encoding="identity")).status_code == 200
        lines = gzip.compress(EVENT + b"\n" + EVENT + b"\n")
        answer = await post(hub, lines, Content_Encoding=coding, Content_Type="application/x-ndjson")
        assert len(answer.json()["positions"]) == 2
        assert len(hub.hub.cache.get("p").tree) == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "coding", ["br", "deflate", "zstd", "compress", "gzip, gzip", "identity, gzip", "gzip;q=1"]
)
@pytest.mark.parametrize("path", [P, "/api/v1/broadcast", "/api/v1/prompts", "/api/v1/projects/p/snapshots"])
async def test_another_coding_is_refused_in_words(coding: str, path: str) -> None:
    async with real_hub() as hub:
        answer = await post(hub, EVENT, path, Content_Encoding=coding)
        assert answer.status_code == 415
        assert answer.headers["Accept-Encoding"] == "gzip"
        assert answer.json()["code"] == "invalid_message"
        assert coding in answer.json()["detail"]
        assert "gzip" in answer.json()["detail"].replace(coding, "")
        assert not hub.hub.cache.get("p")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (EVENT, "is not valid gzip"),
        (b"", "end too early"),
        (gzip.compress(EVENT)[:-1], "end too early"),
        (gzip.compress(EVENT)[:20], "end too early"),
        (gzip.compress(EVENT)[:-6] + b"xxxxxx", "is not valid gzip"),
        (gzip.compress(EVENT) + b"x", "unexpected bytes"),
        (gzip.compress(b"[") + gzip.compress(b"]"), "unexpected bytes"),
        (zlib.compress(EVENT), "is not valid gzip"),
        (gzip.compress(b"{"), "expected JSON"),
        (gzip.compress(b""), "expected JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_body_that_is_not_the_gzip_that_it_says_is_refused_in_words(body: bytes, said: str) -> None:
    async with real_hub() as hub:
        answer = await post(hub, body, Content_Encoding="gzip")
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["detail"]


async def test_what_comes_out_of_gzip_is_bounded_while_it_is_inflated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pieces = 0

    async def counted() -> None:
        nonlocal pieces
        pieces += 1

    monkeypatch.setattr(inflating, "yield_if_due", counted)
    async with real_hub() as hub:
        bomb = gzip.compress(bytes(500 * MIB), 9)
        assert len(bomb) < MIB
        answer = await post(hub, bomb, Content_Encoding="gzip")
        assert answer.status_code == 413
        assert answer.json()["code"] == "too_large"
        assert str(MIB) in answer.json()["detail"]
        assert pieces <= MIB // CHUNK + 1


async def test_the_bound_is_that_of_a_body_which_is_not_packed() -> None:
    assert await inflated(gzip.compress(bytes(MIB)), MIB) == bytes(MIB)
    with pytest.raises(InvalidInput, match=f"at most {MIB} bytes"):
        await inflated(gzip.compress(bytes(MIB + 1)), MIB)


async def test_others_have_their_turns_while_a_body_is_inflated() -> None:
    packed, turns, done = gzip.compress(bytes(20 * MIB)), 0, trio.Event()

    async def others() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await inflated(packed, 20 * MIB)
        done.set()
    assert turns > 20


async def test_a_page_of_a_listed_origin_may_send_gzip() -> None:
    origin = "https://board.example.org"
    async with real_hub(cors_origins=[origin]) as hub, hub.http() as http:
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = await http.options(P, headers=asks)
        assert "Content-Encoding" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("coding", "said"),
    [
        ("utf-8-sig", "byte order mark (U+FEFF)"),
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
async def test_a_byte_order_mark_is_told_as_what_it_is(coding: str, said: str, kind: str) -> None:
    async with real_hub() as hub:
        answer = await post(hub, EVENT.decode().encode(coding), Content_Type=kind)
        assert answer.status_code == 400
        assert (answer.json()["code"], said in answer.json()["detail"]) == ("invalid_json", True), answer.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\ufeff{}", "byte order mark"),
        (b"\xfe\xff\0{\0}", "UTF-16"),
        (b"\0\0\xfe\xff\0\0\0{", "UTF-32"),
        (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
    ],
)
def test_a_message_with_a_byte_order_mark_is_told_so(text: str | bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        decode_json(text)


def test_what_only_holds_such_a_mark_is_as_it_was() -> None:
    assert decode_json('{"a": "\ufeff"}') == {"a": "\ufeff"}
    with pytest.raises(InvalidInput) as caught:
        decode_json("\udcff{")
    assert "mark" not in str(caught.value)
