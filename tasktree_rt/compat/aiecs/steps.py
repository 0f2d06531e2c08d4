"""AIECS' own types, and what is asked about a step: any object that has the fields of a step's result."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from tasktree_rt.compat.aiecs.values import plain, read
from tasktree_rt.core.events import Json

FIELDS: Final = ("result", "status", "error_code", "error_message")
"""Of a step's result that are shown as they are."""
MAX_MESSAGE: Final = 4_096
MAX_RESULT: Final = 4_096
"""Characters that are left of a result that the hub finds too large."""

_logger: Final = logging.getLogger("tasktree_rt.compat")


@dataclass
class UserConfirmation:
    """A user's answer to a question."""

    proceed: bool
    feedback: str | None = None

    def model_dump(self, **_: object) -> Json:
        """Both fields, as the original's model (pydantic) gives them."""
        return dict(vars(self))


@dataclass
class TaskStepResult:
    """What came of a step, and what a person is asked about it."""

    step: str
    result: Any = None
    completed: bool = False
    message: str = ""
    status: str = "completed"
    error_code: str | None = None
    error_message: str | None = None

    def model_dump(self, **_: object) -> Json:
        """All fields, as the original's model (pydantic) gives them."""
        return dict(vars(self))


def question(step_result: object, step: int | str | None) -> Json:
    """What is asked about a step, of whatever object has the fields."""
    named = plain(read(step_result, "step"))
    said = str(plain(read(step_result, "message", ""))) or f"Step {named if step is None else step}"
    asked = {name: plain(read(step_result, name)) for name in FIELDS}
    asked["step"] = named if step is None else plain(step)
    asked["message"] = said if len(said) <= MAX_MESSAGE else f"{said[: MAX_MESSAGE - 1]}…"
    if asked["status"] is None:
        del asked["status"]
    return asked


def shorten(asked: Json) -> bool:
    """Cut what makes a question too large, so that it is asked all the same; False with nothing left."""
    for name, most in (("result", MAX_RESULT), ("result", 0), ("error_message", MAX_RESULT // 4)):
        value = asked[name]
        shown = value if isinstance(value, str) else repr(value)
        if value is not None and len(shown) > most + 1:
            asked[name] = f"{shown[:most]}…"
            _logger.warning("%s of a question is too large for the hub and is cut", name)
            return True
    return False
