from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.web.server.extension_offers import MalformedOffer, negotiated

AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
BOUND = f"{AGREED}; server_max_window_bits=12"


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", AGREED),
        ("permessage-deflate; client_max_window_bits", AGREED),  # Chromium, Firefox, ws
        ("permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", BOUND),  # websockets
        ("permessage-deflate; server_max_window_bits=15; client_max_window_bits=15", BOUND),  # wsproto
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", AGREED),  # gorilla
        ("permessage-deflate;client_max_window_bits=8", AGREED),
        ('permessage-deflate; server_max_window_bits="13"', BOUND),
        ('permessage-deflate ; client_max_window_bits = "10"', AGREED),
        # The hub's window is of 12 bits: it cannot promise less.
        ("permessage-deflate; server_max_window_bits=11", None),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=11, permessage-deflate", AGREED),
        (
            "permessage-deflate; server_max_window_bits=10, permessage-deflate; server_max_window_bits=12",
            BOUND,
        ),
        # Values that are none.
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=012", None),
        ("permessage-deflate; server_max_window_bits=+12", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; client_max_window_bits=1e1", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover=true", None),
        # Twice, unknown.
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=15", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("permessage-deflate; x", None),
        ("permessage-deflate; x=1, permessage-deflate; client_max_window_bits", AGREED),
        # Other extensions.
        ("permessage-bzip2", None),
        ("x-webkit-deflate-frame, permessage-deflate", AGREED),
        ("Permessage-Deflate", None),
        (", permessage-deflate,,", AGREED),
    ],
)
def test_the_first_offer_that_the_hub_can_meet_is_agreed_to(offer: str, answer: str | None) -> None:
    assert negotiated([offer.encode()]) == answer


def test_offers_may_come_in_several_headers() -> None:
    assert (
        negotiated([b"foo; bar", b"permessage-deflate; server_max_window_bits=9", b"permessage-deflate"])
        == AGREED
    )
    assert negotiated([]) is None


@pytest.mark.parametrize(
    "header",
    [
        "permessage-deflate; a=",
        "permessage-deflate; =1",
        'permessage-deflate; client_max_window_bits="1',
        'permessage-deflate; client_max_window_bits="1 2"',
        "permessage-deflate client_max_window_bits",
        "permessage-deflate;",
        "(permessage-deflate)",
        "permessage-deflate; client_max_window_bits\xe9",
        "",
        " ",
    ],
)
def test_a_header_outside_the_grammar_is_malformed(header: str) -> None:
    with pytest.raises(MalformedOffer):
        negotiated([header.encode("latin-1")])


words = st.sampled_from(
    [
        "permessage-deflate",
        ";",
        ",",
        "=",
        " ",
        '"',
        "12",
        "9",
        "server_max_window_bits",
        "client_max_window_bits",
        "x",
        "\t",
        "\\",
        "server_no_context_takeover",
        "client_no_context_takeover",
    ]
)


@given(st.lists(words | st.text('abc;=,"\\ \xff', max_size=3), max_size=12))
def test_every_header_gets_one_of_four_answers(parts: list[str]) -> None:
    with suppress(MalformedOffer):
        assert negotiated(["".join(parts).encode("latin-1")]) in (None, AGREED, BOUND)
