"""Plots as inline SVG: lines over time, on axes with round numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 220
LEFT: Final = 64
RIGHT: Final = 16
TOP: Final = 28
BOTTOM: Final = 30
COLOURS: Final = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed")

Points = Sequence[tuple[float, float]]


def plot(title: str, x_unit: str, y_unit: str, lines: Mapping[str, Points]) -> str:
    """Return a plot as SVG for HTML: all `lines` by name, on axes that begin at 0."""
    points = [point for line in lines.values() for point in line]
    x_most = max((x for x, _ in points), default=0.0) or 1.0
    y_most = max((y for _, y in points), default=0.0) or 1.0
    y_step = _step(y_most)
    y_top = math.ceil(y_most / y_step) * y_step
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text class="title" x="{LEFT}" y="16">{escape(title)}</text>',
    ]
    parts += _grid(x_most, _step(x_most), x_unit, y_top, y_step, y_unit)
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        shape = " ".join(f"{_x(x, x_most):.1f},{_y(y, y_top):.1f}" for x, y in line)
        parts.append(f'<polyline points="{shape}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        place = WIDTH - RIGHT - 110 * (len(lines) - number) + 100
        parts.append(f'<text x="{place}" y="16" fill="{colour}" text-anchor="end">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def _grid(x_most: float, x_step: float, x_unit: str, y_top: float, y_step: float, y_unit: str) -> list[str]:
    parts = []
    for count in range(round(y_top / y_step) + 1):
        value = count * y_step
        y = _y(value, y_top)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        label = f"{_short(value)}{' ' + y_unit if value == y_top else ''}"
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for count in range(int(x_most / x_step) + 1):
        value = count * x_step
        label = f"{_short(value)}{' ' + x_unit if not count else ''}"
        place = f'x="{_x(value, x_most):.1f}" y="{HEIGHT - 10}"'
        parts.append(f'<text {place} text-anchor="middle">{escape(label)}</text>')
    return parts


def _x(value: float, most: float) -> float:
    return LEFT + value / most * (WIDTH - LEFT - RIGHT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)


def _step(most: float) -> float:
    """Return a round distance between the lines of a grid, four to eight of them."""
    rough = most / 4
    scale = 10.0 ** math.floor(math.log10(rough))
    return float(next(scale * one for one in (5, 2, 1) if scale * one <= rough))


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1000:g}k" if value >= 10_000 else f"{round(value, 6):g}"
