# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The graph of a chain. A tier has at most one parent, and may have neighbours that its tests start."""

from __future__ import annotations

import difflib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from ..errors import ChainError
from .tier import Tier


class Chain:
    """The tiers of one inventory. In their order, parents and neighbours come before the tiers that need them."""

    def __init__(self, tiers: Iterable[Tier]) -> None:
        """Check the graph and order it.

        The result depends only on ``tiers`` and their order.

        Raises:
            ChainError: A name or an image occurs twice, a parent or neighbour is unknown, or there is a cycle. The
                message has one line for each problem.
        """
        listed = list(tiers)
        self._tiers = {tier.name: tier for tier in listed}
        problems = [*_find_duplicates(listed), *self._find_unknown()]
        if problems:
            raise ChainError("\n".join(problems))
        self.order: tuple[str, ...] = self._sort()
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
        """Return the names of the tiers whose parent is ``name``."""
        return tuple(self._children.get(name, ()))

    def descendants(self, name: str) -> tuple[str, ...]:
        """Return the names of all descendants of ``name``, parents before children."""
        return _reach(self._children, name)

    def dependents(self, name: str) -> tuple[str, ...]:
        """Return the names of all tiers that are based on ``name`` or tested with it, directly or indirectly."""
        return _reach(self._needed_by, name)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return the names of the ancestors of ``name``: its parent first, its base last."""
        names: list[str] = []
        parent = self._tiers[name].parent
        while parent is not None:
            names.append(parent)
            parent = self._tiers[parent].parent
        return tuple(names)

    def _find_unknown(self) -> Iterator[str]:
        for tier in self._tiers.values():
            neighbours = [("tier_neighbours has", neighbour) for neighbour in tier.neighbours]
            for variable, other in [("tier_parent is", tier.parent), *neighbours]:
                if other is None or other in self._tiers:
                    continue
                similar = difflib.get_close_matches(other, self._tiers, n=1)
                hint = f"did you mean {similar[0]!r}?" if similar else f"tiers are: {', '.join(sorted(self._tiers))}"
                yield f"tier {tier.name!r}: {variable} {other!r}, which is not a host of the group 'tiers'; {hint}"

    def _sort(self) -> tuple[str, ...]:
        try:
            return tuple(TopologicalSorter({tier.name: _needs(tier) for tier in self._tiers.values()}).static_order())
        except CycleError as error:
            cycle: list[str] = error.args[1]
            path = " -> ".join(reversed(cycle))
            steps = zip(cycle[1:], cycle, strict=False)
            if all(self._tiers[name].parent == needed for name, needed in steps):
                raise ChainError(
                    f"tier {cycle[-1]!r}: tier_parent leads back to the tier itself ({path}); "
                    "give one of these tiers a different parent, or a source (tier_bootstrap, tier_import, tier_pull, "
                    "tier_follow)"
                ) from None
            raise ChainError(
                f"tier {cycle[-1]!r}: tier_parent and tier_neighbours lead back to the tier itself ({path}); a tier is "
                "tested before its children are built and before other tiers are tested with it; remove a neighbour"
            ) from None


def _needs(tier: Tier) -> list[str]:
    """Return the names of the tiers that must exist before ``tier`` is tested."""
    return [*([] if tier.parent is None else [tier.parent]), *tier.neighbours]


def _reach(edges: Mapping[str, Iterable[str]], start: str) -> tuple[str, ...]:
    """Return all names that can be reached from ``start``, the nearest first, without duplicates."""
    names: dict[str, None] = {}
    waiting = deque(edges.get(start, ()))
    while waiting:
        name = waiting.popleft()
        if name not in names:
            names[name] = None
            waiting.extend(edges.get(name, ()))
    return tuple(names)


def _find_duplicates(tiers: list[Tier]) -> Iterator[str]:
    names: set[str] = set()
    images: dict[str, str] = {}
    for tier in tiers:
        if tier.name in names:
            yield f"tier {tier.name!r} occurs twice; a tier is one inventory host, and its name must be unique"
            continue
        names.add(tier.name)
        other = images.setdefault(tier.image, tier.name)
        if other != tier.name:
            yield (
                f"tier {tier.name!r}: tier_image is {tier.image!r}, which is also the tier_image of tier {other!r}; "
                "each tier needs a different image name"
            )
