"""The decorator that makes every call of a function a node."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar, cast, overload
from weakref import WeakKeyDictionary

from tasktree_rt.client.joining.delivery import warn_once
from tasktree_rt.client.joining.outcome import short_text
from tasktree_rt.client.run.base import BaseRun, current_run
from tasktree_rt.client.run.node import Node

P = ParamSpec("P")
R = TypeVar("R")

_calls: Final[WeakKeyDictionary[BaseRun[Any], dict[str, int]]] = WeakKeyDictionary()
_counting: Final = threading.Lock()


@overload
def node(id: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def node(
    id: str | None = None, /, *, run: BaseRun[Any] | None = None, **fields: Any
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def node(
    id: str | Callable[..., Any] | None = None,
    /,
    *,
    run: BaseRun[Any] | None = None,
    **fields: Any,
) -> Any:
    """Make every call of a function, sync or async, a node under the current one.

    ::

        @node
        def compile(): …

        @node("fetch-{page}", title="Page {page}")
        async def fetch(page): …

    `id` and ``title`` are formatted with the call's arguments. Without an `id` it is the function's name,
    from the second call of the run on with ``#2``, ``#3`` … What a call returns or raises it returns or
    raises. `run` is the one whose node it is; by default `current_run`. Outside of every run it is just
    called, which is told once.

    Nothing that goes wrong with the node reaches the function, unless the run is strict.

    Raises:
        TypeError: generators, which are suspended in the middle, cannot be nodes.
    """
    if callable(id):
        return _decorated(id, None, run, fields)
    return lambda function: _decorated(function, id, run, fields)


def _decorated(
    function: Callable[..., Any], id: str | None, run: BaseRun[Any] | None, fields: dict[str, Any]
) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__} is a generator: enter a node in it instead")
    made = functools.partial(_make, function, inspect.signature(function), id, run, fields)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> object:
            found = made(args, kwargs)
            if found is None:
                return await function(*args, **kwargs)
            async with found:
                return await function(*args, **kwargs)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> object:
        found = made(args, kwargs)
        if found is None:
            return function(*args, **kwargs)
        with found:
            return function(*args, **kwargs)

    return call


def _make(
    function: Callable[..., Any],
    signature: inspect.Signature,
    id: str | None,
    run: BaseRun[Any] | None,
    fields: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Node | None:
    chosen = current_run() if run is None else run
    if chosen is None:
        warn_once(
            "no run", "@node: %s was called outside of every run; it is not shown", function.__qualname__
        )
        return None
    try:
        return _named(chosen, function, signature, id, fields, args, kwargs)
    except Exception as error:
        if chosen.strict:
            raise
        warn_once("no node", "@node: %s is not shown: %s", function.__qualname__, error)
        return None


def _named(
    chosen: BaseRun[Any],
    function: Callable[..., Any],
    signature: inspect.Signature,
    id: str | None,
    fields: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Node:
    if id is None and "title" not in fields:
        return cast(Node, chosen.node(_numbered(chosen, function.__name__), **fields))
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    name = _numbered(chosen, function.__name__) if id is None else id.format_map(bound.arguments)
    if "title" in fields:
        fields = {**fields, "title": short_text(str(fields["title"]).format_map(bound.arguments))}
    return cast(Node, chosen.node(name, **fields))


def _numbered(run: BaseRun[Any], name: str) -> str:
    with _counting:
        calls = _calls.setdefault(run, {})
        calls[name] = calls.get(name, 0) + 1
        return name if calls[name] == 1 else f"{name}#{calls[name]}"
