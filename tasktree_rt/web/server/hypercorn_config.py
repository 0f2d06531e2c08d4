"""Hypercorn's configuration: its log goes to the hub's, and its limits are the hub's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hypercorn.config import Config
from hypercorn.logging import Logger
from structlog import get_logger

from tasktree_rt.settings import Settings
from tasktree_rt.web.body_limits import body_limits
from tasktree_rt.web.server.request_head import MAX_HEAD

if TYPE_CHECKING:
    from hypercorn.typing import ResponseSummary, WWWScope

log = get_logger("hypercorn")


class HypercornLog(Logger):
    """Write Hypercorn's log lines to the hub's log. It drops the access log."""

    def __init__(self, config: Config) -> None:
        pass

    async def access(self, request: WWWScope, response: ResponseSummary, request_time: float) -> None:
        """Drop the access log's line."""

    async def critical(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.critical(message, *args)

    async def error(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.error(message, *args)

    async def warning(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.warning(message, *args)

    async def info(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.info(message, *args)

    async def debug(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.debug(message, *args)

    async def exception(self, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line with the current exception."""
        log.error(message, *args, exc_info=sys.exception())

    async def log(self, level: int, message: str, *args: object, **kwargs: object) -> None:
        """Write a log line of Hypercorn's."""
        log.log(level, message, *args)


class HubConfig(Config):
    """Hypercorn's configuration, with the maximum size of a request's body by its path."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._limits = body_limits(settings)
        self._limit = settings.limits.max_message_size

    def body_limit(self, path: str) -> int:
        """Return the maximum bytes of the body of a request for a path."""
        return self._limits.get(path, self._limit)


def hypercorn_config(settings: Settings) -> HubConfig:
    """Make Hypercorn's configuration. `web.server.listeners` opens the sockets instead of Hypercorn."""
    config = HubConfig(settings)
    config.logger_class = HypercornLog
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEAD
    config.websocket_max_message_size = settings.limits.max_message_size
    config.keep_alive_timeout = 15
    return config
