"""Draws the measured builds as an SVG picture: a part for each scenario, with a bar for each contender."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from html import escape

from .report import Row, contenders, scenarios, seconds
from .scenarios import SCENARIOS

_WIDTH, _LEFT, _RIGHT = 760, 150, 90
_LINE, _BAR, _HEAD = 22, 14, 34
#: One colour for Tierwright, and one for the others. Both have enough contrast on white and on nearly black.
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.own { fill: #0969da; }
.other { fill: #8c959f; }
.spread { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .own { fill: #58a6ff; }
  .other { fill: #6e7681; }
  .spread { stroke: #e6edf3; }
}
"""


def draw(runs: Sequence[Row], order: Sequence[str]) -> str:
    """Draw the medians as bars, and the spread of the rounds as lines. Each part has a scale of its own.

    Args:
        runs: The measured builds.
        order: The contenders from top to bottom. Those that were not measured are left out.
    """
    names = [name for name in order if name in contenders(runs)]
    lines, top = [], 0
    for key in scenarios(runs):
        measured = [(name, values) for name in names if (values := seconds(runs, name, key))]
        longest = max(max(values) for _, values in measured)
        lines.append(f'<text class="title" x="0" y="{top + 22}">{escape(SCENARIOS[key].name)}, in seconds</text>')
        top += _HEAD
        for name, values in measured:
            lines += _bar(name, values, top, (_WIDTH - _LEFT - _RIGHT) / longest)
            top += _LINE
    label = "Seconds of each contender in each scenario; the tables beside this picture have the same figures"
    size = f'viewBox="0 0 {_WIDTH} {top + 8}" width="{_WIDTH}" height="{top + 8}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *lines, "</svg>"]) + "\n"


def _bar(name: str, values: Sequence[float], top: int, scale: float) -> list[str]:
    median = statistics.median(values)
    kind = "own" if name.startswith("tierwright") else "other"
    middle = top + _BAR / 2
    low, high = (_LEFT + bound * scale for bound in (min(values), max(values)))
    return [
        f'<text x="{_LEFT - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{max(median * scale, 1):.1f}" height="{_BAR}" rx="2"/>',
        f'<line class="spread" x1="{low:.1f}" y1="{middle:.1f}" x2="{high:.1f}" y2="{middle:.1f}"/>',
        f'<text x="{max(high, _LEFT + median * scale) + 8:.1f}" y="{top + 12}">{median:.1f}</text>',
    ]
