"""AIECS' own types, and the question about a step, from any object with the fields of a step's result."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from tasktree_rt.compat.aiecs.values import plain, read
from tasktree_rt.core.events import Json

FIELDS: Final = ("result", "status", "error_code", "error_message")
"""Fields of a step's result that the question carries unchanged."""
MAX_MESSAGE: Final = 4_096
MAX_RESULT: Final = 4_096
"""Characters kept of a result that is too large for the hub."""

_logger: Final = logging.getLogger("tasktree_rt.compat")


@dataclass
class UserConfirmation:
    """A user's answer to a question."""

    proceed: bool
    feedback: str | None = None

    def model_dump(self, **_: object) -> Json:
        """Return both fields, as the original's model (pydantic) gives them."""
        return dict(vars(self))


@dataclass
class TaskStepResult:
    """The result of a step, and the question about it."""

    step: str
    result: Any = None
    completed: bool = False
    message: str = ""
    status: str = "completed"
    error_code: str | None = None
    error_message: str | None = None

    def model_dump(self, **_: object) -> Json:
        """Return all fields, as the original's model (pydantic) gives them."""
        return dict(vars(self))


def question(step_result: object, step: int | str | None) -> Json:
    """Make the question about a step, from any object with the fields."""
    named = plain(read(step_result, "step"))
    said = str(plain(read(step_result, "message", ""))) or f"Step {named if step is None else step}"
    asked = {name: plain(read(step_result, name)) for name in FIELDS}
    asked["step"] = named if step is None else plain(step)
    asked["message"] = said if len(said) <= MAX_MESSAGE else f"{said[: MAX_MESSAGE - 1]}…"
    if asked["status"] is None:
        del asked["status"]
    return asked


def shorten(asked: Json) -> bool:
    """Cut the largest parts of a question that the hub found too large; return False if none is left."""
    for name, most in (("result", MAX_RESULT), ("result", 0), ("error_message", MAX_RESULT // 4)):
        value = asked[name]
        shown = value if isinstance(value, str) else repr(value)
        if value is not None and len(shown) > most + 1:
            asked[name] = f"{shown[:most]}…"
            _logger.warning("%s of a question is too large for the hub and is cut", name)
            return True
    return False
