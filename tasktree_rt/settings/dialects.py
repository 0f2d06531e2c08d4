"""Sections of the settings for one kind of client or message each."""

from __future__ import annotations

from attrs import field, frozen

from tasktree_rt.settings.checks import (
    KIB,
    MIB,
    a_flag,
    a_jwk_set,
    a_text,
    an_http_url,
    count,
    one_of,
    seconds,
    to_switch,
    whole,
)
from tasktree_rt.settings.redis import a_redis_url


@frozen
class People:
    """Prompts and commands. Times in seconds."""

    prompt_timeout: float = seconds(3_600.0)
    """Seconds until the deadline of a prompt that names none."""
    command_timeout: float = seconds(30.0)
    """Maximum seconds until the orchestrator's first reply to a command."""


@frozen
class Execution:
    """The execution status stream. Times in seconds."""

    status_interval: float = seconds(0.2, zero=True)
    """Minimum seconds between two status messages of one execution to a watcher; 0: the hub sends every
    change."""


@frozen
class Aiecs:
    """The AIECS protocol. Times in seconds."""

    host: str = field(default="127.0.0.1", validator=a_text)
    """Address of the additional port."""
    port: int = field(default=0, validator=whole(0))
    """An additional port that accepts AIECS clients at any path; 0: the hub serves them only at
    ``/ws/aiecs`` of `bind`."""
    max_connections: int = count(1_000)
    """Maximum number of connections of AIECS' clients."""
    ping_interval: float = seconds(20.0)
    """Seconds without a received byte before a ping."""
    ping_timeout: float = seconds(10.0)
    """Seconds without a byte after that ping before the hub aborts the connection."""
    callback_timeout: float = seconds(300.0)
    """Seconds until the deadline of a confirmation that names none."""
    default_proceed: bool = field(default=True, validator=a_flag)
    """The answer to a confirmation whose deadline passes without one."""
    heartbeat_interval: float = seconds(30.0)
    """Seconds between two heartbeats of a task."""
    broadcast_all: bool = field(default=True, validator=a_flag)
    """Send every event to every AIECS client. Has no effect with authentication."""
    one_per_user: bool = field(default=False, validator=a_flag)
    """Close a user's older connection when the user connects again."""


@frozen
class AutoGpt:
    """AutoGPT's protocol and events. Sizes in bytes, times in seconds."""

    redis_url: str = field(default="", validator=a_redis_url)
    """URL of AutoGPT's Redis, from which the hub reads events; empty: the hub takes AutoGPT's events only
    over HTTP."""
    redis_password: str = field(default="", repr=False, validator=a_text)
    """Password of that Redis, which must not be in the URL."""
    api_url: str = field(default="", validator=an_http_url)
    """URL of AutoGPT's REST API. Needed with a Redis cluster: the hub asks it for an execution's graph."""
    mirror: str = field(default="auto", converter=to_switch, validator=one_of("auto", "on", "off"))
    """Store each execution as a project too; ``auto``: only without authentication."""
    max_event_size: int = count(16 * MIB, 1 * KIB)
    """Maximum size of an event from Redis. The hub logs and drops a larger one."""
    inherit_window: float = seconds(120.0, zero=True)
    """Seconds for which a user's subscriptions outlive the connection; the user's next connection inherits
    them. 0: none are inherited."""
    jwks: str = field(default="", validator=a_jwk_set)
    """The JWK set that verifies the users' tokens: a URL, or the path of a file."""
    public_key: str = field(default="", validator=a_text)
    """Path of a PEM file with the public key that verifies the users' tokens."""

    @property
    def has_keys(self) -> bool:
        """Whether AutoGPT's clients need a token, signed with a private key."""
        return bool(self.jwks or self.public_key)
