# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The family of all tiers, and which of them a picture shows.

A picture of a large chain cannot show all tiers. It always shows the tiers without a parent. Then it adds children, all
children of a tier or none, until it has reached its limit of boxes. Tiers whose descendants need attention come first.
The box of a tier counts its hidden descendants, and the page of this tier shows them.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Sequence

import msgspec

from .model import STATES, ReportTier

#: Limits for the boxes of a picture of all tiers, and of a picture of one tier with its descendants. Tiers without a
#: parent, and ancestors, are always shown.
MAX_BOXES, MAX_BOXES_AROUND = 60, 30

_RANKS = {state: number for number, state in enumerate(STATES)}
_FINE = len(STATES)


class ShownTier(msgspec.Struct, frozen=True):
    """A tier in the picture."""

    #: Its position in the list of all tiers.
    tier: int
    #: Position of its parent in the list of shown tiers; ``None`` if it has no parent.
    parent: int | None
    #: Number of its hidden descendants, by state; the empty state means up to date.
    hidden: dict[str, int]


class Family:
    """The tiers with their children. All tiers are named by their positions in the list."""

    def __init__(self, tiers: Sequence[ReportTier]) -> None:
        """Take all tiers, parents before children."""
        self._tiers = tiers
        #: The children of each tier.
        self.children: list[list[int]] = [[] for _ in tiers]
        for number, tier in enumerate(tiers):
            if tier.parent is not None:
                self.children[tier.parent].append(number)
        #: For each tier, the number of its descendants by state.
        self._descendants: list[Counter[str]] = [Counter() for _ in tiers]
        for number in range(len(tiers) - 1, -1, -1):
            for child in self.children[number]:
                self._descendants[number].update(self._descendants[child])
                self._descendants[number][tiers[child].state] += 1

    @property
    def roots(self) -> list[int]:
        """The tiers without a parent."""
        return [number for number, tier in enumerate(self._tiers) if tier.parent is None]

    def descendants(self, tier: int) -> int:
        """Return the number of a tier's descendants."""
        return self._descendants[tier].total()

    def ancestors(self, tier: int) -> list[int]:
        """Return the ancestors of a tier, its base first."""
        ancestors = []
        parent = self._tiers[tier].parent
        while parent is not None:
            ancestors.append(parent)
            parent = self._tiers[parent].parent
        return ancestors[::-1]

    def overview(self) -> list[ShownTier]:
        """Select the tiers of the picture of all tiers, parents before children."""
        return self._show(self._select(self.roots, MAX_BOXES), self.roots)

    def around(self, tier: int) -> list[ShownTier]:
        """Select the tiers of the picture of one tier: the tier, all its ancestors, and its descendants."""
        ancestors = self.ancestors(tier)
        selected = self._select([tier], MAX_BOXES_AROUND) | set(ancestors)
        return self._show(selected, [*ancestors, tier][:1])

    def _select(self, roots: Sequence[int], limit: int) -> set[int]:
        selected = set(roots)
        todo = [(self._worst_descendant(root), 0, root) for root in roots if self.children[root]]
        heapq.heapify(todo)
        while todo:
            _, depth, tier = heapq.heappop(todo)
            if len(selected) + len(self.children[tier]) <= limit:
                selected.update(self.children[tier])
                for child in self.children[tier]:
                    if self.children[child]:
                        heapq.heappush(todo, (self._worst_descendant(child), depth + 1, child))
        return selected

    def _show(self, selected: Collection[int], roots: Collection[int]) -> list[ShownTier]:
        order = sorted(selected)
        numbers = {tier: number for number, tier in enumerate(order)}
        shown_tiers = []
        for tier in order:
            parent = None if tier in roots else self._tiers[tier].parent
            has_shown_children = any(child in selected for child in self.children[tier])
            hidden = {} if has_shown_children else dict(self._descendants[tier])
            shown_tiers.append(ShownTier(tier, None if parent is None else numbers[parent], hidden))
        return shown_tiers

    def _worst_descendant(self, tier: int) -> int:
        """Return the rank of the worst state among the descendants; 0 is the worst."""
        return min((_RANKS.get(state, _FINE) for state in self._descendants[tier]), default=_FINE)
