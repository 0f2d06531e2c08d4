"""A node that is not a block: begun and ended by calls, from any thread, in any order."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

from tasktree_rt.client.joining import context
from tasktree_rt.client.joining.fields import percent
from tasktree_rt.client.joining.outcome import (
    ENDED,
    WAITING,
    is_cancellation,
    is_success,
    last_line,
    new_traceback,
    short_text,
)
from tasktree_rt.client.joining.plain_json import Json, now_text, text_of


class Host(Protocol):
    """What a node needs of what it belongs to. None of it raises or waits."""

    @property
    def project_id(self) -> str:
        """The project."""

    def node(self, id: str, *, parent: Open, **fields: Any) -> Open:
        """Begin a node under `parent`."""

    def begin(self, node: Open, attempt: int | None) -> tuple[int, Json]:
        """Note that a node begins, or goes on; returns which attempt this is, and the fields to send."""

    def ended(self, node: Open, status: str) -> None:
        """Note that a node ended, or waits."""

    def put(self, node_id: str, changes: Json) -> None:
        """Send fields that the node made itself."""

    def set(self, node_id: str, changes: Json) -> None:
        """Send fields that the program gave, mended where they are unfit."""

    def line(self, message: str, *, level: str, node_id: str | None, extra: Json) -> None:
        """Send a line of output."""

    def misused(self, what: str) -> None:
        """The program did what makes no sense."""


class Open:
    """One node, made by `Joined.node`, and ``running`` since.

    Any thread may call; nothing waits for the hub or raises. The node ends once: by `complete`, `fail`,
    `cancel` or `skip`; later ends are ignored. As a block (``with``) it is the current node within, and ends
    by itself: completed (after ``sys.exit(0)`` too), failed after an exception, cancelled after a
    cancellation or Ctrl+C.

    Attributes:
        id: unique in the project.
        parent_id: the node that it is under; None: at the top, or where it was before.
        fields: those it was made with.
    """

    def __init__(self, host: Host, id: str, parent_id: str | None, fields: Json) -> None:
        self.id = id
        self.parent_id = parent_id
        self.fields = fields
        self._host = host
        self._status: str | None = None
        self._attempt = 1
        self._has_progress = "progress" in fields
        self._ends: list[None] = []
        """One element while it may end: taking it out is atomic, without a lock that a fork may keep held."""
        self._entered: list[context.Entered] = []

    @property
    def project_id(self) -> str:
        """The project that it is a node of."""
        return self._host.project_id

    @property
    def status(self) -> str | None:
        """The status last sent; None before it began."""
        return self._status

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._attempt

    # --- while it runs -------------------------------------------------------------------------------

    def update(self, **fields: Any) -> None:
        """Set fields: ``title``, ``message``, ``kind``, ``model``, ``output`` … None removes one."""
        self._has_progress = self._has_progress or "progress" in fields
        self._host.set(self.id, fields)

    def progress(self, percentage: float, message: str | None = None) -> None:
        """From 0 to 100 (what is beyond counts as that); sent as often as makes sense, the latest always."""
        self._has_progress = True
        number = percent(percentage)
        if number is None:
            self._host.misused(
                f"node {self.id!r}: progress: expected a number, got {text_of(percentage)[:40]}"
            )
        elif message is None:
            self._host.put(self.id, {"progress": number})
        else:
            self._host.set(self.id, {"progress": number, "message": message})

    def usage(self, *, cost_usd: float | None = None, **tokens: int) -> None:
        """Say what this attempt has used so far: ``input_tokens``, ``output_tokens`` …, and US dollars."""
        self.update(usage=tokens, **({} if cost_usd is None else {"cost_usd": cost_usd}))

    def log(self, message: object, *, level: str = "info", stream: str | None = None) -> None:
        """Send a line of output of this node."""
        self.line(text_of(message), level, {} if stream is None else {"stream": stream})

    def line(self, message: str, level: str, extra: Json) -> None:
        """Send a line of output with other fields besides."""
        self._host.line(message, level=level, node_id=self.id, extra=extra)

    def child(self, id: str, **fields: Any) -> Open:
        """Begin a node under this one, whatever thread or task this is."""
        return self._host.node(id, parent=self, **fields)

    # --- ends ----------------------------------------------------------------------------------------

    def complete(self, **fields: Any) -> None:
        """It did what it should."""
        done: Json = {"progress": 100} if self._has_progress else {}
        self._end("completed", done, fields)

    def fail(self, error: BaseException | str, **fields: Any) -> None:
        """It failed. An exception's traceback becomes a line of output of the first node that tells it."""
        if not self._may_end():
            return
        if isinstance(error, BaseException):
            if (trace := new_traceback(error)) is not None:
                self.log(trace, level="error")
            message = last_line(error)
        else:
            message = short_text(text_of(error))
        self._end("failed", {"message": message}, fields)

    def cancel(self, message: str | None = None) -> None:
        """It was broken off."""
        self._end("cancelled", _message(message), {})

    def skip(self, reason: str | None = None) -> None:
        """It did not have to be done."""
        self._end("skipped", _message(reason), {})

    def wait(self, message: str | None = None) -> None:
        """It waits for somebody (``review``), without an end: also where its block is left now.

        `resume`, or another `node` of the same id, takes it up again; it may also be ended as it is.
        """
        if self._may_end() and self._status != WAITING:
            self._turn(WAITING, _message(message))
            self._host.ended(self, WAITING)

    def resume(self) -> None:
        """It goes on after `wait`."""
        if self._status == WAITING and self._may_end():
            self._host.begin(self, self._attempt)
            self._turn("running", {})

    def again(self, attempt: int | None = None) -> None:
        """Try once more: ``failed``, ``ready``, ``running``. `attempt` counts from 1; by default one more."""
        if self._may_end():
            self._end("failed", {}, {})
        self.start(self._attempt + 1 if attempt is None else attempt)

    def start(self, attempt: int | None = None) -> Self:
        """Not needed after `Joined.node`, which does it: it runs from now on."""
        if self._may_end():
            return self
        self._attempt, begun = self._host.begin(self, attempt)
        self._ends.append(None)
        self._turn("running", begun)
        return self

    def _may_end(self) -> bool:
        return bool(self._ends)

    def _end(self, status: str, own: Json, fields: Json) -> None:
        try:
            self._ends.pop()
        except IndexError:
            return
        if fields:
            self._host.set(self.id, fields)
        if self._status == WAITING and status == "failed":
            self._turn("running", {})  # the lifecycle knows no failure of what waits
        self._turn(status, own)
        self._host.ended(self, status)

    def _turn(self, status: str, changes: Json) -> None:
        if status in ENDED:
            changes = {**changes, "ended_at": now_text()}
        self._status = status
        self._host.put(self.id, {**changes, "status": status})

    # --- as a block ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        self._entered.append(context.enter(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._entered:
            context.leave(self._entered.pop())
        self.end_by(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def end_by(self, error: BaseException | None) -> None:
        """End as a block that this exception, or none, ended; a node that waits goes on waiting."""
        if error is None or is_success(error):
            if self._status != WAITING:
                self.complete()
        elif is_cancellation(error):
            self.cancel()
        else:
            self.fail(error)


def _message(given: object) -> Json:
    return {} if given is None else {"message": short_text(text_of(given))}
