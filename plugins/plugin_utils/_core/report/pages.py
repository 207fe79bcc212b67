# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages, and which tiers their picture shows.

Which tiers a picture of a large chain shows.

A thousand boxes are no picture. Beginning with what stands on nothing, the tiers that stand on a shown one are shown,
all or none, as long as there is room; those first below which somebody has to look at a tier. What is left out is
counted in the box that it stands on, whose page shows it.

The pages of a report: file names and what is in them. The same facts give the same bytes.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from ..compatibility.variant_matrix import CellState
from ..packages.outdated_packages import Outdated, Update
from ..text import size
from ..transports.image import PackageChange
from ..views.release_history import Release
from . import pictures
from .model import ABSENT, FAILED, NOT_REACHED, STALE, STATES, Facts, ReportTier
from .templates import environment

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

    def __init__(self, tiers: Sequence[ReportTier]) -> None:
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


_SIGNS = {FAILED: "✕", NOT_REACHED: "⊘", ABSENT: "∅", STALE: "↻", "": "✓"}
#: Tiers that need attention, releases, and rows of a long table, at most; rows up to which a table is open.
_ATTENTION, _RELEASES, _ROWS, _FEW = 8, 50, 200, 30


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number on the first page, what it counts, and where there is more."""

    number: str
    words: str
    link: str = ""
    #: A state that it looks like; empty for none.
    kind: str = ""


class Pages:
    """The pages about some facts."""

    def __init__(self, facts: Facts) -> None:
        """Take the facts."""
        self._facts = facts
        self._family = Family(facts.tiers)
        owners = (layer.layer.team for tier in facts.tiers if tier.content for layer in tier.content.layers)
        self._colours = pictures.colours([*(tier.team for tier in facts.tiers), *owners])
        #: File and words in the navigation, and what the page needs besides the facts.
        self._general = {
            "index": ("Overview", self._index),
            "releases": ("Releases", self._releases),
            "matrix": ("Compatibility", self._matrix),
            "outdated": ("Outdated", dict),
            "waste": ("Waste", dict),
        }
        self._templates = environment(
            facts=facts,
            colours=self._colours,
            signs=_SIGNS,
            most=_ROWS,
            few=_FEW,
            order={state: number for number, state in enumerate((*STATES, ""))},
            pages=[(f"{name}.html", words) for name, (words, _) in self._general.items()],
        )

    def render(self) -> Iterator[tuple[str, str]]:
        """Write the pages.

        Yields:
            The path of a page in the report's folder, and its text.
        """
        for name, (_words, needs) in self._general.items():
            template = self._templates.get_template(f"{name}.html.j2")
            yield f"{name}.html", template.render(needs(), here=f"{name}.html", up="")
        template = self._templates.get_template("tier.html.j2")
        for number, tier in enumerate(self._facts.tiers):
            yield f"tiers/{tier.slug}.html", template.render(self._tier(number, tier), here="", up="../")

    def _index(self) -> dict[str, Any]:
        tiers = self._facts.tiers
        ill = sorted((tier for tier in tiers if tier.state), key=lambda tier: STATES.index(tier.state))
        shown = self._family.whole()
        return {
            "figures": list(self._figures()),
            "attention": ill[:_ATTENTION],
            "more_attention": len(ill[_ATTENTION:]),
            "picture": self._picture(shown, "tiers/", self._facts.chain or "Images"),
            "folded": any(each.hidden for each in shown),
        }

    def _figures(self) -> Iterator[_Figure]:
        facts, states = self._facts, Counter(tier.state for tier in self._facts.tiers)
        teams = len({tier.team for tier in facts.tiers if tier.team})
        counted = f"tiers of {teams} team{'s' if teams > 1 else ''}" if teams else "images"
        yield _Figure(str(len(facts.tiers)), counted, "#tiers")
        for state in STATES:
            if states[state]:
                yield _Figure(str(states[state]), state, "#attention", state.replace(" ", "-"))
        if set(states) == {""}:
            yield _Figure(_SIGNS[""], "all up to date")
        if facts.outdated is not None:
            yield _outdated(facts.outdated)
        if facts.matrix is not None:
            failed = len(self._failures)
            told = f"failure{'s' if failed > 1 else ''} on variants" if failed else "compatible variants"
            yield _Figure(str(failed or len(facts.matrix.variants)), told, "matrix.html", "failed" if failed else "")
        yield _Figure(size(facts.waste.hidden_size), "hidden by upper layers", "waste.html")

    @cached_property
    def _failures(self) -> list[tuple[Any, Any]]:
        """Variants, and cells that failed on them."""
        variants = self._facts.matrix.variants if self._facts.matrix else []
        return [(variant, cell) for variant in variants for cell in variant.tiers if cell.state is CellState.FAILED]

    def _matrix(self) -> dict[str, Any]:
        drawn = pictures.draw_matrix(self._facts.matrix) if self._facts.matrix else ""
        return {"grid": Markup(drawn), "failures": self._failures}  # noqa: S704 - the drawing escapes

    def _releases(self) -> dict[str, Any]:
        found: dict[str, list[tuple[ReportTier, Release]]] = defaultdict(list)
        for tier in self._facts.tiers:
            for release in tier.releases:
                if release.tag:
                    found[release.tag].append((tier, release))
        told = [(tag, found[tag][0][1].when, found[tag]) for tag in sorted(found, reverse=True)]
        return {"releases": told[:_RELEASES], "more": len(told[_RELEASES:])}

    def _tier(self, number: int, tier: ReportTier) -> dict[str, Any]:
        tiers = self._facts.tiers
        return {
            "tier": tier,
            "lineage": [tiers[each] for each in self._family.lineage(number)],
            "children": [tiers[each] for each in self._family.children[number]],
            "picture": self._picture(self._family.around(number), "", tier.name, here=number),
            "updates": self._updates.get(tier.name, []),
            "packages_changed": _changed(tier),
        }

    @cached_property
    def _updates(self) -> dict[str | None, list[Update]]:
        """Outdated packages by the tier that owns them."""
        found: dict[str | None, list[Update]] = defaultdict(list)
        for each in self._facts.outdated.updates if self._facts.outdated else ():
            found[each.owner.tier].append(each)
        return found

    def _picture(self, shown: list[Shown], folder: str, title: str, here: int | None = None) -> Markup:
        boxes = [self._box(each, folder, here=each.tier == here) for each in shown]
        return Markup(pictures.draw_tree(boxes, title, colouring=self._colours))  # noqa: S704 - the drawing escapes

    def _box(self, each: Shown, folder: str, *, here: bool) -> pictures.Box:
        tier = self._facts.tiers[each.tier]
        more = ", ".join(filter(None, (tier.team, _hidden(each.hidden))))
        return pictures.Box(tier.name, each.parent, more, tier.team, tier.state, f"{folder}{tier.slug}.html", here)


def _outdated(found: Outdated) -> _Figure:
    if not found.archives:
        return _Figure("?", "packages not compared", "outdated.html")
    security = sum(each.security for each in found.updates)
    told = "outdated packages" + (f", {security} for security" if security else "")
    return _Figure(str(len(found.updates)), told, "outdated.html", "failed" if security else "")


def _hidden(hidden: Mapping[str, int]) -> str:
    bad = ", ".join(f"{hidden[state]} {state}" for state in STATES if state in hidden)
    return f"{sum(hidden.values())} on it" + (f": {bad}" if bad else "") if hidden else ""


def _changed(tier: ReportTier) -> list[PackageChange]:
    """What the tier's own layers change in packages."""
    if tier.content is None or tier.image is None:
        return []
    own = tier.content.layers[len(tier.content.layers) - tier.image.own_layers :]
    return [change for layer in own for change in layer.packages]
