"""Validators, converters and default values for the fields of the sections.

A validator raises `UnfitSetting`, which names the field, and never shows a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import field

from tasktree_rt.errors import SettingsError

if TYPE_CHECKING:
    from attrs import Attribute

KIB: Final = 1024
MIB: Final = 1024 * KIB
MOST: Final = 2**53
"""The maximum of every count and size. Larger JSON numbers lose digits."""
LONGEST: Final = 1e9
"""The maximum of every time, in seconds (31 years)."""
UNIX: Final = "unix:"
UNIX_PROXY: Final = "unix"
"""The entry of ``trusted_proxies`` for peers at a Unix socket."""
SECRET_BYTES: Final = 32
"""The minimum length of an HS256 key, in bytes (RFC 7518, 3.2)."""

JSON: Final = {"json": True}
"""Metadata of a field whose value is a table or an array of tables: the environment gives it as JSON."""

Validator = Callable[[object, "Attribute[Any]", Any], None]


class UnfitSetting(SettingsError):
    """A setting has an invalid value, or several settings contradict each other.

    Attributes:
        fields: the names of these settings; the first is the one to change. A name is the whole path from
            `Settings` (``delivery.outbox_bytes``) where the path is known, otherwise the field's name.
        reason: the expected and the given value. It never contains a secret.
    """

    def __init__(self, fields: tuple[str, ...], reason: str) -> None:
        self.fields = fields
        self.reason = reason
        super().__init__(f"{fields[0]}: {reason}")


def shown_value(value: object) -> str:
    """Format a setting's value for a message: in TOML's notation, at most 120 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(shown_value, value)) + "]"
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {shown_value(one)}" for name, one in value.items())
        return "{ " + inner + " }" if inner else "{}"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = "".join(char if char.isprintable() else "�" for char in text)
    return text if len(text) <= 120 else text[:119] + "…"


def parse_bind(bind: str) -> tuple[str, int]:
    """Split ``HOST:PORT`` or ``[IPv6]:PORT`` into host and port. With port 0 the system chooses a free port.
    For ``unix:/PATH`` the host is ``unix:`` and the port 0.

    Raises:
        ValueError: `bind` is malformed; the message says how.
    """
    if bind.startswith(UNIX) and len(bind) > len(UNIX) and "\0" not in bind:
        return UNIX, 0
    host, colon, port = bind.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(IPv6Address(host[1:-1]))
    elif ":" in host:
        raise ValueError("expected brackets around the IPv6 address, as in [::1]:8000")
    if not colon or _HOST.fullmatch(host) is None:
        raise ValueError("expected HOST:PORT, as in 127.0.0.1:8000")
    if re.fullmatch("[0-9]{1,5}", port) is None or int(port) > 65_535:
        raise ValueError("expected a port from 0 to 65535 after the last colon")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`, a result of `parse_bind`. ``localhost`` is the only
    name that counts as loopback.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("localhost", UNIX)


# --- validators -----------------------------------------------------------------------------------

_HOST: Final = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:%-]{0,252}")
_AUTHORITY: Final = r"([a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
_SERVER_NAME: Final = re.compile(_AUTHORITY)
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://" + _AUTHORITY)


def require(good: bool, attribute: Attribute[Any], expected: str, value: object) -> None:
    """Raise `UnfitSetting` for the field unless its value is `good`."""
    if not good:
        got = "something else" if not attribute.repr else shown_value(value)
        raise UnfitSetting((attribute.name,), f"expected {expected}, got {got}")


def whole(least: int) -> Validator:
    """Require a whole number from `least` to `MOST`."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST
        require(good, attribute, f"a whole number of at least {least}", value)

    return check


def one_of_numbers(least: int, most: int) -> Validator:
    """Require a whole number from `least` to `most`."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        require(good, attribute, f"a whole number from {least} to {most}", value)

    return check


def number(least: float, *, above: bool = False, most: float = LONGEST) -> Validator:
    """Require a number from `least` to `most`; with `above`, more than `least`."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
        bound = f"above {least:g}" if above else f"of at least {least:g}"
        bound += f" and at most {most:g}" if most < LONGEST else ""
        require(good and not (above and value == least), attribute, f"a number {bound}", value)

    return check


def one_of(*words: str) -> Validator:
    """Require a string of `words`."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        good = isinstance(value, str) and value in words
        require(good, attribute, " or ".join(map(shown_value, words)), value)

    return check


def is_a(kind: type, expected: str) -> Validator:
    """Require a value of exactly this type."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        require(type(value) is kind, attribute, expected, value)

    return check


a_flag: Final = is_a(bool, "true or false")
a_text: Final = is_a(str, "a string")


def a_path(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require the path of a file, or nothing."""
    require(isinstance(value, str) and "\0" not in value, attribute, "the path of a file", value)


def an_address(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require an address to listen on, as `parse_bind` reads it."""
    a_text(_, attribute, value)
    try:
        parse_bind(str(value))
    except ValueError as error:
        raise UnfitSetting((attribute.name,), f"{error}; got {shown_value(value)}") from None


def an_http_url(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require an HTTP URL without query and fragment, or nothing."""
    a_text(_, attribute, value)
    url = urlsplit(str(value))
    good = not value or (
        url.scheme in ("https", "http") and bool(url.hostname) and not (url.query or url.fragment)
    )
    require(good, attribute, '"https://HOST/PATH"', value)


def a_jwk_set(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require an HTTP URL or the path of a file, or nothing."""
    a_text(_, attribute, value)
    scheme, found, rest = str(value).partition("://")
    url = urlsplit(f"//{rest}")
    if found and url.password is not None:
        raise UnfitSetting((attribute.name,), "expected a URL without a password")
    good = "\0" not in str(value) and (not found or (scheme in ("https", "http") and bool(url.hostname)))
    require(good, attribute, '"https://HOST/PATH" or the path of a file', value)


def to_switch(value: Any) -> Any:  # noqa: ANN401 - not validated yet
    """Convert ``true`` and ``false`` to ``on`` and ``off``."""
    return {"true": "on", "false": "off"}.get(str(value).lower(), value)


def a_secret(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require a key of at least `SECRET_BYTES`, or nothing."""
    a_text(_, attribute, value)
    size = len(str(value).encode())
    if 0 < size < SECRET_BYTES:
        raise UnfitSetting((attribute.name,), f"expected at least {SECRET_BYTES} bytes, got {size}")


def each(pattern: re.Pattern[str], expected: str) -> Validator:
    """Require an array of strings that each match `pattern`."""

    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        require(isinstance(value, tuple), attribute, "an array of strings", value)
        for one in value if isinstance(value, tuple) else ():
            good = isinstance(one, str) and pattern.fullmatch(one) is not None
            require(good, attribute, expected, one)

    return check


def proxy_networks(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require an array of networks in CIDR notation, single addresses, and ``unix``."""
    require(isinstance(value, tuple), attribute, "an array of strings", value)
    expected = 'a network, an address or "unix", as in "10.0.0.0/8"'
    for one in value if isinstance(value, tuple) else ():
        require(isinstance(one, str), attribute, expected, one)
        if one != UNIX_PROXY:
            try:
                ip_network(one)
            except ValueError as error:
                raise UnfitSetting((attribute.name,), f"expected {expected}; {error}") from None


def to_lower(value: Any) -> Any:  # noqa: ANN401 - not validated yet
    """Convert host names and origins to lower case, and a list to a tuple."""
    if type(value) not in (list, tuple):
        return value
    return tuple(one.lower() if type(one) is str else one for one in value)


def to_tuple(value: Any) -> Any:  # noqa: ANN401 - not validated yet
    """Convert a list to a tuple."""
    return tuple(value) if type(value) is list else value


def is_origin(text: str) -> bool:
    """Return whether `text` is a valid entry of ``cors_origins``; it must be in lower case."""
    return _ORIGIN.fullmatch(text) is not None


def is_server_name(text: str) -> bool:
    """Return whether `text` is a valid entry of ``server_names``; it must be in lower case."""
    return _SERVER_NAME.fullmatch(text) is not None


def count(default: int, least: int = 1) -> int:
    """Make a field for a whole number of at least `least`."""
    return field(default=default, validator=whole(least))


def level(default: int) -> int:
    """Make a field for a level of compression."""
    return field(default=default, validator=one_of_numbers(1, 9))


def seconds(default: float, *, zero: bool = False, most: float = LONGEST) -> float:
    """Make a field for a time in seconds: above 0, or with `zero` also 0."""
    return field(default=default, validator=number(0, above=not zero, most=most))


def rate(default: float) -> float:
    """Make a field for a number a second; 0 means no limit."""
    return field(default=default, validator=number(0, most=MOST))


host_names: Final = each(_SERVER_NAME, "a host name with or without a port, as in hub.example.org")
page_origins: Final = each(_ORIGIN, "an origin without a path, as in https://board.example.org")
