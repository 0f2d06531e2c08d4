"""Find the client behind trusted proxies: ``X-Forwarded-For``, or ``Forwarded`` (RFC 7239).

Each proxy adds the address of its peer at the right. So the hub reads from the right and takes the first
address that is no trusted proxy's; what stands left of it came from the client, which can write anything.
The hub reads one of the two headers only (setting ``proxy_header``): a proxy passes the other one on as the
client sent it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from structlog import get_logger

from tasktree_rt.settings import UNIX_PROXY, Settings

log = get_logger(__name__)

Address = tuple[str, int]
Headers = list[tuple[bytes, bytes]]
_Ip = IPv4Address | IPv6Address

HEADERS: Final = frozenset((b"forwarded", b"x-forwarded-for"))
LAST: Final = 2_048
"""Bytes at the right end of the header that the hub reads."""
HOPS: Final = 32
"""Maximum number of proxies between the hub and a client."""
_CUTS: Final = 8
"""Commas that the hub tries as the beginning of one element of ``Forwarded``."""
_PAIR: Final = r"""([A-Za-z0-9!#$%&'*+.^_`|~-]+)=([A-Za-z0-9!#$%&'*+.^_`|~:-]+|"(?:[^"\\]|\\.)*")"""
_PAIRS: Final = re.compile(_PAIR)
_ELEMENT: Final = re.compile(_PAIR + r"(?:[ \t]?;[ \t]?" + _PAIR + r")*")
_NODE: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")


class TrustedProxies:
    """Tell the addresses of clients from those of trusted proxies; see the module's docstring."""

    def __init__(self, settings: Settings) -> None:
        names = settings.trusted_proxies
        self._unix = UNIX_PROXY in names
        self._networks = tuple(ip_network(one) for one in names if one != UNIX_PROXY)
        self._header = settings.proxy_header.encode()
        self._hops = _forwarded_for if settings.proxy_header == "forwarded" else _x_forwarded_for
        self._warned = False
        self._warned_malformed = False

    def trusts(self, peer: Address | None) -> bool:
        """Return whether a connection's peer is a trusted proxy; None is a peer at a Unix socket."""
        if peer is None:
            return self._unix
        return bool(self._networks) and self._contains(_ip(peer[0]))

    def client(self, peer: Address | None, headers: Headers) -> Address | None:
        """Return the client of a request: `peer`, or the address that trusted proxies forward.

        A header that is malformed before an untrusted address counts as absent: the client is the proxy.
        `headers` have names in lower case. The port of a forwarded client is 0.
        """
        if not self.trusts(peer):
            if not self._warned:
                self._look_for_unknown_proxy(peer, headers)
            return peer
        value = b",".join(value for name, value in headers if name == self._header)
        if not value:
            return peer
        found: _Ip | None = None
        if len(value) > LAST:
            value = value[-LAST:].partition(b",")[2]
        for count, found in enumerate(self._hops(value.decode("latin-1"))):
            if found is None or not self._contains(found):
                break
            if count >= HOPS:
                found = None
                break
        if found is None:
            self._tell_malformed(peer)
            return peer
        return str(found), 0

    def _contains(self, found: _Ip | None) -> bool:
        return found is not None and any(_within(found, network) for network in self._networks)

    def _look_for_unknown_proxy(self, peer: Address | None, headers: Headers) -> None:
        """Warn once of a forwarded header from a peer that is no trusted proxy."""
        for name, _ in headers:
            if name in HEADERS:
                self._warned = True
                named = UNIX_PROXY if peer is None else peer[0]
                log.warning(
                    "forwarded address ignored",
                    peer=named,
                    header=name.decode(),
                    remedy=f'if this peer is your proxy, set trusted_proxies = ["{named}"]; until then all '
                    "its clients count as one address",
                )
                return

    def _tell_malformed(self, peer: Address | None) -> None:
        if not self._warned_malformed:
            self._warned_malformed = True
            log.warning(
                "forwarded address malformed",
                peer=UNIX_PROXY if peer is None else peer[0],
                header=self._header.decode(),
                remedy="let the proxy set this header (proxy_header); until then its own address counts",
            )


def _within(found: _Ip, network: IPv4Network | IPv6Network) -> bool:
    return found.version == network.version and found in network


def _ip(text: str) -> _Ip | None:
    """Parse an address; one of IPv4 in IPv6 becomes that of IPv4. None if it is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _node(text: str) -> _Ip | None:
    """Parse an address with or without a port, or an IPv6 address with or without brackets."""
    match = _NODE.fullmatch(text)
    return _ip(next(one for one in match.groups() if one)) if match else None


def _x_forwarded_for(value: str) -> Iterator[_Ip | None]:
    """Yield the addresses of ``X-Forwarded-For`` from the right; None for what is none."""
    return (_node(hop.strip(" \t")) for hop in reversed(value.split(",")))


def _forwarded_for(value: str) -> Iterator[_Ip | None]:
    """Yield the addresses (``for``) of ``Forwarded`` from the right; None for what is none, then nothing.

    The elements are found from the right, so that an open quote that a client sent hides none of them.
    """
    end = len(value)
    while end >= 0:
        start = end
        for _ in range(_CUTS):
            start = value.rfind(",", 0, start) if start > 0 else -1
            element = value[start + 1 : end].strip(" \t")
            if _ELEMENT.fullmatch(element):
                break
            if start < 0:
                yield None
                return
        else:
            yield None
            return
        found = _for(_PAIRS.findall(element))
        yield found
        if found is None:
            return
        end = start


def _for(pairs: Iterable[tuple[str, str]]) -> _Ip | None:
    nodes = [value for name, value in pairs if name.lower() == "for"]
    if len(nodes) != 1:
        return None
    node = nodes[0]
    return _node(re.sub(r"\\(.)", r"\1", node[1:-1]) if node.startswith('"') else node)
