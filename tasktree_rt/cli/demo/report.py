"""Report the demo's progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import define, field
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tasktree_rt.cli.safe_text import printable

FAULTS: Final = 20
"""Maximum number of failed files to list; the others are counted."""


@contextmanager
def reporting(console: Console) -> Iterator[Bar | Lines]:
    """Make a report for as long as the job runs."""
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files, {task.fields[failed]} failed"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(console, progress, progress.add_task("walking", total=None, failed=0))


@define
class Faults:
    """Print the first failed files."""

    console: Console
    failed: int = 0

    def tell(self, path: bytes, fault: str) -> None:
        """Report one more file that failed."""
        self.failed += 1
        if self.failed <= FAULTS:
            name = printable(path.decode("utf-8", "replace"))
            self.console.print(f"  failed: {escape(name)}: {escape(fault)}", highlight=False)
        elif self.failed == FAULTS + 1:
            self.console.print("  (more failed; the tree shows them all)", highlight=False)


@define
class Bar:
    """Report by a progress bar, for a terminal."""

    console: Console
    progress: Progress
    task: TaskID
    _faults: Faults = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Print failed files above the bar."""
        self._faults = Faults(self.progress.console)

    def walked(self, folders: int, files: int) -> None:
        """See `run.Report`."""
        self.progress.update(self.task, description="working", total=files)
        self.console.print(f"{folders} folders, {files} files", highlight=False)

    def left_out(self, what: str) -> None:
        """See `run.Report`."""
        self.console.print(escape(what), highlight=False)

    def worked(self, path: bytes, fault: str | None) -> None:
        """See `run.Report`."""
        if fault is not None:
            self._faults.tell(path, fault)
        self.progress.update(self.task, advance=1, failed=self._faults.failed)


@define
class Lines:
    """Report a line for each tenth of the work."""

    console: Console
    _files: int = 0
    _done: int = 0
    _faults: Faults = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Print failed files as lines."""
        self._faults = Faults(self.console)

    def walked(self, folders: int, files: int) -> None:
        """See `run.Report`."""
        self._files = files
        self._say(f"{folders} folders, {files} files")

    def left_out(self, what: str) -> None:
        """See `run.Report`."""
        self._say(what)

    def worked(self, path: bytes, fault: str | None) -> None:
        """See `run.Report`."""
        if fault is not None:
            self._faults.tell(path, fault)
        tenths = 10 * self._done // max(1, self._files)
        self._done += 1
        if 10 * self._done // max(1, self._files) > tenths:
            self._say(f"{self._done} of {self._files} files, {self._faults.failed} failed")

    def _say(self, text: str) -> None:
        self.console.print(escape(text), highlight=False, soft_wrap=True)


@define
class Afterwards:
    """Report after the run: a line for each retried file."""

    console: Console

    def walked(self, folders: int, files: int) -> None:
        """See `run.Report`."""

    def left_out(self, what: str) -> None:
        """See `run.Report`."""

    def worked(self, path: bytes, fault: str | None) -> None:
        """See `run.Report`."""
        name = printable(path.decode("utf-8", "replace"))
        told = "completed" if fault is None else f"failed: {fault}"
        self.console.print(f"  tried again: {escape(name)}: {escape(told)}", highlight=False)
