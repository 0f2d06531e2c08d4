"""``go test -json``: packages, tests and subtests, live (the format of ``go doc test2json``)."""

from __future__ import annotations

from collections import deque
from typing import Final

from tasktree_rt.client.joining import Joined
from tasktree_rt.integrations.feeds.base import Json, json_object, text
from tasktree_rt.integrations.nodes import Nodes

_KEPT: Final = 200
"""Lines of a test that are printed if it fails."""
_CHATTER: Final = ("=== RUN", "=== PAUSE", "=== CONT", "=== NAME")


class GoFeed:
    """See the module. Prints what ``go test`` prints: the packages, and what a failed test has printed."""

    def __init__(self, joined: Joined, parent: str | None) -> None:
        self._nodes = Nodes(joined, parent)
        self._printed: dict[str, deque[str]] = {}
        self._unbuilt: set[str] = set()
        self._well = True

    def line(self, line: str) -> str:
        """See `Feed.line`."""
        event = json_object(line)
        if event is None or not text(event, "Action"):
            return line
        # A build names the variant too: "example.com/shop [example.com/shop.test]".
        name = text(event, "Package") or text(event, "ImportPath").partition(" [")[0]
        return self._event(event, text(event, "Action"), name, text(event, "Test"))

    def end(self) -> bool:
        """See `Feed.end`. A test whose end is missing was broken off."""
        for package in self._unbuilt:  # one that is imported only has no other end
            node = self._nodes.take(package)
            if node is not None:
                node.fail("does not build")
        return not self._nodes.cancel_rest("go test ended before it did") and self._well

    def _event(self, event: Json, action: str, package: str, test: str) -> str:
        key = f"{package}/{test}" if test else package
        if action in ("build-output", "output"):
            return self._output(key, package, test, text(event, "Output"), action)
        if action in ("start", "run"):
            self._begin(package, test)
        elif action in ("pause", "cont"):
            waiting = "paused until the other tests of the package have run" if action == "pause" else None
            self._begin(package, test)
            self._update(key, waiting)
        elif action in ("pass", "bench"):
            self._printed.pop(key, None)
            self._begin(package, test)
            self._complete(key, event)
        elif action == "skip":
            self._skip(package, test)
        elif action == "build-fail":
            self._well = False
            self._unbuilt.add(package)
        elif action == "fail":
            return self._fail(event, key, package, test)
        return ""

    def _begin(self, package: str, test: str) -> None:
        if not test:
            self._nodes.begin(package, title=package, kind="package")
            return
        if not self._nodes.is_open(package):
            self._begin(package, "")
        above = self._above(package, test)
        title = test[len(above) + 1 :] if above else test
        self._nodes.begin(
            f"{package}/{test}", above=f"{package}/{above}" if above else package, title=title, kind="test"
        )

    def _above(self, package: str, test: str) -> str:
        """Return the test that a subtest is of: the longest one that runs. Names may have slashes too."""
        above = test.rpartition("/")[0]
        while above and not self._nodes.is_open(f"{package}/{above}"):
            above = above.rpartition("/")[0]
        return above

    def _update(self, key: str, message: str | None) -> None:
        node = self._nodes.get(key)
        if node is not None:
            node.update(message=message)

    def _complete(self, key: str, event: Json) -> None:
        node = self._nodes.take(key)
        if node is not None:
            node.complete(message=None, elapsed_seconds=event.get("Elapsed"))

    def _skip(self, package: str, test: str) -> None:
        key = f"{package}/{test}" if test else package
        self._begin(package, test)
        reason = self._reason(key) if test else "no test files"
        node = self._nodes.take(key)
        if node is not None:
            node.skip(reason)

    def _fail(self, event: Json, key: str, package: str, test: str) -> str:
        self._well = False
        self._begin(package, test)
        printed = "".join(self._printed.pop(key, ()))
        node = self._nodes.take(key)
        if node is not None:
            broken = text(event, "FailedBuild")
            node.fail("does not build" if broken else self._why(printed) or "failed")
        return printed if test else ""

    def _reason(self, key: str) -> str | None:
        return self._why("".join(self._printed.pop(key, ())))

    def _why(self, printed: str) -> str | None:
        """Return the first line that the test itself printed."""
        for line in printed.splitlines():
            if line.strip() and not line.lstrip().startswith("--- "):
                return line.strip()
        return None

    def _output(self, key: str, package: str, test: str, output: str, action: str) -> str:
        if output.startswith(_CHATTER):
            return ""
        self._begin(package, test)
        node = self._nodes.get(key)
        if node is not None and output.strip():
            node.log(output.rstrip("\n"), level="error" if action == "build-output" else "info")
        if test:
            self._printed.setdefault(key, deque(maxlen=_KEPT)).append(output)
            return ""
        return "" if output == "PASS\n" else output
