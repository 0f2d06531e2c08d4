"""The colours and styles that text of a `log` message is written in.

A pen is the parameters of one SGR sequence that makes a plain terminal write so, in a fixed order: ``""``,
``"1;31"``, ``"4;38;5;200"``. Blinking and concealed text is written plainly: output is there to be read.
"""

from __future__ import annotations

import re
from typing import Final

PLAIN: Final = ""
_ORDER: Final = ("bold", "dim", "italic", "underline", "inverse", "strike", "front", "back")
_ON: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike", 21: "underline"}
_CODES: Final = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "inverse": "7", "strike": "9"}
_OFF: Final[dict[int, tuple[str, ...]]] = {
    0: _ORDER,
    22: ("bold", "dim"),
    23: ("italic",),
    24: ("underline",),
    27: ("inverse",),
    29: ("strike",),
    39: ("front",),
    49: ("back",),
}
_WIDE: Final = {38: "front", 48: "back"}
_NUMBER: Final = re.compile(r"[0-9]{0,5}")
Style = dict[str, str]


def changed(pen: str, params: str) -> str:
    """The pen after an SGR sequence with these parameters."""
    style = _style(pen)
    parts = params.split(";")
    at = 0
    while at < len(parts):
        at += _take(style, parts, at)
    return ";".join(style[name] for name in _ORDER if name in style)


def _style(pen: str) -> Style:
    style: Style = {}
    parts = pen.split(";") if pen else []
    at = 0
    while at < len(parts):
        at += _take(style, parts, at)
    return style


def _take(style: Style, parts: list[str], at: int) -> int:
    """Apply the parameter at `at`; returns how many parameters belong to it."""
    head, *sub = parts[at].split(":")
    code = _number(head)
    if code in _WIDE:
        given = sub or parts[at + 1 : at + 5]
        colour, used = _wide(code, given, bool(sub))
        if colour is not None:
            style[_WIDE[code]] = colour
        return 1 if sub else 1 + used
    if code in _OFF:
        for name in _OFF[code]:
            style.pop(name, None)
    elif code == 4 and sub and _number(sub[0]) == 0:
        style.pop("underline", None)
    elif code in _ON:
        style[_ON[code]] = _CODES[_ON[code]]
    elif 30 <= code <= 37 or 90 <= code <= 97:
        style["front"] = str(code)
    elif 40 <= code <= 47 or 100 <= code <= 107:
        style["back"] = str(code)
    return 1


def _wide(code: int, given: list[str], colons: bool) -> tuple[str | None, int]:
    """One of 256 colours, or of all: the colour, and how many parameters say it."""
    kind = _number(given[0]) if given else -1
    if kind == 5 and len(given) > 1:
        return f"{code};5;{min(255, _number(given[1]))}", 2
    # With colons a colour space, mostly empty, may stand before the three.
    rest = given[2:] if colons and len(given) > 4 else given[1:]
    if kind == 2 and len(rest) > 2:
        red, green, blue = (min(255, _number(one)) for one in rest[:3])
        return f"{code};2;{red};{green};{blue}", 4
    return None, 1 if given else 0


def _number(text: str) -> int:
    """A parameter; empty is 0, and what is no number is none that means anything."""
    if _NUMBER.fullmatch(text) is None:
        return 99_999
    return int(text or 0)
