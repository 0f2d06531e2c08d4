"""A server with real sockets, an app to serve, and sessions to look into."""

from __future__ import annotations

from tests.web.serving import started, structlog_records

__all__ = ["started", "structlog_records"]
