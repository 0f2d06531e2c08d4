"""Cut a program's output into lines, as a terminal shows them at the end."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Final

MAX_LINE: Final = 16 * 1024
"""Characters; a longer line becomes several."""


class LineSplitter:
    """Give `emit` each line of the bytes that `feed` gets, without its end.

    A carriage return begins the line anew, as in a progress bar: only what follows the last one counts.
    Bytes that are no UTF-8 become U+FFFD. A line that has no end yet waits until it has one, or for `end`.
    """

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._take(self._decoder.decode(data))

    def end(self) -> None:
        """Take the end of the output: what has no line end is the last line."""
        self._take(self._decoder.decode(b"", final=True))
        rest, self._rest = _shown(self._rest), ""
        if rest:
            self._emit(rest)

    def _take(self, text: str) -> None:
        *lines, rest = (self._rest + text).split("\n")
        for line in lines:
            self._whole(_shown(line))
        text = rest.rstrip("\r")
        # Returns at the very end may belong to a line end that is still to come.
        rest = text.rpartition("\r")[2] + ("\r" if text != rest else "")
        while len(rest) > MAX_LINE:
            self._emit(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._rest = rest

    def _whole(self, line: str) -> None:
        for start in range(0, len(line) or 1, MAX_LINE):
            self._emit(line[start : start + MAX_LINE])


def _shown(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]
