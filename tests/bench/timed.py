"""A load client that times every delivery."""

from __future__ import annotations

import time
from bisect import bisect_right

from tests.bench.client import Client
from tests.bench.wire import Speech


class TimedClient(Client):
    """Keeps how long each delivery took, in seconds, from its publish to its arrival at its watcher."""

    def __init__(self, port: int, speech: Speech | None = None, first: int = 0) -> None:
        super().__init__(port, speech, first)
        self.base = 0
        self.published: list[float] = []
        self.delays: list[float] = []

    def publishing(self, moment: float) -> None:
        """Remember when."""
        self.published.append(moment)

    def got(self, fd: int, piece: bytes | memoryview) -> None:
        """Time what is whole by now."""
        before = bisect_right(self.stream.ends, self.offsets[fd])
        super().got(fd, piece)
        now = time.perf_counter()
        for index in range(max(before, self.base), bisect_right(self.stream.ends, self.offsets[fd])):
            if index - self.base < len(self.published):
                self.delays.append(now - self.published[index - self.base])

    def forget(self) -> None:
        """Begin a new series; everything published must have arrived."""
        self.base = len(self.stream.ends)
        self.published.clear()
        self.delays.clear()
