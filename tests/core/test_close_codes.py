"""The close codes."""

from __future__ import annotations

import pytest

from tasktree_rt.core import close_codes as closing
from tasktree_rt.core.close_codes import Advice

TOLD = {
    1000: Advice.STOP,
    1001: Advice.RECONNECT,
    1002: Advice.STOP,
    1007: Advice.STOP,
    1009: Advice.STOP,
    1011: Advice.RECONNECT,
    1012: Advice.RECONNECT_ADVISED,
    1013: Advice.RECONNECT_ADVISED,
    4001: Advice.GET_TOKEN,
    4002: Advice.GET_TOKEN,
    4003: Advice.GET_TOKEN,
    4004: Advice.STOP,
    4008: Advice.RECONNECT,
    4009: Advice.RELOAD,
    4010: Advice.STOP,
    4029: Advice.STOP,
}


def test_close_codes_are_those_of_the_protocol_each_once_with_its_advice() -> None:
    assert {one.code: one.advice for one in closing.ALL} == TOLD
    assert len(closing.ALL) == len(TOLD)
    assert {one.code: one for one in closing.ALL} == closing.BY_CODE
    named = {value for value in vars(closing).values() if isinstance(value, closing.Closing)}
    assert named == set(closing.ALL)


def test_the_reason_fits_into_a_close_frame_with_room_for_a_position() -> None:
    # 123 bytes (RFC 6455, 5.5), of which ": ", an epoch of up to 64 characters and a seq may follow.
    assert all(len(one.reason.encode()) <= 123 - 2 - 64 - 1 - 18 for one in closing.ALL)


@pytest.mark.parametrize("code", [None, 1006, 1005, 4999, 0])
def test_an_unknown_close_means_reconnect(code: int | None) -> None:
    assert closing.advice(code) is Advice.RECONNECT


@pytest.mark.parametrize(("code", "told"), TOLD.items())
def test_a_known_close_has_its_advice(code: int, told: Advice) -> None:
    assert closing.advice(code) is told
