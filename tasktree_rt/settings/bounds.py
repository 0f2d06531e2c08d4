"""Sections of the settings that bound resources: limits, delivery, retention, shutdown."""

from __future__ import annotations

from typing import Final

from attrs import field, fields, frozen

from tasktree_rt.core.default_limits import MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE
from tasktree_rt.settings.checks import KIB, MIB, a_flag, count, number, rate, seconds


@frozen
class Limits:
    """Upper bounds of the resources that peers use. Sizes in bytes, times in seconds."""

    max_message_size: int = count(MAX_MESSAGE_SIZE, 1 * KIB)
    """Maximum bytes of a message, also of one in fragments, and of a request's body."""
    max_events_per_publish: int = count(MAX_EVENTS_PER_PUBLISH)
    """Maximum number of events in one publish."""
    max_connections: int = count(20_000)
    """Maximum number of open connections."""
    max_connections_per_address: int = count(2_000)
    """Maximum number of open connections from one address; behind a trusted proxy its WebSockets, streams and
    requests in progress."""
    max_connections_per_subject: int = count(2_000)
    """Maximum number of open WebSockets and streams of one subject."""
    max_subscriptions: int = count(1_000)
    """Maximum number of subscriptions of one connection."""
    max_subscriptions_per_address: int = count(100_000)
    """Maximum number of subscriptions of all connections from one address."""
    max_subscriptions_per_subject: int = count(50_000)
    """Maximum number of subscriptions of all connections of one subject."""
    handshake_timeout: float = seconds(10.0)
    """Seconds to receive and answer a request's head; a body has three times that."""
    max_messages_per_second: float = field(default=50.0, validator=number(0, above=True))
    """Messages a second of one watcher, on average."""
    message_burst: int = count(200)
    """Messages of one watcher that may come at once."""
    max_projects: int = count(100_000)
    """Maximum number of projects with a log."""
    max_user_logs: int = count(100_000)
    """Maximum number of users with a log."""
    max_per_subject: int = count(50_000)
    """Maximum number of projects, users' logs, snapshots, open prompts and open commands per token subject
    (``sub``), or per address without authentication."""
    max_snapshots: int = count(10_000)
    """Maximum number of snapshots in the whole hub; one subject may have half of them."""
    max_branches: int = count(32)
    """Branches of one project that have readers of their own at a time (docs/protocol.md, "Branches")."""
    max_snapshots_per_project: int = count(100)
    """Maximum number of snapshots of one project."""
    max_open: int = count(20_000)
    """Maximum number of open prompts and commands in the whole hub."""
    max_loaded_bytes: int = count(256 * MIB, 1 * MIB)
    """Estimated bytes of loaded projects beyond which the hub unloads those that were unused for longest."""
    max_project_bytes: int = count(8 * 1024 * MIB, 1 * KIB)
    """Maximum bytes of the events that the store has of one project."""
    max_bytes_per_subject: int = count(32 * 1024 * MIB, 1 * KIB)
    """Maximum bytes of the events of all projects that one subject began."""
    max_nodes: int = count(100_000)
    """Maximum number of nodes of one project."""
    max_node_size: int = count(MAX_NODE_SIZE, 1 * KIB)
    """Maximum bytes of one node."""
    max_inline_value: int = count(2 * KIB, 256)
    """Maximum bytes of a node's ``input`` or ``output`` in states and events for watchers; in place of a
    larger value they have a marker, and readers fetch it."""
    max_unacked: int = count(64)
    """Unanswered publishes of one producer at which the hub stops reading from it."""
    max_unacked_bytes: int = count(4 * MIB, 1 * KIB)
    """Bytes of these publishes at which the hub stops reading from it."""
    max_waiting_publishes: int = count(50_000)
    """Maximum number of publishes of all producers that wait for the store."""
    max_waiting_bytes: int = count(64 * MIB)
    """Maximum bytes of these publishes."""
    max_large_answers: int = count(64)
    """Maximum number of HTTP responses above 64 KiB in progress for one subject, or for one address without
    tokens."""
    max_answer_bytes: int = count(256 * MIB, MIB)
    """Maximum bytes of the data that all large responses in progress are made from."""
    max_open_prompts: int = count(50)
    """Maximum number of open prompts of one project, and to one user."""
    max_prompt_size: int = count(16 * KIB, 1 * KIB)
    """Maximum bytes of one prompt, and of one answer."""
    max_open_commands: int = count(100)
    """Maximum number of open commands of one project."""
    max_args_size: int = count(16 * KIB, 1 * KIB)
    """Maximum bytes of one command."""


@frozen
class Rates:
    """Rates of one caller, a second on average. 0: no limit. Without a token an address is a subject too."""

    messages_per_address: float = rate(2_000.0)
    """Messages a second of all watchers at one address, and frames that are no message."""
    messages_per_subject: float = rate(1_000.0)
    """Messages a second of all watchers of one subject."""
    bytes_per_address: float = rate(64.0 * MIB)
    """Bytes a second in messages and request bodies from one address."""
    bytes_per_subject: float = rate(32.0 * MIB)
    """Bytes a second in messages and request bodies of one subject."""
    events_per_address: float = rate(40_000.0)
    """Events a second that one address publishes."""
    events_per_subject: float = rate(20_000.0)
    """Events a second that one subject publishes."""
    events_per_project: float = rate(20_000.0)
    """Events a second that are published to one project."""
    http_cost_per_address: float = rate(1_000.0)
    """Units of HTTP requests and handshakes a second from one address; a small request costs 1."""
    http_cost_per_subject: float = rate(500.0)
    """Units of HTTP requests a second of one subject; a small request costs 1."""
    projects_per_subject: float = rate(200.0)
    """Projects a second that one subject begins."""
    burst: float = seconds(10.0)
    """Seconds of a rate that may come at once."""


NO_RATES: Final = Rates(**{one.name: 0.0 for one in fields(Rates) if one.name != "burst"})
"""No limit on any rate: for load tests, and for a program that embeds the hub and limits by itself."""


@frozen
class Delivery:
    """Delivery of messages to watchers. Sizes in bytes, times in seconds."""

    outbox_messages: int = count(256, 16)
    """Unsent messages of one connection at which the hub sheds by its policy."""
    outbox_bytes: int = count(2 * MIB, 2 * KIB)
    """Unsent bytes of one connection at which the hub sheds; at least twice ``limits.max_message_size``."""
    stall_timeout: float = seconds(10.0)
    """Seconds in which a peer must acknowledge a byte while data waits, or the hub aborts the connection."""
    heartbeat_interval: float = seconds(8.0, most=3_600.0)
    """Seconds between two heartbeats to a native connection, and of silence before a comment in a stream of
    server-sent events."""
    ping_interval: float = seconds(30.0)
    """Seconds without a received byte before a WebSocket ping."""
    ping_timeout: float = seconds(10.0)
    """Seconds without a byte after that ping before the hub aborts the connection."""
    close_timeout: float = seconds(5.0)
    """Seconds for a closing handshake."""
    max_replay: int = count(10_000)
    """Maximum number of events that a resume replays; beyond it a watcher gets the state."""


@frozen
class Keep:
    """Retention in the store. Times in seconds, sizes in bytes."""

    max_events: int = count(100_000)
    """Maximum number of events per log before the hub deletes the oldest, one checkpoint at a time."""
    max_bytes: int = count(4 * 1024 * MIB, 1 * KIB)
    """Maximum bytes of a log's events before the hub deletes the oldest, one checkpoint at a time."""
    max_age: float = seconds(7 * 86_400.0)
    """Minimum age in seconds before events are deleted, one checkpoint at a time."""
    project_ttl: float = seconds(0.0, zero=True)
    """Seconds from the last event of a completed, failed or cancelled project until the hub deletes it; 0:
    never."""
    checkpoint_events: int = count(5_000)
    """Events between two checkpoints of a log."""
    checkpoint_bytes: int = count(8 * MIB)
    """Bytes of events between two checkpoints of a log."""
    sweep_interval: float = seconds(60.0)
    """Seconds between two runs of the retention task."""


@frozen
class Search:
    """Search over events and logs. Times in seconds."""

    index: bool = field(default=True, validator=a_flag)
    """Keep an index of what events say, in the file ``STORE.search``; without it, and with ``memory:``, a
    search reads the newest `max_events`."""
    max_seconds: float = seconds(1.0, most=60.0)
    """Maximum time of one search. Then it answers with what it has found."""
    max_events: int = count(20_000)
    """Maximum number of events that one search without an index reads."""


@frozen
class Drain:
    """Shutdown of the hub. Times in seconds."""

    window: float = seconds(5.0, zero=True, most=300.0)
    """Seconds over which a stopping hub spreads the return of its watchers."""
    timeout: float = seconds(10.0)
    """Seconds until a stopping hub has exited, whatever any peer does."""
