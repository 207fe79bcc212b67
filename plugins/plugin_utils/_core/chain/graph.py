# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain as a graph: every tier has one parent or none, and may name neighbours that its tests run with."""

from __future__ import annotations

import difflib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from ..errors import ChainError
from .tier import Tier


class Chain:
    """The tiers of one inventory, checked, in an order in which parents and neighbours come before who needs them."""

    def __init__(self, tiers: Iterable[Tier]) -> None:
        """Check the graph and order it.

        The order depends on nothing but the tiers given and their order.

        Raises:
            ChainError: A name or an image is there twice, a parent or neighbour is unknown, or they form a cycle. The
                message lists everything that is wrong, a line each.
        """
        given = list(tiers)
        self._tiers = {tier.name: tier for tier in given}
        problems = [*_duplicates(given), *self._unknown()]
        if problems:
            raise ChainError("\n".join(problems))
        self.order: tuple[str, ...] = self._sorted()
        self._children: dict[str, list[str]] = defaultdict(list)
        self._needed_by: dict[str, list[str]] = defaultdict(list)
        for tier in self:
            if tier.parent is not None:
                self._children[tier.parent].append(tier.name)
            for needed in _needs(tier):
                self._needed_by[needed].append(tier.name)

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
        return _reached(self._children, name)

    def dependents(self, name: str) -> tuple[str, ...]:
        """Names of all tiers that stand on ``name`` or are tested with it, and so on."""
        return _reached(self._needed_by, name)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Names of the tiers that ``name`` stands on, its own parent first, its base last."""
        found: list[str] = []
        parent = self._tiers[name].parent
        while parent is not None:
            found.append(parent)
            parent = self._tiers[parent].parent
        return tuple(found)

    def _unknown(self) -> Iterator[str]:
        for tier in self._tiers.values():
            named = [("tier_parent is", tier.parent), *(("tier_neighbours has", each) for each in tier.neighbours)]
            for variable, other in named:
                if other is None or other in self._tiers:
                    continue
                near = difflib.get_close_matches(other, self._tiers, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"tiers are: {', '.join(sorted(self._tiers))}"
                yield f"tier {tier.name!r}: {variable} {other!r}, which is no host of the group 'tiers'; {hint}"

    def _sorted(self) -> tuple[str, ...]:
        try:
            return tuple(TopologicalSorter({tier.name: _needs(tier) for tier in self._tiers.values()}).static_order())
        except CycleError as error:
            circle: list[str] = error.args[1]
            path = " -> ".join(reversed(circle))
            steps = zip(circle[1:], circle, strict=False)
            if all(self._tiers[name].parent == needed for name, needed in steps):
                raise ChainError(
                    f"tier {circle[-1]!r}: tier_parent leads back to itself ({path}); "
                    "one of these tiers needs another parent, or a source (tier_bootstrap, tier_import, tier_pull)"
                ) from None
            raise ChainError(
                f"tier {circle[-1]!r}: tier_parent and tier_neighbours lead back to itself ({path}); a tier is tested "
                "before others stand on it or are tested with it, so one of these must do without a neighbour"
            ) from None


def _needs(tier: Tier) -> list[str]:
    """Names of the tiers that must be there before ``tier`` is tested."""
    return [*([] if tier.parent is None else [tier.parent]), *tier.neighbours]


def _reached(edges: Mapping[str, Iterable[str]], start: str) -> tuple[str, ...]:
    """What edges lead to from ``start``, the nearest first, each once."""
    found: dict[str, None] = {}
    waiting = deque(edges.get(start, ()))
    while waiting:
        name = waiting.popleft()
        if name not in found:
            found[name] = None
            waiting.extend(edges.get(name, ()))
    return tuple(found)


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
