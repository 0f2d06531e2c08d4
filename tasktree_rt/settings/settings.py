"""All settings of a hub, and the rules between them."""

from __future__ import annotations

from typing import Final

from attrs import Factory, field, frozen

from tasktree_rt.settings.auth import Auth
from tasktree_rt.settings.bounds import Delivery, Drain, Keep, Limits, Rates, Search
from tasktree_rt.settings.checks import (
    UNIX,
    UnfitSetting,
    a_flag,
    an_address,
    host_names,
    is_a,
    is_loopback,
    one_of,
    page_origins,
    parse_bind,
    proxy_networks,
    shown_value,
    to_lower,
)
from tasktree_rt.settings.compression import Compression
from tasktree_rt.settings.dialects import Aiecs, AutoGpt, Execution, People
from tasktree_rt.settings.otlp import Otlp
from tasktree_rt.settings.redis import Redis, a_store
from tasktree_rt.settings.tls import Tls

_OPEN: Final = (
    "{} can be reached from other machines, but authentication is off: set auth.secret "
    "(or another key of the section auth), "
    "or insecure = true (--insecure) to allow a public address without authentication"
)


@frozen
class Logging:
    """The hub's own log."""

    format: str = field(default="console", validator=one_of("console", "json"))
    """How lines of the log look: ``console`` for people, ``json`` for machines."""
    level: str = field(default="info", validator=one_of("debug", "info", "warning", "error"))
    """The least severe lines that are logged."""


@frozen
class Settings:
    """All settings of a hub."""

    bind: str = field(default="127.0.0.1:8000", validator=an_address)
    """Address to listen on: ``HOST:PORT``, ``[IPv6]:PORT`` or ``unix:/PATH``. Must be a loopback address
    unless authentication or `insecure` is on."""
    store: str = field(default="", validator=a_store)
    """``sqlite:PATH``, ``memory:``, or the URL of a Redis; empty: a SQLite file in the platform's state
    folder."""
    insecure: bool = field(default=False, validator=a_flag)
    """Allow a public address without authentication."""
    server_names: tuple[str, ...] = field(default=(), converter=to_lower, validator=host_names)
    """Accepted values of a request's ``Host`` header, beside the host of `bind`."""
    cors_origins: tuple[str, ...] = field(default=(), converter=to_lower, validator=page_origins)
    """Origins of other sites whose pages may use this hub. Each is listed by name; ``*`` is refused."""
    trusted_proxies: tuple[str, ...] = field(default=(), converter=to_lower, validator=proxy_networks)
    """Networks (CIDR) and addresses of proxies whose header tells the client's address; ``unix``: peers at a
    Unix socket."""
    proxy_header: str = field(default="x-forwarded-for", validator=one_of("x-forwarded-for", "forwarded"))
    """The header that trusted proxies set."""
    docs: bool = field(default=True, validator=a_flag)
    """Serve the pages that describe the hub's interfaces, and their documents, below ``/docs``."""
    metrics: bool = field(default=True, validator=a_flag)
    """Serve ``/metrics`` for Prometheus."""
    lifecycle: str = field(default="observe", validator=one_of("observe", "enforce"))
    """What the hub does with an impossible change of status: ``observe`` counts, ``enforce`` refuses it."""
    limits: Limits = field(default=Factory(Limits), validator=is_a(Limits, "Limits(…)"))
    rates: Rates = field(default=Factory(Rates), validator=is_a(Rates, "Rates(…)"))
    delivery: Delivery = field(default=Factory(Delivery), validator=is_a(Delivery, "Delivery(…)"))
    compression: Compression = field(
        default=Factory(Compression), validator=is_a(Compression, "Compression(…)")
    )
    people: People = field(default=Factory(People), validator=is_a(People, "People(…)"))
    execution: Execution = field(default=Factory(Execution), validator=is_a(Execution, "Execution(…)"))
    aiecs: Aiecs = field(default=Factory(Aiecs), validator=is_a(Aiecs, "Aiecs(…)"))
    autogpt: AutoGpt = field(default=Factory(AutoGpt), validator=is_a(AutoGpt, "AutoGpt(…)"))
    otlp: Otlp = field(default=Factory(Otlp), validator=is_a(Otlp, "Otlp(…)"))
    keep: Keep = field(default=Factory(Keep), validator=is_a(Keep, "Keep(…)"))
    redis: Redis = field(default=Factory(Redis), validator=is_a(Redis, "Redis(…)"))
    search: Search = field(default=Factory(Search), validator=is_a(Search, "Search(…)"))
    drain: Drain = field(default=Factory(Drain), validator=is_a(Drain, "Drain(…)"))
    auth: Auth = field(default=Factory(Auth), validator=is_a(Auth, "Auth(…)"))
    tls: Tls = field(default=Factory(Tls), validator=is_a(Tls, "Tls(…)"))
    log: Logging = field(default=Factory(Logging), validator=is_a(Logging, "Logging(…)"))

    @property
    def mirrors_autogpt(self) -> bool:
        """Whether the hub stores AutoGPT's executions as projects too."""
        asked = self.auth.on or self.autogpt.has_keys
        return self.autogpt.mirror == "on" or (self.autogpt.mirror == "auto" and not asked)

    @property
    def otlp_content(self) -> str:
        """How much content of spans the hub stores: ``none``, ``preview`` or ``full``."""
        if self.otlp.content != "auto":
            return self.otlp.content
        binds = (self.bind, self.otlp.bind or self.bind)
        local = all(is_loopback(parse_bind(one)[0]) for one in binds)
        return "preview" if local and not self.auth.on else "none"

    def __attrs_post_init__(self) -> None:
        """Check the rules between fields."""
        message, outbox = self.limits.max_message_size, self.delivery.outbox_bytes
        if outbox < 2 * message:
            fields = ("delivery.outbox_bytes", "limits.max_message_size")
            expected = f"expected at least twice limits.max_message_size ({message})"
            raise UnfitSetting(fields, f"{expected}, got {outbox}")
        shared = self.auth.has_secret and self.autogpt.redis_url and not self.autogpt.has_keys
        if shared and not (self.auth.audience or self.auth.issuer):
            reason = "expected a value: AutoGPT's platform signs its users' tokens with the same secret"
            raise UnfitSetting(("auth.audience", "auth.issuer", "autogpt.redis_url"), reason)
        host, _ = parse_bind(self.bind)
        if self.tls.on and host == UNIX:
            expected = "expected HOST:PORT with tls.certfile; a Unix socket needs no TLS"
            raise UnfitSetting(("bind", "tls.certfile"), f"{expected}; got {shown_value(self.bind)}")
        if not (is_loopback(host) or self.auth.on or self.insecure):
            raise UnfitSetting(("bind", "insecure", "auth.secret"), _OPEN.format(shown_value(self.bind)))
        second = self.otlp.bind and parse_bind(self.otlp.bind)[0]
        if second and not (is_loopback(second) or self.auth.on or self.insecure):
            places = ("otlp.bind", "insecure", "auth.secret")
            raise UnfitSetting(places, _OPEN.format(shown_value(self.otlp.bind)))
        if self.aiecs.port and not (is_loopback(self.aiecs.host) or self.auth.on or self.insecure):
            places = ("aiecs.host", "insecure", "auth.secret")
            raise UnfitSetting(places, _OPEN.format(shown_value(self.aiecs.host)))
