# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the pages of tiers are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_LONGEST = 60


def slugs(names: Iterable[str]) -> Iterator[str]:
    """Yield a file name, without its ending, for each name, in their order.

    It is unlike all others, also where upper and lower case are one; it has no other characters than small Latin
    letters, digits, ``-`` and ``.``, and begins and ends with a letter or a digit.
    """
    taken: set[str] = set()
    for name in names:
        slug = re.sub(r"[^a-z0-9.]+", "-", name.lower())[:_LONGEST].strip("-.") or "image"
        number, first = 2, slug
        while slug in taken:
            slug, number = f"{first}-{number}", number + 1
        taken.add(slug)
        yield slug
