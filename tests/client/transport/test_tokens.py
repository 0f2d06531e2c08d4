"""A client's token: where it comes from, when its function is asked again, and where it never shows."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tasktree_rt.client.transport.errors import NoToken
from tasktree_rt.client.transport.tokens import (
    PATIENCE,
    ThreadTokens,
    TokenSource,
    TokenStore,
    TrioTokens,
    not_async,
    without_token,
)


def store(*given: str) -> TokenStore:
    """A store with a function, which gave these."""
    found = TokenStore(lambda: "")
    for one in given:
        found.take(one, None)
    return found


async def test_a_text_is_the_token_for_ever() -> None:
    tokens = TrioTokens(" t \n")
    assert (await tokens.get(), await tokens.other_than("t")) == ("t", "t")
    assert not tokens.store.refused("t")


@pytest.mark.parametrize("source", [None, ""])
async def test_without_a_token_there_is_none(source: TokenSource) -> None:
    assert await TrioTokens(source).get() is None
    assert ThreadTokens(source).get() is None


def test_a_token_that_a_header_cannot_carry_is_refused_and_not_repeated() -> None:
    for wrong in ("secret\nX-Other: 1", "secret\0", "secret two", "sécret"):
        with pytest.raises(ValueError, match="token: expected a string of visible ASCII") as caught:
            TrioTokens(wrong)
        assert wrong not in str(caught.value)


async def test_the_function_is_asked_once_for_all_who_wait() -> None:
    asked: list[str] = []

    async def ask() -> str:
        asked.append("t")
        await trio.testing.wait_all_tasks_blocked()
        return f"t{len(asked)}"

    tokens, found = TrioTokens(ask), []

    async def get() -> None:
        found.append(await tokens.other_than("t0"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(get)
    assert (found, asked) == (["t1"] * 5, ["t"])


async def test_a_function_that_blocks_holds_nothing_up() -> None:
    thread = await trio.to_thread.run_sync(lambda: "t")
    assert thread == await TrioTokens(lambda: "t").get()


@pytest.mark.parametrize("given", [None, 5, b"t", "", "two words"])
async def test_what_is_no_token_is_said_so_without_it(given: object) -> None:
    with pytest.raises(NoToken, match="no token: expected a string"):
        await TrioTokens(lambda: given).get()  # type: ignore[arg-type, return-value]
    with pytest.raises(NoToken, match="no token: expected a string"):
        ThreadTokens(lambda: given).get()  # type: ignore[arg-type, return-value]


async def test_a_function_that_fails_is_named_by_its_kind_of_error_only() -> None:
    def fail() -> str:
        raise RuntimeError("the old token was hunter2")

    async def fail_too() -> str:
        return fail()

    for source in (fail, fail_too):
        with pytest.raises(NoToken) as with_trio:
            await TrioTokens(source).get()
        with pytest.raises(NoToken) as in_a_thread:
            ThreadTokens(source).get()
        for caught in (with_trio.value, in_a_thread.value):
            assert str(caught) == "no token: the function failed: RuntimeError"
            assert not caught.final


async def test_a_function_that_never_returns_is_left_after_a_time(autojump_clock: MockClock) -> None:
    with pytest.raises(NoToken, match="within 30 s"):
        await TrioTokens(trio.sleep_forever).get()
    assert trio.current_time() >= PATIENCE


async def test_a_program_without_trio_may_give_an_async_function() -> None:
    async def ask() -> str:
        import asyncio

        await asyncio.sleep(0)
        return "t"

    assert ThreadTokens(ask).get() == "t"
    assert not_async(ask)() == "t"
    assert not_async(lambda: "u")() == "u"


def test_the_hub_must_not_be_asked_twice_with_a_token_that_it_refused() -> None:
    found = store("t1")
    assert found.refused("t1")
    assert found.lacks(None)
    with pytest.raises(NoToken, match="that the hub refused") as caught:
        found.take("t1", None)
    assert caught.value.final
    found.take("t2", None)
    assert not found.refused("t2")  # a new one too


def test_after_a_good_token_the_function_may_be_late_with_the_next() -> None:
    found = store("t1")
    found.accepted("t1")
    assert found.refused("t1")
    with pytest.raises(NoToken) as caught:
        found.take("t1", None)
    assert not caught.value.final


def test_good_tokens_reset_the_count_of_refused_ones() -> None:
    found = store("t1")
    for number in range(2, 10):
        assert found.refused(f"t{number - 1}")
        found.take(f"t{number}", None)
        found.accepted(f"t{number}")


def test_a_token_that_another_part_has_replaced_counts_for_nothing() -> None:
    found = store("t1", "t2")
    assert all(found.refused("t1") for _ in range(5))
    assert found.known == "t2"


@pytest.mark.parametrize(
    ("url", "source", "expected"),
    [
        ("http://h:1/x?a=1", "t", ("http://h:1/x?a=1", "t")),
        ("http://h:1/x?a=1&token=u", None, ("http://h:1/x?a=1", "u")),
        ("ws://h/ws/updates?token=u", "t", ("ws://h/ws/updates", "t")),
        ("ws://h?token=u&token=v&b=%20", None, ("ws://h?b=+", "u")),
    ],
)
def test_a_token_in_an_address_is_taken_out_of_it(
    url: str, source: TokenSource, expected: tuple[str, TokenSource]
) -> None:
    assert without_token(url, source) == expected
