"""The section `compression`: of WebSocket messages and of HTTP bodies."""

from __future__ import annotations

from attrs import field, frozen

from tasktree_rt.settings.checks import a_flag, count, level


@frozen
class Compression:
    """Compression for the clients that offer it. Sizes in bytes."""

    websocket: bool = field(default=True, validator=a_flag)
    """Agree to permessage-deflate (RFC 7692). Each message is compressed once for all its readers."""
    http: bool = field(default=True, validator=a_flag)
    """Compress HTTP bodies and server-sent events where a request's ``Accept-Encoding`` allows it."""
    min_size: int = count(1024)
    """Minimum size of a message or an HTTP body that is compressed."""
    level: int = level(4)
    """Level of deflate and gzip: 1 is the fastest, 9 the smallest."""
