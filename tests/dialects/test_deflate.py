from __future__ import annotations

import json
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core import messages
from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position
from tasktree_rt.core.protocol import (
    Broadcast,
    Ephemeral,
    Failure,
    Instruction,
    Message,
    Personal,
    Reply,
    StatePart,
)
from tasktree_rt.dialects import deflate
from tasktree_rt.dialects.base import Encoding, join, text_frame
from tasktree_rt.dialects.deflate import COMPRESSED, MOST, Compressor, Deflated, plain_of, wire_name
from tasktree_rt.dialects.tasktree import Native, Plain
from tests.hub.transport import read_frame

LONG = b"a word and another word, " * 100


def payloads(data: bytes) -> list[bytes]:
    """The payloads of joined frames, each inflated by itself."""
    found = []
    while data:
        frame = read_frame(data, deflate=True)
        assert frame is not None
        found.append(frame[1])
        data = data[frame[2] :]
    return found


texts = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda word, times: word * times, st.binary(min_size=1, max_size=9), st.integers(1, 400)),
    st.integers(100, 5_000).map(os.urandom),
)


@given(st.lists(texts, max_size=12), st.integers(1, 3_000), st.integers(1, 9))
def test_every_message_reads_the_same_whichever_others_were_read(
    said: list[bytes], least: int, level: int
) -> None:
    compressor, plain = Compressor(least, level), join(map(text_frame, said))
    packed = compressor.frames(plain)
    assert len(packed.ends) == len(plain.ends)
    begin = before = 0
    for text, end, plain_end in zip(said, packed.ends, plain.ends, strict=True):
        frame = packed.data[begin:end]
        assert payloads(frame) == [text], "it needs none of those before it"
        assert len(frame) <= plain_end - before, "it is never larger"
        if len(text) < least:
            assert frame == text_frame(text)
        assert compressor.frame(text_frame(text)) in (frame, text_frame(text))
        begin, before = end, plain_end
    assert begin == len(packed.data)


def test_what_is_small_or_gains_nothing_stays_the_same_object() -> None:
    compressor = Compressor(1_000, 6)
    for one in (join([]), join([text_frame(b"x" * 999)]), join([text_frame(os.urandom(2_000))] * 3)):
        assert compressor.frames(one) is one
    assert compressor.frame(b"\x89\x00") == b"\x89\x00"
    close = b"\x88\x7e" + (2_000).to_bytes(2, "big") + bytes(2_000)
    assert compressor.frame(close) is close, "a control frame is never compressed"


def test_equal_messages_are_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[int, int]] = []
    compressor = Compressor(1, 6, lambda before, after: counted.append((before, after)))
    first, second = text_frame(LONG), text_frame(LONG + b"!")
    for _ in range(3):
        compressor.frames(join([first, second]))
        compressor.frame(bytes(bytearray(first)))
    assert [before for before, _ in counted] == [len(LONG), len(LONG) + 1]
    assert all(after < before / 10 for before, after in counted)
    monkeypatch.setattr(deflate, "REMEMBERED", 2)
    compressor.frame(text_frame(LONG + b"?"))
    compressor.frame(first)
    assert len(counted) == 3
    compressor.frame(second)
    assert len(counted) == 4


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "REMEMBERED_BYTES", 20_000)
    compressor = Compressor(1, 1)
    for number in range(100):
        compressor.frame(text_frame(LONG + str(number).encode()))
    assert sum(len(a) + len(b) for a, b in compressor._known.items()) == compressor._known_bytes <= 20_000
    compressor.frame(text_frame(os.urandom(50_000)))
    assert len(compressor._known) == 1


def test_one_step_compresses_so_much_and_no_more() -> None:
    compressor = Compressor(1, 1)
    large = text_frame(b"x" * (MOST + 1))
    assert compressor.frame(large) is large
    third = MOST // 3
    packed = compressor.frames(join(text_frame(bytes([65 + n]) * third) for n in range(5)))
    sizes = [end - begin for begin, end in zip((0, *packed.ends), packed.ends, strict=False)]
    assert [size < third for size in sizes] == [True, True, True, False, False] or sizes[2] > third
    assert payloads(packed.data) == [bytes([65 + n]) * third for n in range(5)]


def test_a_window_of_twelve_bits_is_enough_to_read() -> None:
    data = b"".join(b"%d," % (n * n) for n in range(9_000))
    frame = Compressor(1, 9).frame(text_frame(data))
    assert frame[0] == 0xC1
    body = frame[4:] if frame[1] == 126 else frame[10:]
    assert zlib.decompressobj(-12).decompress(body + b"\x00\x00\xff\xff") == data


def test_only_what_watchers_see_is_compressed() -> None:
    """A message with a token or a key is of none of these kinds: they are those of projects."""
    compressor = Compressor(1, 6)
    native = compressor.of(Native())
    text = LONG.decode()
    place = Position("e", 1)
    for message in (
        Broadcast("x", {"text": text}, "now"),
        StatePart("p", place, "initial", 1, 1, {"status": text}, ()),
    ):
        data = native.encode(message)
        assert data is not None
        assert data[0] == 0xC1
        assert payloads(data) == payloads(native.plain.encode(message) or b"")
    plain: tuple[Message, ...] = (
        Personal({"t": text}),
        Instruction("p", {"t": text}),
        Failure("c", text),
        Reply(text),
    )
    for one in plain:
        assert native.encode(one) == native.plain.encode(one)
    kinds = {kind.__name__ for kind in COMPRESSED}
    assert kinds == {
        "StatePart",
        "Conflated",
        "Broadcast",
        "Ephemeral",
        "ExecutionStatus",
        "NodeStatus",
        "LogLine",
    }
    assert not kinds & {"Welcome", "Reply", "Personal", "Instruction", "TokenExpiring", "Failure", "Acked"}
    assert messages.Ephemeral is Ephemeral


def test_a_compressed_language_says_what_the_language_says() -> None:
    compressor, plain = Compressor(1, 6), Plain()
    packed = compressor.of(plain)
    assert compressor.of(plain) is packed is compressor.of(packed)
    assert packed.name == plain.name
    assert wire_name(packed) != wire_name(plain) == plain.name
    assert plain_of(packed) is plain is plain_of(plain)
    body = json.dumps({"type": "x", "data": {"t": LONG.decode()}}).encode()
    records = [Record(n, "x", None, 0, body) for n in (1, 2, 3)]
    encoding = packed.encode_events(records, "e")
    assert payloads(encoding.data) == payloads(plain.encode_events(records, "e").data)
    assert isinstance(packed, Deflated)
    assert isinstance(encoding, Encoding)
    assert len(encoding.data) < len(plain.encode_events(records, "e").data) / 5
    assert packed.decode("anything") is None
