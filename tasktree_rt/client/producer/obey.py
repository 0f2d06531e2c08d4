"""Functions that obey commands: what they announce is read from their signature and docstring.

::

    @obeys(statuses=["failed"])
    async def retry(command: Command, *, times: int = 1) -> str:
        '''Try the node again.'''
        ...
        return "done"

    await orchestrator.obey(retry)

The command is called as the function is; its arguments are the function's keyword-only parameters.
"""

from __future__ import annotations

import inspect
import logging
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import (
    Final,
    Literal,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import trio

from tasktree_rt.client.producer.command_inbox import Command
from tasktree_rt.core.events import Json
from tasktree_rt.errors import RequestRefused

Handler = Callable[..., Awaitable[str | None]]
"""Takes the `Command`, and its arguments by name; returns the message of its result."""
H = TypeVar("H", bound=Handler)
_NAMES: Final[dict[object, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
}
_LONGEST: Final = 500
_OFFERED: Final = "__tasktree_obeys__"
_logger: Final = logging.getLogger("tasktree_rt.client")


class Offer(TypedDict, total=False):
    """What `obeys` says beside the function: for which nodes the command is, and whether it is dangerous.

    Attributes:
        name: of the command, by default the function's with ``-`` for ``_``.
        scope: ``node`` or ``project``; by default both.
        kinds, statuses: of the nodes that the command is for; by default all.
        dangerous: the dashboard asks first.
    """

    name: str
    scope: Literal["node", "project"]
    kinds: list[str]
    statuses: list[str]
    dangerous: bool


class Announcement(Offer, total=False):
    """A command as the hub is told of it; `args` is a JSON Schema of an object."""

    description: str
    args: Json


class CommandRefused(Exception):
    """A handler does not obey; the message is the reason, which the sender reads."""


def obeys(**offer: Unpack[Offer]) -> Callable[[H], H]:
    """Say for which nodes the command is that a function obeys, and whether it is dangerous."""

    def noted(handler: H) -> H:
        setattr(handler, _OFFERED, offer)
        return handler

    return noted


def announcement(handler: Handler) -> Announcement:
    """Return what the hub is told of the command that a function obeys.

    Raises:
        TypeError: a parameter is neither the command nor keyword-only, or has no type that JSON knows.
    """
    found = cast(Announcement, {"name": _name(handler), **_offer(handler)})
    description = (inspect.getdoc(handler) or "").partition("\n\n")[0].replace("\n", " ")
    if description:
        found["description"] = description[:_LONGEST]
    schema = _schema(handler)
    if schema is not None:
        found["args"] = schema
    return found


def _name(handler: Handler) -> str:
    return _offer(handler).get("name") or getattr(handler, "__name__", "").replace("_", "-")


def _offer(handler: Handler) -> Offer:
    return cast(Offer, getattr(handler, _OFFERED, {}))


def _schema(handler: Handler) -> Json | None:
    _, *parameters = inspect.signature(handler).parameters.values()
    hints = get_type_hints(handler)
    properties: Json = {}
    for one in parameters:
        if one.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"{_name(handler)}: {one.name}: expected a keyword-only parameter")
        properties[one.name] = _type(hints.get(one.name), f"{_name(handler)}: {one.name}")
        if one.default not in (inspect.Parameter.empty, None):
            properties[one.name] |= {"default": one.default}
    if not properties:
        return None
    required = [one.name for one in parameters if one.default is inspect.Parameter.empty]
    schema: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _type(hint: object, where: str) -> Json:
    """Return the JSON Schema of a type."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _NAMES or origin is dict:
        return {"type": _NAMES[dict if origin is dict else hint]}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (list, Sequence) and len(inner) == 1:
        return {"type": "array", "items": _type(inner[0], where)}
    if origin in (Union, types.UnionType):
        rest = [one for one in inner if one is not type(None)]
        if len(rest) == 1:
            return _type(rest[0], where)
    raise TypeError(
        f"{where}: expected str, int, float, bool, dict, list[…], Literal[…] or one of them | None"
    )


async def obey(commands: AsyncIterator[Command], handlers: Iterable[Handler]) -> None:
    """Obey commands as they come, several at a time, until cancelled."""
    by_name = {_name(one): one for one in handlers}
    async with trio.open_nursery() as nursery:
        async for command in commands:
            nursery.start_soon(_answer, command, by_name.get(command.name))


async def _answer(command: Command, handler: Handler | None) -> None:
    try:
        if handler is None:
            await command.refuse(f"there is no command {command.name}")
            return
        await command.accept()
        try:
            said = await handler(command, **command.args)
        except CommandRefused as why:
            await command.refuse(str(why))
        except Exception as error:
            _logger.exception("the command %s failed", command.name)
            await command.refuse(f"it failed: {type(error).__name__}: {error}")
        else:
            await command.done(said)
    except RequestRefused as error:
        _logger.info("the command %s was settled otherwise: %s", command.name, error)
