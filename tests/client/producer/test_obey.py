"""What a function that obeys a command announces, and how it is called."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from tasktree_rt.client.producer.obey import announcement, obeys
from tasktree_rt.core.announcement import read_announcement
from tasktree_rt.core.json_schema import PlainJudge


async def test_a_function_announces_its_name_its_docstring_and_its_arguments() -> None:
    @obeys(statuses=["failed"], kinds=["llm"], scope="node", dangerous=True)
    async def try_again(
        command: Any, *, times: int, how: Literal["fast", "slow"] = "fast", notes: list[str] | None = None
    ) -> None:
        """Try the node again,
        from its beginning.

        More than that is for programmers.
        """

    said = announcement(try_again)
    assert said == {
        "name": "try-again",
        "description": "Try the node again, from its beginning.",
        "scope": "node",
        "kinds": ["llm"],
        "statuses": ["failed"],
        "dangerous": True,
        "args": {
            "type": "object",
            "additionalProperties": False,
            "required": ["times"],
            "properties": {
                "times": {"type": "integer"},
                "how": {"enum": ["fast", "slow"], "default": "fast"},
                "notes": {"type": "array", "items": {"type": "string"}},
            },
        },
    }
    assert read_announcement([said], PlainJudge()) == (said,)


async def test_a_function_without_arguments_announces_no_schema() -> None:
    async def pause(command: Any) -> None: ...

    assert announcement(pause) == {"name": "pause"}


async def test_parameters_that_no_form_can_ask_for_are_refused_at_once() -> None:
    async def positional(command: Any, times: int) -> None: ...

    async def untyped(command: Any, *, times) -> None: ...  # type: ignore[no-untyped-def]

    async def object_of_its_own(command: Any, *, what: Exception) -> None: ...

    for handler in (positional, untyped, object_of_its_own):
        with pytest.raises(TypeError, match=handler.__name__.replace("_", "-")):
            announcement(handler)
