"""The headers in which proxies tell the addresses of their clients."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final

from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.proxies import TrustedProxies

FORWARDED_WORDS: Final = (
    *(
        b"for=",
        b"For=",
        b"by=",
        b"proto=https",
        b";",
        b",",
        b", ",
        b'"',
        b"\\",
        b"[",
        b"]",
        b":",
        b"=",
        b"_x",
    ),
    *(b"10.0.0.1", b"203.0.113.9", b"2001:db8::5", b"::ffff:10.0.0.2", b":443", b"unknown", b"%eth0", b"\t"),
    *(b"\xff", b"0" * 40, b"1.2.3.4.5", b"256.1.1.1", b"\n"),
)
_PROXY: Final = ("10.0.0.1", 1)
_NETWORK: Final = "10.0.0.0/8"
_ADDED: Final = {"x-forwarded-for": b"203.0.113.9", "forwarded": b'proto=https;for="203.0.113.9"'}
_READERS: Final = {
    name: TrustedProxies(Settings(trusted_proxies=(_NETWORK,), proxy_header=name)) for name in _ADDED
}


def run_forwarded(data: bytes) -> None:
    """Any header gives a sound address, and none changes the one that a trusted proxy appends. Each line of
    the input is a header line."""
    lines = data.split(b"\n")
    for name, proxies in _READERS.items():
        headers = [(name.encode(), line) for line in lines]
        found = proxies.client(_PROXY, headers)
        assert found is not None
        assert str(ip_address(found[0])) == found[0]
        added = _ADDED[name]
        assert proxies.client(_PROXY, [*headers, (name.encode(), added)]) == ("203.0.113.9", 0)
        whole = b", ".join((*lines, added, b"for=10.0.0.7" if name == "forwarded" else b"10.0.0.7"))
        assert proxies.client(_PROXY, [(name.encode(), whole)]) == ("203.0.113.9", 0)
        stranger = ("198.51.100.1", 1)
        assert ip_address(stranger[0]) not in ip_network(_NETWORK)
        assert proxies.client(stranger, headers) is stranger
