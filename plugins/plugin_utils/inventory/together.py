# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with several tiers alike, as a variable of their group is, told once."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Tiers that are named; others are counted.
_NAMED = 5

_OF_A_TIER = re.compile(r"tier ('[^']*'): (.*)", re.DOTALL)


def together(problems: Iterable[str]) -> str:
    """Put lines about single tiers together that say the same.

    Args:
        problems: Messages of one or several lines, most of which begin with ``tier 'web': ``.

    Returns:
        The lines, in the order in which each was said first: ``tiers 'web', 'db': …`` where several have it.
    """
    tiers: dict[str, list[str]] = {}
    for line in (line for problem in problems for line in problem.split("\n")):
        found = _OF_A_TIER.fullmatch(line)
        named = tiers.setdefault(found[2] if found else line, [])
        if found and found[1] not in named:
            named.append(found[1])
    return "\n".join(_line(named, said) for said, named in tiers.items())


def _line(tiers: list[str], said: str) -> str:
    if not tiers:
        return said
    if len(tiers) == 1:
        return f"tier {tiers[0]}: {said}"
    more = f" and {len(tiers) - _NAMED} more" if len(tiers) > _NAMED else ""
    return f"tiers {', '.join(tiers[:_NAMED])}{more}: {said}"
