"""The section `otlp`: what programs send by OpenTelemetry's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tasktree_rt.core.patterns import check_pattern
from tasktree_rt.errors import InvalidInput
from tasktree_rt.settings.checks import (
    KIB,
    MIB,
    UnfitSetting,
    an_address,
    count,
    one_of,
    require,
    seconds,
    to_tuple,
)

if TYPE_CHECKING:
    from attrs import Attribute

MAX_PATTERNS = 32
"""Maximum number of regular expressions, and of prefixes."""


def _patterns(_: object, attribute: Attribute[Any], value: object) -> None:
    good = isinstance(value, tuple) and len(value) <= MAX_PATTERNS
    require(good, attribute, f"an array of at most {MAX_PATTERNS} regular expressions", value)
    for one in value if isinstance(value, tuple) else ():
        require(isinstance(one, str) and one != "", attribute, "a regular expression", one)
        try:
            check_pattern(one, attribute.name)
        except InvalidInput as error:
            raise UnfitSetting((attribute.name,), error.message) from None


def _prefixes(_: object, attribute: Attribute[Any], value: object) -> None:
    good = isinstance(value, tuple) and len(value) <= MAX_PATTERNS
    require(good, attribute, f"an array of at most {MAX_PATTERNS} prefixes", value)
    for one in value if isinstance(value, tuple) else ():
        require(isinstance(one, str) and one != "", attribute, "a prefix that is not empty", one)


def an_address_or_nothing(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require an address to listen on, or nothing."""
    if value != "":
        an_address(_, attribute, value)


@frozen
class Otlp:
    """Spans, log records and metrics at ``/v1/traces``, ``/v1/logs`` and ``/v1/metrics``. Sizes in bytes,
    times in seconds."""

    max_request: int = count(64 * MIB, 1 * KIB)
    """Maximum bytes of a request's body, before and after it is inflated."""
    max_waiting_bytes: int = count(256 * MIB, 1 * KIB)
    """Maximum bytes of the bodies of all requests in progress; one caller may have half of them."""
    content: str = field(default="auto", validator=one_of("auto", "none", "preview", "full"))
    """What people, models and tools said, and database statements: ``none`` of it is stored, a ``preview`` of
    512 characters, or ``full``. ``auto``: a preview on a loopback address without authentication, otherwise
    none."""
    redact: tuple[str, ...] = field(default=(), converter=to_tuple, validator=_patterns)
    """Regular expressions of secrets that the hub hides, beside those it knows."""
    internal: tuple[str, ...] = field(
        default=("autogen ", "autogen-core", "opentelemetry.instrumentation.asgi.internal"),
        converter=to_tuple,
        validator=_prefixes,
    )
    """Beginnings of the names of spans and of instrumentations that are plumbing: views fold their nodes."""
    bind: str = field(default="", validator=an_address_or_nothing)
    """A second address to listen on, for example ``127.0.0.1:4318``, where SDKs send without being told;
    empty: none. Must be a loopback address unless authentication or `insecure` is on."""
    keep: float = seconds(86_400.0, zero=True)
    """Seconds from the last event of a project that is one ended trace until the hub deletes it; 0: as
    `keep.project_ttl` says."""
    max_projects: int = count(2_000)
    """Projects that are one trace each; the hub deletes the oldest ended ones beyond it."""
    settle: float = seconds(600.0)
    """Seconds after the last span of a trace until the hub ends the nodes whose end was never reported."""

    def __attrs_post_init__(self) -> None:
        """Check the rules between fields."""
        if self.max_waiting_bytes < 2 * self.max_request:
            fields = ("otlp.max_waiting_bytes", "otlp.max_request")
            expected = f"expected at least twice otlp.max_request ({self.max_request})"
            raise UnfitSetting(fields, f"{expected}, got {self.max_waiting_bytes}")
