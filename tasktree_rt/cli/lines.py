"""Lines of output (``log`` events) for a terminal, where their colours stay, and for pipes, where none do.

Whatever a line says, a terminal gets colours and text of it, never a sequence that moves its cursor, sets
its title or asks it something.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

from tasktree_rt.core.events import Json

RESET: Final = "\x1b[0m"
_LEVELS: Final = {"warning": "\x1b[33m", "warn": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_DIM: Final = "\x1b[2m"
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*m")
_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, and everything that moves the cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC and other strings, to their end
    r"|\x1b[ -/]*[0-~]?"  # the short ones, and what is cut off
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_INDENT: Final = "    "


@frozen
class Printer:
    """How lines are shown.

    Attributes:
        colours: standard output is a terminal.
        named: which node said it is told with each line.
    """

    colours: bool
    named: bool

    def text(self, event: Json) -> str:
        """The line, or lines, of a ``log`` event: time, level, node, message; what goes on is indented."""
        data = event.get("data", {})
        level, node = _word(data.get("level")) or "info", _word(data.get("node_id"))
        head = f"{_word(event.get('timestamp'))} {level:<7}"
        if self.named and node:
            head += f" {node}:"
        if self.colours:
            head = f"{_LEVELS.get(level.lower(), _DIM)}{head}{RESET}"
        message = data.get("message")
        first, *rest = self._message(message if isinstance(message, str) else "").split("\n")
        return "\n".join([f"{head} {first}", *(_INDENT + line for line in rest)])

    def _message(self, message: str) -> str:
        text = "\n".join(message.rstrip("\n").splitlines())
        if not self.colours:
            return _fit(_SEQUENCE.sub("", text))
        kept = _SEQUENCE.sub(lambda hit: hit[0] if _COLOUR.fullmatch(hit[0]) else "", text)
        parts = _COLOUR.split(kept)
        if len(parts) == 1:
            return _fit(kept)
        colours = [*_COLOUR.findall(kept), RESET]
        return "".join(_fit(part) + colour for part, colour in zip(parts, colours, strict=True))


def plain(text: str) -> str:
    """Foreign text for a terminal, without colours."""
    return _fit(_SEQUENCE.sub("", text))


def _word(value: object) -> str:
    """A short field in one line."""
    return plain(value).replace("\n", " ")[:200] if isinstance(value, str) else ""


def _fit(text: str) -> str:
    """Without what is no text: control characters but line ends and tabs, and lone surrogates."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
