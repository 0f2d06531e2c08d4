"""Commands of watchers to the orchestrator of a project, and their results.

A command is the event ``command``; the orchestrator's result is ``command_result``. ``done``, ``refused``
and ``timeout`` settle a command, ``accepted`` does not.
"""

from __future__ import annotations

import re
from typing import Final

from tasktree_rt.core.events import Json, shown
from tasktree_rt.core.ids import is_node_id
from tasktree_rt.errors import InvalidInput

MAX_ID: Final = 128
MAX_MESSAGE: Final = 4_096
ANSWERS: Final = ("accepted", "done", "refused")
SETTLING: Final = frozenset({"done", "refused", "timeout", "cancelled"})

COMMAND_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


def read_instruction(given: Json) -> Json:
    """Read the ``name``, ``node_id`` and ``args`` of a command.

    Raises:
        InvalidInput: naming the field.
    """
    name, node_id, args = given.get("name"), given.get("node_id"), given.get("args")
    if not isinstance(name, str) or COMMAND_NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"expected 1-64 characters of A-Z a-z 0-9 . _ : -, got {shown(name)}", field="name"
        )
    instruction: Json = {"name": name}
    if node_id is not None:
        if not is_node_id(node_id):
            expected = "expected 1-512 characters without control characters"
            raise InvalidInput(f"{expected}, got {shown(node_id)}", field="node_id")
        instruction["node_id"] = node_id
    if args is not None:
        if not isinstance(args, dict):
            raise InvalidInput(f"expected an object, got {shown(args)}", field="args")
        instruction["args"] = args
    return instruction


def read_result(given: Json) -> Json:
    """Read the ``command_id``, ``status`` and ``message`` of an orchestrator's result.

    Raises:
        InvalidInput: naming the field.
    """
    name, status, message = given.get("command_id"), given.get("status"), given.get("message")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
        raise InvalidInput(f"expected 1-{MAX_ID} characters, got {shown(name)}", field="command_id")
    if status not in ANSWERS:
        raise InvalidInput(f"expected one of {', '.join(ANSWERS)}, got {shown(status)}", field="status")
    result: Json = {"command_id": name, "status": status}
    if message is not None:
        if not isinstance(message, str) or len(message) > MAX_MESSAGE:
            expected = f"expected at most {MAX_MESSAGE} characters"
            raise InvalidInput(f"{expected}, got {shown(message)}", field="message")
        result["message"] = message
    return result
