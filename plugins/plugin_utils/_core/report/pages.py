# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the pages of a report, and selects the tiers in their pictures. The same facts give the same bytes.

A picture of a large chain cannot show all tiers. It always shows the tiers without a parent. Then it adds children, all
children of a tier or none, until it has reached its limit of boxes. Tiers whose descendants need attention come first.
The box of a tier counts its hidden descendants, and the page of this tier shows them.
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
from .model import ABSENT, FAILED, NOT_REACHED, STALE, STATES, Facts, ReportCustody, ReportTier
from .rendering import environment

#: Limits for the boxes of a picture of all tiers, and of a picture of one tier with its descendants. Tiers without a
#: parent, and ancestors, are always shown.
MAX_BOXES, MAX_BOXES_AROUND = 60, 30

_RANKS = {state: number for number, state in enumerate(STATES)}
_FINE = len(STATES)


@dataclass(frozen=True, slots=True)
class ShownTier:
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


_SIGNS = {FAILED: "✕", NOT_REACHED: "⊘", ABSENT: "∅", STALE: "↻", "": "✓"}
#: Limits for the tiers that need attention, for releases, and for rows of a long table. A table with at most ``_FEW``
#: rows is open at first.
_ATTENTION, _RELEASES, _ROWS, _FEW = 8, 50, 200, 30


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number on the first page, with its description and a link to details."""

    number: str
    words: str
    link: str = ""
    #: A state, which determines the colour; empty for no colour.
    kind: str = ""


class Pages:
    """The pages of a report."""

    def __init__(self, facts: Facts) -> None:
        """Take the content of the report."""
        self._facts = facts
        self._family = Family(facts.tiers)
        owners = (layer.layer.team for tier in facts.tiers if tier.content for layer in tier.content.layers)
        self._colours = pictures.colours([*(tier.team for tier in facts.tiers), *owners])
        #: Name of the file to the text in the navigation, and a function that returns more values for the template.
        self._general = {
            "index": ("Overview", self._index),
            "releases": ("Releases", self._releases),
            "matrix": ("Compatibility", self._matrix),
            "outdated": ("Outdated", dict),
            "custody": ("Custody", self._custody),
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
        """Render the pages.

        Yields:
            The path of a page in the report's folder, and its text.
        """
        for name, (_words, values) in self._general.items():
            template = self._templates.get_template(f"{name}.html.j2")
            yield f"{name}.html", template.render(values(), here=f"{name}.html", up="")
        template = self._templates.get_template("tier.html.j2")
        for number, tier in enumerate(self._facts.tiers):
            yield f"tiers/{tier.slug}.html", template.render(self._tier(number, tier), here="", up="../")

    def _index(self) -> dict[str, Any]:
        tiers = self._facts.tiers
        attention = sorted((tier for tier in tiers if tier.state), key=lambda tier: STATES.index(tier.state))
        shown_tiers = self._family.overview()
        return {
            "figures": list(self._figures()),
            "attention": attention[:_ATTENTION],
            "more_attention": len(attention[_ATTENTION:]),
            "picture": self._picture(shown_tiers, "tiers/", self._facts.chain or "Images"),
            "has_hidden": any(shown.hidden for shown in shown_tiers),
        }

    def _figures(self) -> Iterator[_Figure]:
        facts, states = self._facts, Counter(tier.state for tier in self._facts.tiers)
        teams = len({tier.team for tier in facts.tiers if tier.team})
        words = f"tiers of {teams} team{'s' if teams > 1 else ''}" if teams else "images"
        yield _Figure(str(len(facts.tiers)), words, "#tiers")
        for state in STATES:
            if states[state]:
                yield _Figure(str(states[state]), state, "#attention", state.replace(" ", "-"))
        if set(states) == {""}:
            yield _Figure(_SIGNS[""], "all up to date")
        if facts.outdated is not None:
            yield _outdated_figure(facts.outdated)
        if facts.custody is not None:
            yield _custody_figure(facts.custody)
        if facts.matrix is not None:
            failed = len(self._failures)
            words = f"failure{'s' if failed > 1 else ''} on variants" if failed else "compatible variants"
            yield _Figure(str(failed or len(facts.matrix.variants)), words, "matrix.html", "failed" if failed else "")
        yield _Figure(size(facts.waste.hidden_size), "hidden by upper layers", "waste.html")

    @cached_property
    def _failures(self) -> list[tuple[Any, Any]]:
        """Pairs of a variant and a cell that failed on it."""
        variants = self._facts.matrix.variants if self._facts.matrix else []
        return [(variant, cell) for variant in variants for cell in variant.tiers if cell.state is CellState.FAILED]

    def _matrix(self) -> dict[str, Any]:
        picture = pictures.draw_matrix(self._facts.matrix) if self._facts.matrix else ""
        return {"grid": Markup(picture), "failures": self._failures}  # noqa: S704 - draw_matrix escapes

    def _custody(self) -> dict[str, Any]:
        custody = self._facts.custody
        rows = [(self._facts.tiers[number], each) for number, each in custody.tiers.items()] if custody else []
        links = [link for _tier, each in rows for link in each.links]
        return {
            "custody": custody,
            "rows": rows,
            "count": len(links),
            "failed": [link for link in links if not link.ok][:_ROWS],
        }

    def _releases(self) -> dict[str, Any]:
        by_tag: dict[str, list[tuple[ReportTier, Release]]] = defaultdict(list)
        for tier in self._facts.tiers:
            for release in tier.releases:
                if release.tag:
                    by_tag[release.tag].append((tier, release))
        releases = [(tag, by_tag[tag][0][1].when, by_tag[tag]) for tag in sorted(by_tag, reverse=True)]
        return {"releases": releases[:_RELEASES], "more": len(releases[_RELEASES:])}

    def _tier(self, number: int, tier: ReportTier) -> dict[str, Any]:
        tiers = self._facts.tiers
        return {
            "tier": tier,
            "ancestors": [tiers[each] for each in self._family.ancestors(number)],
            "children": [tiers[each] for each in self._family.children[number]],
            "picture": self._picture(self._family.around(number), "", tier.name, here=number),
            "updates": self._updates.get(tier.name, []),
            "packages_changed": _changed_packages(tier),
            "upstream": _list_upstream(tier),
            "custody": self._facts.custody.tiers.get(number) if self._facts.custody else None,
        }

    @cached_property
    def _updates(self) -> dict[str | None, list[Update]]:
        """Outdated packages, by the tier that owns them."""
        by_tier: dict[str | None, list[Update]] = defaultdict(list)
        for update in self._facts.outdated.updates if self._facts.outdated else ():
            by_tier[update.owner.tier].append(update)
        return by_tier

    def _picture(self, shown_tiers: list[ShownTier], folder: str, title: str, here: int | None = None) -> Markup:
        boxes = [self._box(shown, folder, here=shown.tier == here) for shown in shown_tiers]
        return Markup(pictures.draw_tree(boxes, title, colouring=self._colours))  # noqa: S704 - draw_tree escapes

    def _box(self, shown: ShownTier, folder: str, *, here: bool) -> pictures.Box:
        tier = self._facts.tiers[shown.tier]
        more = ", ".join(filter(None, (tier.team, _hidden_counts(shown.hidden))))
        return pictures.Box(tier.name, shown.parent, more, tier.team, tier.state, f"{folder}{tier.slug}.html", here)


def _outdated_figure(outdated: Outdated) -> _Figure:
    if not outdated.archives:
        return _Figure("?", "packages not compared", "outdated.html")
    security = sum(update.security for update in outdated.updates)
    words = "outdated packages" + (f", {security} security updates" if security else "")
    return _Figure(str(len(outdated.updates)), words, "outdated.html", "failed" if security else "")


def _custody_figure(custody: ReportCustody) -> _Figure:
    refused = [each for each in custody.tiers.values() if any(not link.ok for link in each.links)]
    if refused:
        return _Figure(
            str(len(refused)), f"tier{'s' if len(refused) > 1 else ''} not verified", "custody.html", "failed"
        )
    return _Figure(str(len(custody.tiers)), "tiers verified", "custody.html")


def _hidden_counts(hidden: Mapping[str, int]) -> str:
    attention = ", ".join(f"{hidden[state]} {state}" for state in STATES if state in hidden)
    return f"{sum(hidden.values())} hidden" + (f": {attention}" if attention else "") if hidden else ""


def _changed_packages(tier: ReportTier) -> list[PackageChange]:
    """Return the packages that the tier's own layers change."""
    if tier.content is None or tier.image is None:
        return []
    own = tier.content.layers[len(tier.content.layers) - tier.image.own_layers :]
    return [change for layer in own for change in layer.packages]


def _list_upstream(tier: ReportTier) -> list[tuple[str, str | None]]:
    """List the tiers of other teams that a followed tier is based on, the nearest first, with their teams."""
    layers = [content.layer for content in tier.content.layers] if tier.content else []
    owners = dict.fromkeys((layer.tier, layer.team) for layer in reversed(layers) if layer.tier)
    return [(str(name), team) for name, team in owners if name != tier.name]
