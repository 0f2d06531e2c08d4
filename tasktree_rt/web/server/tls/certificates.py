"""Hold the certificate in force, and replace it when its files change or at SIGHUP."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Final

import trio
from structlog import get_logger

from tasktree_rt.errors import SettingsError
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Tls
from tasktree_rt.web.file_stamp import FileStamp, file_stamp
from tasktree_rt.web.server.tls.certificate_files import Certificate, load

log = get_logger(__name__)

DAY: Final = 86_400.0
SOON: Final = 14 * DAY
"""Seconds before its end from which a certificate is logged as a warning, once a day."""


class Certificates:
    """The certificate in force. New connections use `context`; running ones keep that of their begin.

    Raises:
        SettingsError: the files cannot be used (`certificate_files.load`).
    """

    def __init__(self, settings: Tls, meter: Metrics, wall: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._meter = meter
        self._wall = wall
        self._stamp = self._look()
        self._warned = -DAY
        self._problem = ""
        self._certificate: Certificate
        self._take(load(settings, wall()))

    @property
    def context(self) -> ssl.SSLContext:
        """Return the context of the certificate in force."""
        return self._certificate.context

    @property
    def asks_clients(self) -> bool:
        """Return whether the hub asks clients for a certificate."""
        return bool(self._settings.client_ca)

    async def reload(self) -> None:
        """Read the files again, in a thread. If that fails, the certificate in force stays.

        Raises:
            SettingsError: the files cannot be used.
        """
        stamp = self._look()
        try:
            found = await trio.to_thread.run_sync(load, self._settings, self._wall())
        except SettingsError:
            self._meter.certificate_reloaded("failed")
            raise
        self._stamp, self._problem = stamp, ""
        self._meter.certificate_reloaded("done")
        self._take(found)
        log.info("certificate in force", subject=found.subject, expires=_day(found.expires))

    async def watch(self) -> None:
        """Reload whenever a file has changed, until cancelled. Log a certificate that ends soon once a day.

        Files that do not fit each other yet are tried again at each look, and logged once.
        """
        interval = self._settings.reload_interval
        while True:
            await trio.sleep(interval or DAY)
            if interval and self._look() != self._stamp:
                await self._reload_changed()
            self._warn()

    async def _reload_changed(self) -> None:
        try:
            await self.reload()
        except SettingsError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.error("new certificate refused; the one in force stays", reason=self._problem)

    def _take(self, found: Certificate) -> None:
        self._certificate = found
        self._meter.certificate_expires(found.expires)
        self._warned = -DAY
        self._warn()

    def _warn(self) -> None:
        now, expires = self._wall(), self._certificate.expires
        if expires - now < SOON and now - self._warned >= DAY:
            self._warned = now
            log.warning("certificate ends soon", expires=_day(expires), days=int((expires - now) // DAY))

    def _look(self) -> tuple[FileStamp, ...]:
        settings = self._settings
        paths = (settings.certfile, settings.keyfile, settings.keyfile_password_file, settings.client_ca)
        return tuple(file_stamp(path) for path in paths if path)


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))
