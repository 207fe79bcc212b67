# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tiers a picture of a large chain shows.

A thousand boxes are no picture. Beginning with what stands on nothing, the tiers that stand on a shown one are shown,
all or none, as long as there is room; those first below which somebody has to look at a tier. What is left out is
counted in the box that it stands on, whose page shows it.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .facts import STATES, Tier

#: Boxes of a picture of everything, and of what stands on one tier, at most; what stands on nothing is always shown.
MOST, MOST_AROUND = 60, 30

_RANKS = {state: number for number, state in enumerate(STATES)}
_FINE = len(STATES)


@dataclass(frozen=True, slots=True)
class Shown:
    """A tier in the picture."""

    #: Its position in the list of all, and that of what it stands on in the picture; ``None`` for nothing.
    tier: int
    parent: int | None
    #: How many tiers that stand on it are left out, by their state; the empty word is that of those that are fine.
    hidden: dict[str, int]


class Family:
    """The tiers, and what stands on what."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        """Take all tiers, parents before children."""
        self._tiers = tiers
        #: Positions of the tiers that stand on each.
        self.children: list[list[int]] = [[] for _ in tiers]
        for number, tier in enumerate(tiers):
            if tier.parent is not None:
                self.children[tier.parent].append(number)
        self._below: list[Counter[str]] = [Counter() for _ in tiers]
        for number in range(len(tiers) - 1, -1, -1):
            for child in self.children[number]:
                self._below[number].update(self._below[child])
                self._below[number][tiers[child].state] += 1

    @property
    def roots(self) -> list[int]:
        """Positions of those that stand on nothing."""
        return [number for number, tier in enumerate(self._tiers) if tier.parent is None]

    def lineage(self, tier: int) -> list[int]:
        """Positions of what a tier stands on, its base first."""
        found = []
        parent = self._tiers[tier].parent
        while parent is not None:
            found.append(parent)
            parent = self._tiers[parent].parent
        return found[::-1]

    def whole(self) -> list[Shown]:
        """Choose what a picture of everything shows, parents before children."""
        return self._shown(self._chosen(self.roots, MOST), self.roots)

    def around(self, tier: int) -> list[Shown]:
        """Choose what a picture of one tier shows: all that it stands on, and what stands on it."""
        lineage = self.lineage(tier)
        chosen = self._chosen([tier], MOST_AROUND) | set(lineage)
        return self._shown(chosen, [*lineage, tier][:1])

    def _chosen(self, roots: Sequence[int], most: int) -> set[int]:
        chosen = set(roots)
        todo = [(self._worst(root), 0, root) for root in roots if self.children[root]]
        heapq.heapify(todo)
        while todo:
            _, depth, tier = heapq.heappop(todo)
            if len(chosen) + len(self.children[tier]) <= most:
                chosen.update(self.children[tier])
                for each in self.children[tier]:
                    if self.children[each]:
                        heapq.heappush(todo, (self._worst(each), depth + 1, each))
        return chosen

    def _shown(self, chosen: Collection[int], roots: Collection[int]) -> list[Shown]:
        order = sorted(chosen)
        numbers = {tier: number for number, tier in enumerate(order)}
        found = []
        for tier in order:
            parent = None if tier in roots else self._tiers[tier].parent
            shown = any(child in chosen for child in self.children[tier])
            hidden = {} if shown else dict(self._below[tier])
            found.append(Shown(tier, None if parent is None else numbers[parent], hidden))
        return found

    def _worst(self, tier: int) -> int:
        return min((_RANKS.get(state, _FINE) for state in self._below[tier]), default=_FINE)
