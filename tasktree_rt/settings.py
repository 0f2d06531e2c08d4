"""Every setting with its default, unit and bounds; frozen, and valid once made.

Making any of these classes checks every field and then what must hold between fields; a value that
cannot be used raises `UnfitSetting`, which names the field. Where values come from (file, environment,
flags) is `tasktree_rt.cli.settings_sources`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import Factory, field, frozen

from tasktree_rt.core.limits import MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE
from tasktree_rt.errors import SettingsError

if TYPE_CHECKING:
    from attrs import Attribute

KIB: Final = 1024
MIB: Final = 1024 * KIB
MOST: Final = 2**53
"""No count or size may be larger; beyond it JSON numbers lose digits."""
LONGEST: Final = 1e9
"""No time may be longer, in seconds (31 years)."""
UNIX: Final = "unix:"
SECRET_BYTES: Final = 32
"""The least length of an HS256 key (RFC 7518, 3.2)."""

Validator = Callable[[object, "Attribute[Any]", Any], None]


class UnfitSetting(SettingsError):
    """A value, or several together, that cannot be used.

    Attributes:
        fields: the settings concerned, the one to change first; dotted from `Settings` where that is
            known (``delivery.outbox_bytes``), else the bare name.
        reason: what is expected and what was given; never a secret.
    """

    def __init__(self, fields: tuple[str, ...], reason: str) -> None:
        self.fields = fields
        self.reason = reason
        super().__init__(f"{fields[0]}: {reason}")


def shown_value(value: object) -> str:
    """A setting's value as it may stand in a message: as TOML writes it, and short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(shown_value, value)) + "]"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = "".join(char if char.isprintable() else "�" for char in text)
    return text if len(text) <= 120 else text[:119] + "…"


def parse_bind(bind: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT`` or ``[IPv6]:PORT``; port 0 lets the system choose one. Of
    ``unix:/PATH`` the host is ``unix:``.

    Raises:
        ValueError: with what is wrong.
    """
    if bind.startswith(UNIX) and len(bind) > len(UNIX) and "\0" not in bind:
        return UNIX, 0
    host, colon, port = bind.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = str(IPv6Address(host[1:-1]))
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets, as in [::1]:8000")
    if not colon or _HOST.fullmatch(host) is None:
        raise ValueError("expected HOST:PORT, as in 127.0.0.1:8000")
    if re.fullmatch("[0-9]{1,5}", port) is None or int(port) > 65_535:
        raise ValueError("expected a port from 0 to 65535 after the last colon")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host of `parse_bind`. Of names only ``localhost`` is believed."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("localhost", UNIX)


# --- validators -----------------------------------------------------------------------------------

_HOST: Final = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:%-]{0,252}")
_AUTHORITY: Final = r"([a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
_SERVER_NAME: Final = re.compile(_AUTHORITY)
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://" + _AUTHORITY)


def _require(good: bool, attribute: Attribute[Any], expected: str, value: object) -> None:
    if not good:
        got = "something else" if not attribute.repr else shown_value(value)
        raise UnfitSetting((attribute.name,), f"expected {expected}, got {got}")


def _whole(least: int) -> Validator:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST
        _require(good, attribute, f"a whole number of at least {least}", value)

    return check


def _number(least: float, *, above: bool = False, most: float = LONGEST) -> Validator:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
        bound = f"above {least:g}" if above else f"of at least {least:g}"
        bound += f" and at most {most:g}" if most < LONGEST else ""
        _require(good and not (above and value == least), attribute, f"a number {bound}", value)

    return check


def _one_of(*words: str) -> Validator:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        good = isinstance(value, str) and value in words
        _require(good, attribute, " or ".join(map(shown_value, words)), value)

    return check


def _is(kind: type, expected: str) -> Validator:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        _require(type(value) is kind, attribute, expected, value)

    return check


_flag: Final = _is(bool, "true or false")
_text: Final = _is(str, "a string")


def _bind(_: object, attribute: Attribute[Any], value: object) -> None:
    _text(_, attribute, value)
    try:
        parse_bind(str(value))
    except ValueError as error:
        raise UnfitSetting((attribute.name,), f"{error}; got {shown_value(value)}") from None


def _store(_: object, attribute: Attribute[Any], value: object) -> None:
    known = isinstance(value, str) and re.fullmatch(r"|memory:|sqlite:[^\0]+", value) is not None
    _require(known, attribute, '"sqlite:PATH" or "memory:"', value)


def _redis(_: object, attribute: Attribute[Any], value: object) -> None:
    _text(_, attribute, value)
    url = urlsplit(str(value))
    if url.password is not None:
        raise UnfitSetting((attribute.name,), "expected no password in it: give it as autogpt.redis_password")
    named = bool(url.path) if url.scheme == "unix" else bool(url.hostname)
    good = not value or (named and url.scheme in ("redis", "rediss", "unix"))
    _require(good, attribute, '"redis://HOST:PORT/DB", "rediss://HOST:PORT/DB" or "unix:///PATH"', value)


def _http_url(_: object, attribute: Attribute[Any], value: object) -> None:
    _text(_, attribute, value)
    url = urlsplit(str(value))
    good = not value or (
        url.scheme in ("https", "http") and bool(url.hostname) and not (url.query or url.fragment)
    )
    _require(good, attribute, '"https://HOST/PATH"', value)


def _jwks(_: object, attribute: Attribute[Any], value: object) -> None:
    _text(_, attribute, value)
    scheme, found, rest = str(value).partition("://")
    good = "\0" not in str(value) and (
        not found or (scheme in ("https", "http") and bool(urlsplit(f"//{rest}").hostname))
    )
    _require(good, attribute, '"https://HOST/PATH" or the path of a file', value)


def _switch(value: Any) -> Any:  # noqa: ANN401 - whatever was given is still to be checked
    """``true`` and ``false`` are as good as ``on`` and ``off``."""
    return {"true": "on", "false": "off"}.get(str(value).lower(), value)


def _secret(_: object, attribute: Attribute[Any], value: object) -> None:
    _text(_, attribute, value)
    size = len(str(value).encode())
    if 0 < size < SECRET_BYTES:
        raise UnfitSetting((attribute.name,), f"expected at least {SECRET_BYTES} bytes, got {size}")


def _each(pattern: re.Pattern[str], expected: str) -> Validator:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        _require(isinstance(value, tuple), attribute, "an array of strings", value)
        for one in value if isinstance(value, tuple) else ():
            good = isinstance(one, str) and pattern.fullmatch(one) is not None
            _require(good, attribute, expected, one)

    return check


def _lower(value: Any) -> Any:  # noqa: ANN401 - whatever was given is still to be checked
    """Host names and origins compare without case; a list is as good as a tuple."""
    if type(value) not in (list, tuple):
        return value
    return tuple(one.lower() if type(one) is str else one for one in value)


def is_origin(text: str) -> bool:
    """Whether ``cors_origins`` can name it, in lower case."""
    return _ORIGIN.fullmatch(text) is not None


def is_server_name(text: str) -> bool:
    """Whether ``server_names`` can name it, in lower case."""
    return _SERVER_NAME.fullmatch(text) is not None


# --- the settings ---------------------------------------------------------------------------------


def _count(default: int, least: int = 1) -> int:
    return field(default=default, validator=_whole(least))


def _seconds(default: float, *, zero: bool = False, most: float = LONGEST) -> float:
    return field(default=default, validator=_number(0, above=not zero, most=most))


@frozen
class Limits:
    """What one peer may cost. Sizes in bytes, times in seconds."""

    max_message_size: int = _count(MAX_MESSAGE_SIZE, 1 * KIB)
    max_events_per_publish: int = _count(MAX_EVENTS_PER_PUBLISH)
    max_connections: int = _count(20_000)
    max_connections_per_address: int = _count(20_000)
    max_subscriptions: int = _count(1_000)
    handshake_timeout: float = _seconds(10.0)
    max_messages_per_second: float = field(default=50.0, validator=_number(0, above=True))
    message_burst: int = _count(200)
    max_projects: int = _count(100_000)
    max_user_logs: int = _count(100_000)
    max_per_subject: int = _count(50_000)
    """Projects, users' logs, snapshots, open prompts and commands of one token's ``sub``, or one address."""
    max_snapshots: int = _count(10_000)
    max_snapshots_per_project: int = _count(100)
    max_open: int = _count(20_000)
    """Prompts and commands that are open, in all."""
    max_loaded_bytes: int = _count(256 * MIB, 1 * MIB)
    """Of projects in memory, as `hub.footprint` estimates them; idle ones beyond it are put away."""
    max_nodes: int = _count(100_000)
    max_node_size: int = _count(MAX_NODE_SIZE, 1 * KIB)
    max_unacked: int = _count(64)
    max_unacked_bytes: int = _count(4 * MIB, 1 * KIB)
    max_waiting_publishes: int = _count(50_000)
    max_waiting_bytes: int = _count(64 * MIB)
    max_large_answers: int = _count(64)
    max_answer_bytes: int = _count(256 * MIB, MIB)
    max_open_prompts: int = _count(50)
    max_prompt_size: int = _count(16 * KIB, 1 * KIB)
    max_open_commands: int = _count(100)
    max_args_size: int = _count(16 * KIB, 1 * KIB)


@frozen
class Delivery:
    """How watchers are served. Sizes in bytes, times in seconds."""

    outbox_messages: int = _count(256, 16)
    outbox_bytes: int = _count(2 * MIB, 2 * KIB)
    stall_timeout: float = _seconds(10.0)
    heartbeat_interval: float = _seconds(8.0, most=3_600.0)
    ping_interval: float = _seconds(30.0)
    ping_timeout: float = _seconds(10.0)
    close_timeout: float = _seconds(5.0)
    max_replay: int = _count(10_000)


@frozen
class People:
    """Prompts and commands. Seconds."""

    prompt_timeout: float = _seconds(3_600.0)
    """A prompt that names no deadline gets this one."""
    command_timeout: float = _seconds(30.0)
    """So long an orchestrator may take to say anything about a command."""


@frozen
class Execution:
    """The execution status stream. Seconds."""

    status_interval: float = _seconds(0.2, zero=True)
    """A watcher is told how an execution stands at most so often; 0: with every change."""


@frozen
class Aiecs:
    """The language of AIECS. Seconds."""

    host: str = field(default="127.0.0.1", validator=_text)
    port: int = field(default=0, validator=_whole(0))
    """A port of its own, where it is spoken at any path; 0: none, only ``/ws/aiecs`` of `bind`."""
    max_connections: int = _count(1_000)
    ping_interval: float = _seconds(20.0)
    ping_timeout: float = _seconds(10.0)
    callback_timeout: float = _seconds(300.0)
    """So long a person may take to confirm, unless the asker says otherwise."""
    default_proceed: bool = field(default=True, validator=_flag)
    """What holds if nobody answers in time."""
    heartbeat_interval: float = _seconds(30.0)
    broadcast_all: bool = field(default=True, validator=_flag)
    """Everybody is shown everything, while there is no authentication; with it never."""
    one_per_user: bool = field(default=False, validator=_flag)
    """A user's new connection closes the old one."""


@frozen
class AutoGpt:
    """AutoGPT's language and events. Sizes in bytes."""

    redis_url: str = field(default="", validator=_redis)
    """AutoGPT's Redis, whose events are passed on; empty: they are only pushed over HTTP."""
    redis_password: str = field(default="", repr=False, validator=_text)
    api_url: str = field(default="", validator=_http_url)
    """AutoGPT's REST API, asked which graph an execution is of, if its Redis is a cluster."""
    mirror: str = field(default="auto", converter=_switch, validator=_one_of("auto", "on", "off"))
    """Whether executions are projects too; ``auto``: only without authentication."""
    max_event_size: int = _count(16 * MIB, 1 * KIB)
    """A larger event from Redis is told of, not passed on."""
    inherit_window: float = _seconds(120.0, zero=True)
    """A returning connection inherits what its user was subscribed to so long before; 0: nothing."""
    jwks: str = field(default="", validator=_jwks)
    """The JWK set that its users' tokens are verified with: a URL, or a file."""
    public_key: str = field(default="", validator=_text)
    """A PEM file with the public key that they are verified with."""

    @property
    def has_keys(self) -> bool:
        """Whether its clients are asked for tokens of a public key's."""
        return bool(self.jwks or self.public_key)


@frozen
class Keep:
    """What the store keeps. Times in seconds, sizes in bytes."""

    max_events: int = _count(100_000)
    max_age: float = _seconds(7 * 86_400.0)
    project_ttl: float = _seconds(0.0, zero=True)
    """Completed, failed and cancelled projects are deleted so long after their last event; 0: never."""
    checkpoint_events: int = _count(5_000)
    checkpoint_bytes: int = _count(8 * MIB)
    sweep_interval: float = _seconds(60.0)


@frozen
class Drain:
    """How the hub stops. Seconds."""

    window: float = _seconds(5.0, zero=True, most=300.0)
    timeout: float = _seconds(10.0)


@frozen
class Auth:
    """Who may come in. Without a secret everybody may."""

    secret: str = field(default="", repr=False, validator=_secret)
    """HS256 key of the JSON Web Tokens; at least 32 bytes."""
    audience: str = field(default="", validator=_text)

    @property
    def on(self) -> bool:
        """Whether a token is asked for."""
        return bool(self.secret)


@frozen
class Logging:
    """The hub's own log."""

    format: str = field(default="console", validator=_one_of("console", "json"))
    level: str = field(default="info", validator=_one_of("debug", "info", "warning", "error"))


_names: Final = _each(_SERVER_NAME, "a host name with or without a port, as in hub.example.org")
_origins: Final = _each(_ORIGIN, "an origin without a path, as in https://board.example.org")


_OPEN: Final = (
    "{} can be reached from other machines and nobody would have to show a token: set auth.secret, "
    "or say insecure = true (--insecure) if everybody may read and write"
)


@frozen
class Settings:
    """All of them."""

    bind: str = field(default="127.0.0.1:8000", validator=_bind)
    """``HOST:PORT``, ``[IPv6]:PORT`` or ``unix:/PATH``. Without authentication or `insecure` only this
    machine may be able to reach it."""
    store: str = field(default="", validator=_store)
    """``sqlite:PATH`` or ``memory:``; empty means a SQLite file in the platform's state folder."""
    insecure: bool = field(default=False, validator=_flag)
    """Let everybody in who reaches a `bind` that is not loopback, though there is no authentication."""
    server_names: tuple[str, ...] = field(default=(), converter=_lower, validator=_names)
    """Hosts that requests may be for, beside the address of `bind`."""
    cors_origins: tuple[str, ...] = field(default=(), converter=_lower, validator=_origins)
    """Other origins whose pages may read this hub: each by name, ``*`` is refused."""
    docs: bool = field(default=True, validator=_flag)
    metrics: bool = field(default=True, validator=_flag)
    lifecycle: str = field(default="observe", validator=_one_of("observe", "enforce"))
    limits: Limits = field(default=Factory(Limits), validator=_is(Limits, "Limits(…)"))
    delivery: Delivery = field(default=Factory(Delivery), validator=_is(Delivery, "Delivery(…)"))
    people: People = field(default=Factory(People), validator=_is(People, "People(…)"))
    execution: Execution = field(default=Factory(Execution), validator=_is(Execution, "Execution(…)"))
    aiecs: Aiecs = field(default=Factory(Aiecs), validator=_is(Aiecs, "Aiecs(…)"))
    autogpt: AutoGpt = field(default=Factory(AutoGpt), validator=_is(AutoGpt, "AutoGpt(…)"))
    keep: Keep = field(default=Factory(Keep), validator=_is(Keep, "Keep(…)"))
    drain: Drain = field(default=Factory(Drain), validator=_is(Drain, "Drain(…)"))
    auth: Auth = field(default=Factory(Auth), validator=_is(Auth, "Auth(…)"))
    log: Logging = field(default=Factory(Logging), validator=_is(Logging, "Logging(…)"))

    @property
    def mirrors_autogpt(self) -> bool:
        """Whether AutoGPT's executions are projects too."""
        asked = self.auth.on or self.autogpt.has_keys
        return self.autogpt.mirror == "on" or (self.autogpt.mirror == "auto" and not asked)

    def __attrs_post_init__(self) -> None:
        """Check what must hold between fields."""
        message, outbox = self.limits.max_message_size, self.delivery.outbox_bytes
        if outbox < 2 * message:
            fields = ("delivery.outbox_bytes", "limits.max_message_size")
            expected = f"expected at least twice limits.max_message_size ({message})"
            raise UnfitSetting(fields, f"{expected}, got {outbox}")
        host, _ = parse_bind(self.bind)
        if not (is_loopback(host) or self.auth.on or self.insecure):
            raise UnfitSetting(("bind", "insecure", "auth.secret"), _OPEN.format(shown_value(self.bind)))
        if self.aiecs.port and not (is_loopback(self.aiecs.host) or self.auth.on or self.insecure):
            places = ("aiecs.host", "insecure", "auth.secret")
            raise UnfitSetting(places, _OPEN.format(shown_value(self.aiecs.host)))
