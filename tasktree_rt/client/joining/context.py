"""The current node: a context variable, and how it gets into the threads of a pool.

Tasks of Trio and asyncio, `trio.to_thread.run_sync` and `asyncio.to_thread` take it along by themselves. A
thread of `threading.Thread`, and one of a pool's, begins without: `in_context` and `carry` hand it on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import ContextVar, Token, copy_context
from functools import partial
from typing import Any, Final, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Placed(Protocol):
    """What every node has, whatever sends its events."""

    @property
    def id(self) -> str:
        """Unique in its project."""

    @property
    def project_id(self) -> str:
        """The project that it is a node of."""


_current: Final[ContextVar[Placed | None]] = ContextVar("tasktree_rt_node", default=None)
Entered = Token[Placed | None]


class FromContext:
    """Says: under the current node."""

    def __repr__(self) -> str:
        return "<the current node>"


FROM_CONTEXT: Final = FromContext()


def current() -> Placed | None:
    """The node within whose block this is running."""
    return _current.get()


def node_above(project_id: str, own: str) -> str | None:
    """The id of the current node, if a node of id `own` of this project can be under it."""
    found = current()
    return None if found is None or found.project_id != project_id or found.id == own else found.id


def enter(node: Placed) -> Entered:
    """Make `node` the current one; `leave` takes what is returned."""
    return _current.set(node)


def leave(entered: Entered) -> None:
    """Make current what was so before."""
    try:
        _current.reset(entered)
    except (ValueError, RuntimeError):
        return  # left in another context than entered in, which knows nothing of it, or a second time


def in_context(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, to be called in any thread: within it the current node is that of now."""
    context = copy_context()

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(partial(function, *args, **kwargs))

    return call


class CarryingPool(Executor):
    """A pool whose threads have the current node of who submits; see `carry`."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """As ``Executor.submit``."""
        return self._pool.submit(copy_context().run, partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As ``Executor.shutdown``."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the pool has besides
        return getattr(self._pool, name)


def carry(pool: Executor) -> Executor:
    """A `ThreadPoolExecutor` that hands the current node of who submits to what is run: `submit` and `map`.

    A pool of processes cannot take it along: use `environment` of the run there, and `join` in the child.
    """
    return CarryingPool(pool)
