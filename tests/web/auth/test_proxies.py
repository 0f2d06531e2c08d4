"""A client's address is the one that a trusted proxy tells; nothing that the client writes changes it."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tasktree_rt.settings import Settings, UnfitSetting
from tasktree_rt.web.auth.proxies import HOPS, TrustedProxies
from tests.web.realhub import real_hub
from tests.web.serving import Started
from tests.wsclient import WsClient, request_head

PROXY = ("10.0.0.1", 40_000)
TRUSTED = ("10.0.0.0/8", "192.168.7.7", "fd00::/8", "unix")


def proxies(header: str = "x-forwarded-for", trusted: tuple[str, ...] = TRUSTED) -> TrustedProxies:
    return TrustedProxies(Settings(trusted_proxies=trusted, proxy_header=header))


def seen(found: TrustedProxies, *values: str, header: str = "x-forwarded-for") -> str:
    """The client of a request from `PROXY`."""
    client = found.client(PROXY, [(header.encode(), value.encode("latin-1")) for value in values])
    assert client is not None
    return client[0]


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:51000"], "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),  # the left one is the client's own
        (["garbage, 6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 10.2.3.4"], "203.0.113.9"),  # two proxies
        (["203.0.113.9,10.2.3.4 , 192.168.7.7"], "203.0.113.9"),
        (["203.0.113.9", "10.2.3.4"], "203.0.113.9"),  # the header sent twice
        (["10.2.3.4, 10.2.3.5"], "10.2.3.4"),  # a client within the trusted network
        (["2001:db8::5"], "2001:db8::5"),
        (["[2001:db8::5]:443"], "2001:db8::5"),
        (["[2001:DB8:0::5]"], "2001:db8::5"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["fd00::1, 203.0.113.9, fd00::2"], "203.0.113.9"),
        (["203.0.113.9, ::ffff:10.2.3.4"], "203.0.113.9"),
        # What is malformed before an untrusted address counts as absent: the proxy is the client.
        (["203.0.113.9, unknown"], PROXY[0]),
        (["203.0.113.9, "], PROXY[0]),
        (["203.0.113.9, 10.2.3"], PROXY[0]),
        (["203.0.113.9, 010.2.3.4"], PROXY[0]),
        (["203.0.113.9, 10.2.3.4.5"], PROXY[0]),
        (["fe80::1%eth0"], PROXY[0]),
        (["203.0.113.9, <script>"], PROXY[0]),
        ([", ".join(["203.0.113.9", *["10.2.3.4"] * (HOPS + 1)])], PROXY[0]),
        (["x" * 9_000], PROXY[0]),
        (["203.0.113.9, \xff"], PROXY[0]),
        ([], PROXY[0]),
        ([""], PROXY[0]),
    ],
)
def test_the_rightmost_untrusted_hop_of_x_forwarded_for_is_the_client(values: list[str], client: str) -> None:
    assert seen(proxies(), *values) == client


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["for=203.0.113.9"], "203.0.113.9"),
        (["For=203.0.113.9;proto=https;by=10.0.0.1"], "203.0.113.9"),
        (['for="203.0.113.9:4711"'], "203.0.113.9"),
        (['for="[2001:db8::5]:443" ; proto=https'], "2001:db8::5"),
        (["for=6.6.6.6, for=203.0.113.9;host=a"], "203.0.113.9"),
        (["for=203.0.113.9, for=10.2.3.4;proto=http"], "203.0.113.9"),
        (["for=203.0.113.9", 'for="10.2.3.4"'], "203.0.113.9"),
        (['for="6.6.6.6, for=203.0.113.9'], "203.0.113.9"),  # a client's open quote hides nothing
        (['x="a, b\\", c";for=203.0.113.9'], "203.0.113.9"),  # commas within quotes
        (['for="2\\03.0.113.9"'], "203.0.113.9"),
        (["for=unknown"], PROXY[0]),
        (["for=_hidden"], PROXY[0]),
        (["for=203.0.113.9;for=6.6.6.6"], PROXY[0]),
        (["proto=https"], PROXY[0]),
        (["for=203.0.113.9,"], PROXY[0]),
        (['for="203.0.113.9'], PROXY[0]),
        (["for 203.0.113.9"], PROXY[0]),
        (["203.0.113.9"], PROXY[0]),
        (["," * 3_000], PROXY[0]),
        (['for=",,,,,,,,,,,,"'], PROXY[0]),
    ],
)
def test_the_rightmost_untrusted_hop_of_forwarded_is_the_client(values: list[str], client: str) -> None:
    assert seen(proxies("forwarded"), *values, header="forwarded") == client


def test_only_the_header_that_the_setting_names_is_read() -> None:
    both = [(b"forwarded", b"for=6.6.6.6"), (b"x-forwarded-for", b"203.0.113.9")]
    assert proxies("x-forwarded-for").client(PROXY, both) == ("203.0.113.9", 0)
    assert proxies("forwarded").client(PROXY, both) == ("6.6.6.6", 0)


def test_a_peer_that_is_not_trusted_is_the_client_and_its_header_is_told_once() -> None:
    peer, headers = ("198.51.100.1", 5), [(b"x-forwarded-for", b"203.0.113.9")]
    for trusted in (TRUSTED, ()):
        found = proxies(trusted=trusted)
        with capture_logs() as lines:
            assert [found.client(peer, headers) for _ in range(3)] == [peer] * 3
        assert len(lines) == 1
        assert 'trusted_proxies = ["198.51.100.1"]' in lines[0]["remedy"]


def test_peers_at_a_unix_socket_are_trusted_by_name() -> None:
    headers = [(b"x-forwarded-for", b"203.0.113.9")]
    assert proxies().client(None, headers) == ("203.0.113.9", 0)
    assert proxies(trusted=("10.0.0.0/8",)).client(None, headers) is None


@given(
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=200),
    st.sampled_from(["x-forwarded-for", "forwarded"]),
    st.ip_addresses(),
)
def test_whatever_a_client_sends_the_address_that_the_proxy_adds_counts(
    sent: str, header: str, client: object
) -> None:
    """The proxy appends to what the client sent, as nginx and Caddy do."""
    node = f"[{client}]" if ":" in str(client) else str(client)
    added = f'for="{node}"' if header == "forwarded" else str(client)
    found = proxies(header, trusted=("10.0.0.1",))
    expected = found.client(PROXY, [(header.encode(), added.encode())])
    assert found.client(PROXY, [(header.encode(), f"{sent}, {added}".encode("latin-1"))]) == expected
    both = [(header.encode(), sent.encode("latin-1")), (header.encode(), added.encode())]
    assert found.client(PROXY, both) == expected


@pytest.mark.parametrize("bad", ["10.0.0.1/8", "nginx", "10.0.0.0/33", "", "unix:"])
def test_a_setting_that_is_no_network_is_refused_by_name(bad: str) -> None:
    with pytest.raises(UnfitSetting, match="trusted_proxies: expected a network"):
        Settings(trusted_proxies=(bad,))


# --- on real sockets ------------------------------------------------------------------------------


async def test_a_forwarded_address_is_shown_wherever_an_address_is(
    structlog_records: list[dict[str, str]],
) -> None:
    async with real_hub(trusted_proxies=("127.0.0.1",)) as running:
        headers = {"X-Forwarded-For": "203.0.113.9"}
        socket = await WsClient.dial(int(running.url.rpartition(":")[2]))
        host = running.url.removeprefix("http://")
        await socket.raw(request_head("/ws/updates", headers.items(), host=host))
        assert (await socket.answer()).status == 101
        async with running.http() as http:
            found = (await http.get("/api/v1/connections", headers=headers)).json()["connections"]
        await socket.stream.aclose()
    assert [one["address"] for one in found] == ["203.0.113.9"]
    assert {one["address"] for one in structlog_records if one["event"] == "opened"} == {"203.0.113.9"}


async def test_without_trust_a_forwarded_address_is_no_address() -> None:
    async with real_hub() as running:
        socket = await WsClient.dial(int(running.url.rpartition(":")[2]))
        headers = [("X-Forwarded-For", "203.0.113.9"), ("Remote-Addr", "203.0.113.9")]
        host = running.url.removeprefix("http://")
        await socket.raw(request_head("/ws/updates", headers, host=host))
        assert (await socket.answer()).status == 101
        async with running.http() as http:
            found = (await http.get("/api/v1/connections")).json()["connections"]
        await socket.stream.aclose()
    assert [one["address"] for one in found] == ["127.0.0.1"]


async def test_connections_of_a_trusted_proxy_are_not_counted_as_one_address(started: Started) -> None:
    served = await started(limits={"max_connections_per_address": 1}, trusted_proxies=("127.0.0.0/8",))
    for _ in range(3):
        await WsClient.open(served.port)
    await trio.testing.wait_all_tasks_blocked()
    assert len(served.hub.sessions) == 3
