"""A JUnit XML file, of any language's test runner, when the tests are over: suites and test cases."""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from tasktree_rt.client.joining import Joined
from tasktree_rt.integrations.nodes import Nodes

MAX_TEXT: Final = 256 * 1024
"""Characters of one message or output that are read."""
_FAULTS: Final = frozenset({"failure", "error"})
_TEXTS: Final = frozenset({*_FAULTS, "skipped", "system-out", "system-err"})


class JunitFeed:
    """See the module. Read as it comes, never held as a whole.

    A document type (DTD) is refused: its entities may expand without bound.
    """

    def __init__(self, joined: Joined, parent: str | None) -> None:
        self._nodes = Nodes(joined, parent)
        self._suites: list[str] = []
        self._failed: list[int] = []
        self._case: str | None = None
        self._found: list[tuple[str, str, list[str]]] = []
        self._size = 0
        self._well = True
        self._broken: str | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._finish
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse

    def line(self, line: str) -> str:
        """See `Feed.line`. From the first line that is no XML on, all are passed on."""
        if self._broken is None:
            try:
                self._parser.Parse(line.encode("utf-8", "replace"), False)
            except (expat.ExpatError, _Refused) as error:
                self._broken, self._well = str(error), False
            else:
                return ""
        return line

    def end(self) -> bool:
        """See `Feed.end`."""
        if self._broken is None:
            try:
                self._parser.Parse(b"", True)
            except expat.ExpatError as error:
                self._broken, self._well = str(error), False
        self._nodes.cancel_rest(f"not well-formed: {self._broken}" if self._broken else "no end in the file")
        return self._well

    @property
    def problem(self) -> str | None:
        """What is wrong with the file, if it cannot be read to its end."""
        return self._broken

    def _refuse(self, *_: object) -> None:
        raise _Refused("a document type (DTD) is not read")

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "testsuite":
            self._begin_suite(attributes)
        elif tag == "testcase":
            self._begin_case(attributes)
        elif tag in _TEXTS:
            self._found.append((tag, attributes.get("message") or attributes.get("type") or "", []))

    def _begin_suite(self, attributes: dict[str, str]) -> None:
        name = attributes.get("name") or "tests"
        above = self._suites[-1] if self._suites else None
        key = self._new(f"{above}/{name}" if above else name)
        self._nodes.begin(key, above=above, title=name, kind="suite")
        self._suites.append(key)
        self._failed.append(0)

    def _begin_case(self, attributes: dict[str, str]) -> None:
        name, kind = attributes.get("name") or "test", attributes.get("classname") or ""
        above = self._suites[-1] if self._suites else None
        self._case = self._new(f"{kind}::{name}" if kind else f"{above or ''}::{name}")
        self._found = []
        self._nodes.begin(
            self._case,
            above=above,
            title=name,
            kind="test",
            elapsed_seconds=_seconds(attributes.get("time")),
        )

    def _new(self, key: str) -> str:
        """Return the key, or with a number where two have it."""
        made, number = key, 1
        while self._nodes.known(made):
            number += 1
            made = f"{key} ({number})"
        return made

    def _text(self, data: str) -> None:
        if self._found and self._case is not None and self._size < MAX_TEXT:
            self._found[-1][2].append(data[: MAX_TEXT - self._size])
            self._size += len(data)

    def _finish(self, tag: str) -> None:
        if tag == "testcase":
            self._finish_case()
        elif tag == "testsuite" and self._suites:
            self._finish_suite()
        self._size = 0 if tag in _TEXTS else self._size

    def _finish_suite(self) -> None:
        node, failed = self._nodes.take(self._suites.pop()), self._failed.pop()
        self._found = []
        if self._failed:
            self._failed[-1] += failed
        if node is not None and failed:
            node.fail(f"{failed} failed")
        elif node is not None:
            node.complete()

    def _finish_case(self) -> None:
        node = self._nodes.take(self._case or "")
        outcome: tuple[str, str] | None = None
        for tag, message, pieces in self._found:
            printed = "".join(pieces).strip("\n")
            if tag in _FAULTS or (tag == "skipped" and outcome is None):
                outcome = (tag, ((message or printed).splitlines() or [tag])[0])
            if node is not None and printed and tag != "skipped":
                node.log(printed, level="error" if tag in _FAULTS else "info")
        self._case, self._found = None, []
        if node is None:
            return
        if outcome is None:
            node.complete()
        elif outcome[0] == "skipped":
            node.skip(outcome[1])
        else:
            self._well = False
            if self._failed:
                self._failed[-1] += 1
            node.fail(outcome[1])


class _Refused(Exception):
    pass


def _seconds(value: str | None) -> float | None:
    try:
        return None if value is None else float(value.replace(",", ""))
    except ValueError:
        return None
