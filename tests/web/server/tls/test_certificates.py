"""The certificate in force: replaced when its files change, kept while they do not fit."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from tasktree_rt.errors import SettingsError
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Tls
from tasktree_rt.web.server.tls.certificates import DAY, Certificates
from tests.certificates import Authority, Pair

END = "tasktree_tls_certificate_expires_timestamp_seconds"


class Files:
    """A certificate in force, its files, and what else may stand in them."""

    def __init__(self, authority: Authority, folder: Path, days: float = 90.0) -> None:
        self.authority = authority
        first = authority.issue(days=days)
        self.pair = Pair(folder / "cert.pem", folder / "key.pem")
        self.put(first)
        self.meter = Metrics()
        self.now = time.time()
        settings = Tls(certfile=str(self.pair.cert), keyfile=str(self.pair.key), reload_interval=10.0)
        self.certificates = Certificates(settings, self.meter, lambda: self.now)

    def put(self, pair: Pair) -> None:
        """Replace both files."""
        for source, target in ((pair.cert, self.pair.cert), (pair.key, self.pair.key)):
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)

    def value(self, name: str, **labels: str) -> float | None:
        return self.meter.registry.get_sample_value(name, labels)


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Files:
    return Files(authority, tmp_path)


async def look(clock: trio.testing.MockClock, files: Files) -> None:
    """Let the watching task look once; its thread takes real time."""
    before = files.value("tasktree_tls_certificate_reloads_total", outcome="done")
    failed = files.value("tasktree_tls_certificate_reloads_total", outcome="failed")
    clock.jump(10.0)
    for _ in range(200):
        await trio.testing.wait_all_tasks_blocked(0.005)
        now = files.value("tasktree_tls_certificate_reloads_total", outcome="done")
        if (now, files.value("tasktree_tls_certificate_reloads_total", outcome="failed")) != (before, failed):
            return


async def test_changed_files_are_in_force_without_a_signal(
    files: Files, nursery: trio.Nursery, mock_clock: trio.testing.MockClock
) -> None:
    before = files.certificates.context
    nursery.start_soon(files.certificates.watch)
    await trio.testing.wait_all_tasks_blocked()
    files.put(files.authority.issue(days=200))
    with capture_logs() as logs:
        await look(mock_clock, files)
    assert files.certificates.context is not before
    assert files.value(END) == pytest.approx(time.time() + 200 * DAY, abs=60)
    assert [one["event"] for one in logs] == ["certificate in force"]
    nursery.cancel_scope.cancel()


async def test_files_that_do_not_fit_yet_change_nothing_and_are_logged_once(
    files: Files, nursery: trio.Nursery, mock_clock: trio.testing.MockClock
) -> None:
    before = files.certificates.context
    nursery.start_soon(files.certificates.watch)
    await trio.testing.wait_all_tasks_blocked()
    new = files.authority.issue("new", days=200)
    shutil.copy(new.cert, files.pair.cert)  # its key is still to come
    with capture_logs() as logs:
        await look(mock_clock, files)
        await look(mock_clock, files)
    assert files.certificates.context is before
    assert [one["event"] for one in logs] == ["new certificate refused; the one in force stays"]
    assert "the private key of another certificate" in logs[0]["reason"]
    shutil.copy(new.key, files.pair.key)
    await look(mock_clock, files)
    assert files.certificates.context is not before
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("data", [b"", b"nonsense", None], ids=["empty", "nonsense", "gone"])
async def test_a_reload_of_what_is_no_certificate_keeps_the_one_in_force(
    files: Files, data: bytes | None
) -> None:
    before = files.certificates.context
    if data is None:
        files.pair.cert.unlink()
    else:
        files.pair.cert.write_bytes(data)
    with pytest.raises(SettingsError, match=r"tls\.certfile: "):
        await files.certificates.reload()
    assert files.certificates.context is before
    assert files.value("tasktree_tls_certificate_reloads_total", outcome="failed") == 1


async def test_an_expired_new_certificate_is_refused(files: Files) -> None:
    before = files.certificates.context
    files.put(files.authority.issue(days=-1))
    with pytest.raises(SettingsError, match="expired"):
        await files.certificates.reload()
    assert files.certificates.context is before


async def test_the_end_of_a_certificate_is_warned_of_once_a_day(
    authority: Authority, tmp_path: Path, nursery: trio.Nursery, mock_clock: trio.testing.MockClock
) -> None:
    with capture_logs() as logs:
        files = Files(authority, tmp_path, days=16)
        nursery.start_soon(files.certificates.watch)
        for _ in range(3):  # one look is 10 s of the clock; the wall goes on by half a day
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(10.0)
            files.now += DAY / 2
        await trio.testing.wait_all_tasks_blocked()
        assert not logs
        for _ in range(6):
            files.now += DAY / 2
            mock_clock.jump(10.0)
            await trio.testing.wait_all_tasks_blocked()
    warned = [(one["log_level"], one["event"], one["days"]) for one in logs]
    assert warned == [("warning", "certificate ends soon", days) for days in (13, 12, 11)]
    nursery.cancel_scope.cancel()
