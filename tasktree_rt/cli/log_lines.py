"""Format ``log`` events for a terminal, with their colours, and for pipes, without colours.

The format follows docs/protocol.md, "Log text" (`core.terminal`). From any message a terminal gets only
colours and text, never a sequence that moves its cursor, sets its title or asks for a reply.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tasktree_rt.core.events import Json
from tasktree_rt.core.terminal import shown_lines, shown_text
from tasktree_rt.core.terminal_row import Run
from tasktree_rt.core.text_style import PLAIN

RESET: Final = "\x1b[0m"
_LEVELS: Final = {"warning": "\x1b[33m", "warn": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_DIM: Final = "\x1b[2m"
_INDENT: Final = "    "


@frozen
class Printer:
    """The format of lines.

    Attributes:
        colours: standard output is a terminal.
        named: whether each line names its node.
    """

    colours: bool
    named: bool

    def text(self, event: Json) -> str:
        """Format a ``log`` event: time, level, node, message; continuation lines are indented."""
        data = event.get("data", {})
        level, node = _word(data.get("level")) or "info", _word(data.get("node_id"))
        head = f"{_word(event.get('timestamp'))} {level:<7}"
        if self.named and node:
            head += f" {node}:"
        if self.colours:
            head = f"{_LEVELS.get(level.lower(), _DIM)}{head}{RESET}"
        message = data.get("message")
        first, *rest = map(self._line, shown_lines(message if isinstance(message, str) else ""))
        return "\n".join([f"{head} {first}", *(_INDENT + line for line in rest)])

    def _line(self, runs: list[Run]) -> str:
        return "".join(map(_coloured, runs)) if self.colours else "".join(run.text for run in runs)


def plain(text: str) -> str:
    """Format foreign text for a terminal, without colours."""
    return shown_text(text)


def _coloured(run: Run) -> str:
    return run.text if run.pen == PLAIN else f"\x1b[{run.pen}m{run.text}{RESET}"


def _word(value: object) -> str:
    """Format a short field in one line."""
    return plain(value).replace("\n", " ")[:200] if isinstance(value, str) else ""
