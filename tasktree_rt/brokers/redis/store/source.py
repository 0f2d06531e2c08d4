"""Where the store's Redis listens: at one address, or where its Sentinels say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

from attrs import evolve, frozen

from tasktree_rt.brokers.redis.connection import EXPECTED, Address, Patience, connect, read_address, reason
from tasktree_rt.errors import StoreUnavailable

SENTINEL = "redis+sentinel"


class Source(Protocol):
    """Finds the Redis to write to."""

    async def find(self, patience: Patience) -> Address:
        """Return its address now.

        Raises:
            StoreUnavailable: no address is known now.
        """


@frozen
class Fixed:
    """A Redis that is always at the same address."""

    address: Address

    def __str__(self) -> str:
        return str(self.address)

    async def find(self, patience: Patience) -> Address:
        """Return the address."""
        return self.address


@frozen
class Sentinels:
    """A Redis whose Sentinels know which server is the master of `service` now."""

    addresses: Sequence[Address]
    service: str
    database: int

    def __str__(self) -> str:
        return f"{','.join(map(str, self.addresses))}/{self.service}"

    async def find(self, patience: Patience) -> Address:
        """Ask one Sentinel after the other."""
        why = "no Sentinel"
        for one in self.addresses:
            try:
                connection = await connect(evolve(one, username="", password=""), patience)
                try:
                    (answer,) = await connection.exchange(
                        [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)], patience.connect
                    )
                finally:
                    await connection.aclose()
            except EXPECTED as error:
                why = f"Sentinel {one}: {reason(error)}"
                continue
            if isinstance(answer, list):
                host, port = answer
                return evolve(one.at(host.decode(), int(port)), database=self.database)
            why = f"Sentinel {one} knows no service {self.service!r}"
        raise StoreUnavailable(why)


def read_source(url: str, password: str = "") -> Fixed | Sentinels:
    """Read a store's URL: ``redis://``, ``rediss://``, ``unix://``, or
    ``redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB``.

    Raises:
        ValueError: the URL has another form.
    """
    parts = urlsplit(url)
    if parts.scheme != SENTINEL:
        return Fixed(read_address(url, password))
    login, _, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if not hosts or not service or not (database or "0").isdecimal():
        raise ValueError("expected redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB")
    before = f"{login}@" if login else ""
    named = [one if ":" in one else f"{one}:26379" for one in hosts.split(",")]
    addresses = [read_address(f"redis://{before}{one}/0", password) for one in named]
    return Sentinels(addresses, service, int(database or 0))
