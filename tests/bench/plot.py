"""Bars as SVG, by hand: a bar a peer, the median with a line from the least to the most of the rounds."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 230, 90, 26, 40
OURS_COLOUR, THEIRS_COLOUR, TEXT, LINE = "#0f766e", "#94a3b8", "#334155", "#0f172a"
Bar = tuple[str, tuple[float, float, float], bool]
"""Label; median, least, most; whether it is ours."""


def bars(title: str, values: Sequence[Bar], digits: int) -> str:
    """A picture of `values`, the least first."""
    ordered = sorted(values, key=lambda bar: bar[1][0])
    most = max((bar[1][2] for bar in ordered), default=0) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + ROW * len(ordered) + 10
    rows = "".join(_row(bar, TOP + ROW * number, scale, digits) for number, bar in enumerate(ordered))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" font-size="13" role="img">\n'
        f"<title>{_plain(title)}</title>\n"
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="12" y="24" font-size="15" font-weight="600" fill="{LINE}">{_plain(title)}</text>\n'
        f"{rows}</svg>\n"
    )


def _row(bar: Bar, top: float, scale: float, digits: int) -> str:
    label, (middle, least, most), ours = bar
    colour, weight = (OURS_COLOUR, 600) if ours else (THEIRS_COLOUR, 400)
    centre, low, high = top + ROW / 2 - 2, LEFT + least * scale, LEFT + most * scale
    return (
        f'<text x="{LEFT - 8}" y="{centre + 4:.1f}" text-anchor="end" font-weight="{weight}" fill="{TEXT}">'
        f"{_plain(label)}</text>\n"
        f'<rect x="{LEFT}" y="{top:.1f}" width="{middle * scale:.1f}" height="{ROW - 6}" '
        f'rx="2" fill="{colour}"/>\n'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{centre:.1f}" y2="{centre:.1f}" '
        f'stroke="{LINE}" stroke-width="1.5"/>\n'
        f'<text x="{high + 6:.1f}" y="{centre + 4:.1f}" fill="{TEXT}">{middle:,.{digits}f}</text>\n'
    )


def _plain(text: str) -> str:
    return escape(text.replace("`", ""))
