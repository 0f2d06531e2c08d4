"""Routes of foreign systems are tested on a server with real sockets (`tests.web.serving`)."""

from __future__ import annotations

from tests.web.serving import started, structlog_records

__all__ = ["started", "structlog_records"]
