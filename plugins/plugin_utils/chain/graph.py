# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain as a graph: every tier has one parent or none."""

from __future__ import annotations

import difflib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from ..errors import ChainError
from .tier import Tier


class Chain:
    """The tiers of one inventory, checked, in an order in which every parent comes before its children."""

    def __init__(self, tiers: Iterable[Tier]) -> None:
        """Check the graph and order it.

        The order depends on nothing but the tiers given and their order.

        Raises:
            ChainError: A name or an image is there twice, a parent is unknown, or parents form a cycle. The
                message lists everything that is wrong, a line each.
        """
        given = list(tiers)
        self._tiers = {tier.name: tier for tier in given}
        problems = [*_duplicates(given), *self._unknown_parents()]
        if problems:
            raise ChainError("\n".join(problems))
        self.order: tuple[str, ...] = self._sorted()
        self._children: dict[str, list[str]] = defaultdict(list)
        for name in self.order:
            parent = self._tiers[name].parent
            if parent is not None:
                self._children[parent].append(name)

    def __getitem__(self, name: str) -> Tier:
        return self._tiers[name]

    def __iter__(self) -> Iterator[Tier]:
        return (self._tiers[name] for name in self.order)

    def __len__(self) -> int:
        return len(self._tiers)

    def __contains__(self, name: object) -> bool:
        return name in self._tiers

    def children(self, name: str) -> tuple[str, ...]:
        """Names of the tiers that stand directly on ``name``."""
        return tuple(self._children.get(name, ()))

    def descendants(self, name: str) -> tuple[str, ...]:
        """Names of all tiers that stand on ``name``, parents before children."""
        found: list[str] = []
        waiting = deque(self.children(name))
        while waiting:
            found.append(waiting.popleft())
            waiting.extend(self.children(found[-1]))
        return tuple(found)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Names of the tiers that ``name`` stands on, its own parent first, its base last."""
        found: list[str] = []
        parent = self._tiers[name].parent
        while parent is not None:
            found.append(parent)
            parent = self._tiers[parent].parent
        return tuple(found)

    def _unknown_parents(self) -> Iterator[str]:
        for tier in self._tiers.values():
            if tier.parent is None or tier.parent in self._tiers:
                continue
            near = difflib.get_close_matches(tier.parent, self._tiers, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"tiers are: {', '.join(sorted(self._tiers))}"
            yield f"tier {tier.name!r}: tier_parent is {tier.parent!r}, which is no host of the group 'tiers'; {hint}"

    def _sorted(self) -> tuple[str, ...]:
        graph = {name: [] if tier.parent is None else [tier.parent] for name, tier in self._tiers.items()}
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle: list[str] = error.args[1]
            path = " -> ".join(reversed(circle))
            raise ChainError(
                f"tier {circle[-1]!r}: tier_parent leads back to itself ({path}); "
                "one of these tiers needs another parent, or a source (tier_bootstrap, tier_import, tier_pull)"
            ) from None


def _duplicates(tiers: list[Tier]) -> Iterator[str]:
    names: set[str] = set()
    images: dict[str, str] = {}
    for tier in tiers:
        if tier.name in names:
            yield f"tier {tier.name!r} is there twice; a tier is one inventory host, and its name is its own"
            continue
        names.add(tier.name)
        other = images.setdefault(tier.image, tier.name)
        if other != tier.name:
            yield (
                f"tier {tier.name!r}: tier_image is {tier.image!r}, and so is that of tier {other!r}; "
                "each tier needs an image name of its own"
            )
