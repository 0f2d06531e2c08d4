"""The tree that a run of pytest is: the session, its files, their tests."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pytest

from tasktree_rt.client.joining import Joined, Open, join
from tasktree_rt.integrations.naming import own_project
from tasktree_rt.integrations.nodes import Nodes

_SESSION: Final = "pytest"
_MOST_PLANNED: Final = 10_000
"""Tests that are shown before they begin; of a larger suite only the files are."""
_INTERRUPTED: Final = int(pytest.ExitCode.INTERRUPTED)
_NO_TESTS: Final = int(pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass(slots=True)
class _Test:
    """What is known of a test that runs."""

    attempt: int = 1
    failure: str | None = None
    skipped: str | None = None
    passed: str | None = None
    again: bool = False


@dataclass(slots=True)
class _File:
    """A file's count of tests: all, ended, failed."""

    tests: int = 0
    ended: int = 0
    failed: int = 0


class TestTree:
    """See the module. Nothing here raises or waits: a node's faults are the joined project's to mend.

    Attributes:
        hub: its address.
        project: the project's id.
    """

    __test__ = False  # the name is not one of a class with tests

    def __init__(self, hub: str, project: str | None, folder: str, arguments: Iterable[str]) -> None:
        named = own_project(project, folder, os.environ)
        parent = os.environ.get("TASKTREE_RT_PARENT") or None
        self.hub, self.project = hub, named.id
        self._joined: Joined = join(named.id, hub=hub)
        self._nodes = Nodes(self._joined, parent)
        self._own_state = named.own and parent is None
        self._tests: dict[str, _Test] = {}
        self._files: dict[str, _File] = {}
        self._planned: dict[str, None] = {}
        self._ended = 0
        self._failed = 0
        title = f"pytest {shlex.join(map(str, arguments))}".strip()
        fields = {"title": title, **named.fields} if named.made_up else named.fields
        if fields:
            self._joined.update(**fields)
        if self._own_state:
            self._joined.state("running")
        self._nodes.begin(_SESSION, title=title, kind="session")

    def plan(self, ids: Sequence[str]) -> None:
        """Show the tests that will run; of workers, which have all collected the same, the first counts."""
        if self._files:
            return
        for nodeid in ids:
            self._files.setdefault(_file_of(nodeid), _File()).tests += 1
        for file in self._files:
            self._nodes.plan(file, above=_SESSION, title=file, kind="file")
        if len(ids) <= _MOST_PLANNED:
            for nodeid in ids:
                self._planned[nodeid] = None
                self._nodes.plan(nodeid, above=_file_of(nodeid), title=_title_of(nodeid), kind="test")

    def fail_collecting(self, nodeid: str, text: str) -> None:
        """A file that cannot be collected has failed."""
        node = self._begin_file(nodeid or "(collecting)")
        node.log(text, level="error")
        self._files.setdefault(nodeid, _File()).failed += 1
        self._failed += 1

    def begin(self, nodeid: str) -> None:
        """A test begins."""
        self._planned.pop(nodeid, None)
        self._begin_file(_file_of(nodeid))
        self._tests.setdefault(nodeid, _Test())
        self._nodes.begin(nodeid, above=_file_of(nodeid), title=_title_of(nodeid), kind="test")

    def report(self, report: pytest.TestReport) -> None:
        """One of a test's phases has ended; the last is its teardown, or that its worker died."""
        if report.nodeid not in self._tests:
            self.begin(report.nodeid)
        test, node = self._tests[report.nodeid], self._nodes.get(report.nodeid)
        if node is None:
            return
        if hasattr(report, "context"):
            _log_subtest(node, report)
            return
        _note(test, node, report)
        if report.when == "teardown" and test.again:
            self._run_again(report.nodeid, node, test, report)
        elif report.when not in ("setup", "call"):
            _log_sections(node, report)
            self._end(report.nodeid, test)

    def finish(self, exit_code: int) -> None:
        """No more tests will run: end what is open, from the tests up to the session."""
        for nodeid in [*self._tests]:
            node = self._nodes.take(nodeid)
            if node is not None:
                node.cancel("broken off")
        self._tests.clear()
        for nodeid in self._planned:
            self._nodes.begin(nodeid, above=_file_of(nodeid))
            self._take(nodeid).skip("not run")
        self._planned.clear()
        for name, file in self._files.items():
            self._end_file(name, file)
        self._end_session(exit_code)

    def close(self) -> None:
        """Send the rest, within the two seconds that `Joined.close` takes at most."""
        self._joined.close()

    # --- tests ---------------------------------------------------------------------------------------

    def _run_again(self, nodeid: str, node: Open, test: _Test, report: pytest.TestReport) -> None:
        """A plugin repeats the test: this teardown is that of the failed attempt."""
        _log_sections(node, report)
        attempt = test.attempt + 1
        self._tests[nodeid] = _Test(attempt)
        node.again(attempt)

    def _end(self, nodeid: str, test: _Test) -> None:
        del self._tests[nodeid]
        node = self._take(nodeid)
        file = self._files.setdefault(_file_of(nodeid), _File())
        if test.failure is not None:
            file.failed += 1
            self._failed += 1
            node.fail(test.failure)
        elif test.skipped is not None:
            node.skip(test.skipped)
        else:
            node.complete(message=test.passed)
        file.ended += 1
        self._ended += 1
        self._show_progress(_file_of(nodeid), file)

    def _take(self, key: str) -> Open:
        node = self._nodes.take(key)
        assert node is not None, key
        return node

    # --- files and the session -----------------------------------------------------------------------

    def _begin_file(self, file: str) -> Open:
        return self._nodes.begin(file, above=_SESSION, title=file, kind="file")

    def _show_progress(self, name: str, file: _File) -> None:
        node, session = self._nodes.get(name), self._nodes.get(_SESSION)
        if node is not None and file.tests and file.ended < file.tests:
            node.progress(100 * file.ended / file.tests)
        elif node is not None and file.tests:
            self._end_file(name, file)
        total = sum(one.tests for one in self._files.values()) if self._ended % 20 == 0 else 0
        if session is not None and total:
            session.progress(min(100, 100 * self._ended / total), self._counts())

    def _end_file(self, name: str, file: _File) -> None:
        if not self._nodes.known(name) and file.tests:
            self._begin_file(name)
        node = self._nodes.take(name)
        if node is None:
            return
        if file.failed:
            node.fail(f"{file.failed} failed")
        elif file.ended < file.tests:
            node.cancel(f"{file.tests - file.ended} of {file.tests} not run")
        else:
            node.complete(progress=100)

    def _end_session(self, exit_code: int) -> None:
        node = self._take(_SESSION)
        state = "completed"
        if exit_code == _INTERRUPTED and not self._failed:
            state = "cancelled"
            node.cancel(f"interrupted; {self._counts()}")
        elif exit_code in (0, _NO_TESTS):
            node.complete(message=self._counts() if self._ended else "no tests ran")
        else:
            state = "failed"
            node.fail(
                self._counts() if self._failed else f"pytest: exit code {exit_code}", exit_code=exit_code
            )
        if self._own_state:
            self._joined.state(state)

    def _counts(self) -> str:
        return f"{self._failed} failed, {self._ended} ended" if self._failed else f"{self._ended} ended"


def _file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _title_of(nodeid: str) -> str:
    return nodeid.partition("::")[2] or nodeid


def _note(test: _Test, node: Open, report: pytest.TestReport) -> None:
    """Keep what a phase says of the test as a whole."""
    worker = getattr(getattr(getattr(report, "node", None), "gateway", None), "id", None)
    if report.when == "setup" and isinstance(worker, str):
        node.update(worker=worker)
    expected = getattr(report, "wasxfail", None)
    if getattr(report, "outcome", None) == "rerun":  # of pytest-rerunfailures
        test.again = True
        node.log(report.longreprtext, level="warning")
    elif report.failed:
        node.log(report.longreprtext, level="error")
        where = f"{report.when}: " if report.when in ("setup", "teardown") else ""
        test.failure = test.failure or where + _reason(report)
    elif report.skipped:
        test.skipped = f"expected to fail: {expected}" if expected is not None else _skip_reason(report)
    elif expected is not None:
        test.passed = f"passed, though it was expected to fail: {expected}"


def _log_sections(node: Open, report: pytest.TestReport) -> None:
    for _, text in report.sections:
        for line in text.splitlines():
            node.log(line)


def _log_subtest(node: Open, report: pytest.TestReport) -> None:
    if report.failed:
        node.log(report.longreprtext, level="error")


def _reason(report: pytest.TestReport) -> str:
    """Return the failure in a line: the exception and what it says."""
    crash = getattr(report.longrepr, "reprcrash", None)
    said = getattr(crash, "message", None) or report.longrepr  # of a dead worker, a text
    lines = [line for line in str(said).splitlines() if line.strip()]
    return lines[0] if lines else "failed"


def _skip_reason(report: pytest.TestReport) -> str:
    """Return the reason of a skip: the third of (file, line, reason)."""
    place = report.longrepr
    text = str(place[2]) if isinstance(place, tuple) and len(place) == 3 else report.longreprtext
    return text.removeprefix("Skipped: ")
