"""pytest's plugin: the tests of a run as a tree, live. It does nothing unless a hub is named.

``pytest --tasktree`` or the variable ``TASKTREE_RT_HUB`` names it. With pytest-xdist only the controller
speaks: every worker's reports come there. The hub need not answer: no test waits for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasktree_rt.integrations.pytest_tree import TestTree

DEFAULT_HUB: Final = "http://127.0.0.1:8000"
"""As `client.urls.DEFAULT_HUB`; a suite without a hub loads nothing of the client."""
_NAME: Final = "tasktree-rt-reporter"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("tasktree", "tasktree-rt")
    group.addoption(
        "--tasktree",
        nargs="?",
        const=DEFAULT_HUB,
        metavar="HUB",
        help=f"Show the tests live at this hub; default: $TASKTREE_RT_HUB, without a value {DEFAULT_HUB}.",
    )
    group.addoption(
        "--tasktree-project",
        metavar="PROJECT",
        help="As this project; default: $TASKTREE_RT_PROJECT, else a new one.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to report, unless this is a worker, only collects, or no hub is named."""
    hub = config.getoption("--tasktree") or os.environ.get("TASKTREE_RT_HUB")
    if not hub or hasattr(config, "workerinput") or config.option.collectonly:
        return
    from tasktree_rt.integrations.pytest_tree import TestTree

    tree = TestTree(
        hub, config.getoption("--tasktree-project"), config.rootpath.name, config.invocation_params.args
    )
    config.pluginmanager.register(Reporter(tree), _NAME)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Send the rest; this takes two seconds at most."""
    reporter = config.pluginmanager.unregister(name=_NAME) if config.pluginmanager.hasplugin(_NAME) else None
    if isinstance(reporter, Reporter):
        reporter.tree.close()


class Reporter:
    """Hands pytest's hooks on to the tree."""

    def __init__(self, tree: TestTree) -> None:
        self.tree = tree

    def pytest_report_header(self) -> str:
        """Say where the tests can be seen."""
        return f"tasktree-rt: project {self.tree.project} at {self.tree.hub}"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers: plan the tests."""
        self.tree.plan([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """With workers: each has collected the same."""
        self.tree.plan(ids)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that cannot be collected has failed."""
        if report.failed:
            self.tree.fail_collecting(report.nodeid, report.longreprtext)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self.tree.begin(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One of a test's phases has ended."""
        self.tree.report(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int | pytest.ExitCode) -> None:
        """All tests have ended, or no more will run."""
        self.tree.finish(int(exitstatus))
