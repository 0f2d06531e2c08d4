"""Every setting with its default, unit and bounds. Instances are frozen and valid.

A constructor checks every field first, then the rules between fields. An invalid value raises
`UnfitSetting`, which names the field. `tasktree_rt.cli.settings_sources` reads values from the file, the
environment and the flags.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import Factory, field, frozen

from tasktree_rt.core.default_limits import MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE
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
SECRET_BYTES: Final = 32
"""The minimum length of an HS256 key, in bytes (RFC 7518, 3.2)."""

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
        raise UnfitSetting((attribute.name,), "expected no password; set autogpt.redis_password instead")
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


def _switch(value: Any) -> Any:  # noqa: ANN401 - not validated yet
    """Convert ``true`` and ``false`` to ``on`` and ``off``."""
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


def _lower(value: Any) -> Any:  # noqa: ANN401 - not validated yet
    """Convert host names and origins to lower case, and a list to a tuple."""
    if type(value) not in (list, tuple):
        return value
    return tuple(one.lower() if type(one) is str else one for one in value)


def is_origin(text: str) -> bool:
    """Return whether `text` is a valid entry of ``cors_origins``; it must be in lower case."""
    return _ORIGIN.fullmatch(text) is not None


def is_server_name(text: str) -> bool:
    """Return whether `text` is a valid entry of ``server_names``; it must be in lower case."""
    return _SERVER_NAME.fullmatch(text) is not None


# --- the settings ---------------------------------------------------------------------------------


def _count(default: int, least: int = 1) -> int:
    return field(default=default, validator=_whole(least))


def _seconds(default: float, *, zero: bool = False, most: float = LONGEST) -> float:
    return field(default=default, validator=_number(0, above=not zero, most=most))


@frozen
class Limits:
    """Upper bounds of the resources that peers use. Sizes in bytes, times in seconds."""

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
    """Maximum number of projects, users' logs, snapshots, open prompts and open commands per token subject
    (``sub``), or per address without authentication."""
    max_snapshots: int = _count(10_000)
    max_snapshots_per_project: int = _count(100)
    max_open: int = _count(20_000)
    """Maximum number of open prompts and commands in the whole hub."""
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
    """Delivery of messages to watchers. Sizes in bytes, times in seconds."""

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
    """Prompts and commands. Times in seconds."""

    prompt_timeout: float = _seconds(3_600.0)
    """Seconds until the deadline of a prompt that names none."""
    command_timeout: float = _seconds(30.0)
    """Maximum seconds until the orchestrator's first reply to a command."""


@frozen
class Execution:
    """The execution status stream. Times in seconds."""

    status_interval: float = _seconds(0.2, zero=True)
    """Minimum seconds between two status messages of one execution to a watcher; 0: the hub sends every
    change."""


@frozen
class Aiecs:
    """The AIECS protocol. Times in seconds."""

    host: str = field(default="127.0.0.1", validator=_text)
    port: int = field(default=0, validator=_whole(0))
    """An additional port that accepts AIECS clients at any path; 0: the hub serves them only at
    ``/ws/aiecs`` of `bind`."""
    max_connections: int = _count(1_000)
    ping_interval: float = _seconds(20.0)
    ping_timeout: float = _seconds(10.0)
    callback_timeout: float = _seconds(300.0)
    """Seconds until the deadline of a confirmation that names none."""
    default_proceed: bool = field(default=True, validator=_flag)
    """The answer to a confirmation whose deadline passes without one."""
    heartbeat_interval: float = _seconds(30.0)
    broadcast_all: bool = field(default=True, validator=_flag)
    """Send every event to every AIECS client. Has no effect with authentication."""
    one_per_user: bool = field(default=False, validator=_flag)
    """Close a user's older connection when the user connects again."""


@frozen
class AutoGpt:
    """AutoGPT's protocol and events. Sizes in bytes, times in seconds."""

    redis_url: str = field(default="", validator=_redis)
    """URL of AutoGPT's Redis, from which the hub reads events; empty: the hub takes AutoGPT's events only
    over HTTP."""
    redis_password: str = field(default="", repr=False, validator=_text)
    api_url: str = field(default="", validator=_http_url)
    """URL of AutoGPT's REST API. Needed with a Redis cluster: the hub asks it for an execution's graph."""
    mirror: str = field(default="auto", converter=_switch, validator=_one_of("auto", "on", "off"))
    """Store each execution as a project too; ``auto``: only without authentication."""
    max_event_size: int = _count(16 * MIB, 1 * KIB)
    """Maximum size of an event from Redis. The hub logs and drops a larger one."""
    inherit_window: float = _seconds(120.0, zero=True)
    """Seconds for which a user's subscriptions outlive the connection; the user's next connection inherits
    them. 0: none are inherited."""
    jwks: str = field(default="", validator=_jwks)
    """The JWK set that verifies the users' tokens: a URL, or the path of a file."""
    public_key: str = field(default="", validator=_text)
    """Path of a PEM file with the public key that verifies the users' tokens."""

    @property
    def has_keys(self) -> bool:
        """Whether AutoGPT's clients need a token, signed with a private key."""
        return bool(self.jwks or self.public_key)


@frozen
class Keep:
    """Retention in the store. Times in seconds, sizes in bytes."""

    max_events: int = _count(100_000)
    """Maximum number of events per log before the hub deletes the oldest, one checkpoint at a time."""
    max_age: float = _seconds(7 * 86_400.0)
    """Minimum age in seconds before events are deleted, one checkpoint at a time."""
    project_ttl: float = _seconds(0.0, zero=True)
    """Seconds from the last event of a completed, failed or cancelled project until the hub deletes it; 0:
    never."""
    checkpoint_events: int = _count(5_000)
    checkpoint_bytes: int = _count(8 * MIB)
    sweep_interval: float = _seconds(60.0)


@frozen
class Drain:
    """Shutdown of the hub. Times in seconds."""

    window: float = _seconds(5.0, zero=True, most=300.0)
    timeout: float = _seconds(10.0)


@frozen
class Auth:
    """Authentication by JSON Web Tokens. Without a secret it is off: all requests are allowed."""

    secret: str = field(default="", repr=False, validator=_secret)
    """HS256 key of the JSON Web Tokens; at least 32 bytes."""
    audience: str = field(default="", validator=_text)
    """The audience (``aud``) that a token must name; empty: any."""

    @property
    def on(self) -> bool:
        """Whether requests need a token."""
        return bool(self.secret)


@frozen
class Logging:
    """The hub's own log."""

    format: str = field(default="console", validator=_one_of("console", "json"))
    level: str = field(default="info", validator=_one_of("debug", "info", "warning", "error"))


_names: Final = _each(_SERVER_NAME, "a host name with or without a port, as in hub.example.org")
_origins: Final = _each(_ORIGIN, "an origin without a path, as in https://board.example.org")


_OPEN: Final = (
    "{} can be reached from other machines, but authentication is off: set auth.secret, "
    "or insecure = true (--insecure) to allow a public address without authentication"
)


@frozen
class Settings:
    """All settings of a hub."""

    bind: str = field(default="127.0.0.1:8000", validator=_bind)
    """Address to listen on: ``HOST:PORT``, ``[IPv6]:PORT`` or ``unix:/PATH``. Must be a loopback address
    unless authentication or `insecure` is on."""
    store: str = field(default="", validator=_store)
    """``sqlite:PATH`` or ``memory:``; empty: a SQLite file in the platform's state folder."""
    insecure: bool = field(default=False, validator=_flag)
    """Allow a public address without authentication."""
    server_names: tuple[str, ...] = field(default=(), converter=_lower, validator=_names)
    """Accepted values of a request's ``Host`` header, beside the host of `bind`."""
    cors_origins: tuple[str, ...] = field(default=(), converter=_lower, validator=_origins)
    """Origins of other sites whose pages may use this hub. Each is listed by name; ``*`` is refused."""
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
        """Whether the hub stores AutoGPT's executions as projects too."""
        asked = self.auth.on or self.autogpt.has_keys
        return self.autogpt.mirror == "on" or (self.autogpt.mirror == "auto" and not asked)

    def __attrs_post_init__(self) -> None:
        """Check the rules between fields."""
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
