# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages of a report: file names and what is in them. The same facts give the same bytes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from markupsafe import Markup

from ..contract.matrix import State
from ..inspect import picture
from ..inspect.answer import PackageChange
from ..inspect.outdated import Outdated, Update
from ..inspect.releases import Release
from ..inspect.words import size
from . import grid
from .environment import environment
from .facts import ABSENT, FAILED, NOT_REACHED, STALE, STATES, Facts, Tier
from .folding import Family, Shown

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
        self._colours = picture.colours([*(tier.team for tier in facts.tiers), *owners])
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
        return [(variant, cell) for variant in variants for cell in variant.tiers if cell.state is State.FAILED]

    def _matrix(self) -> dict[str, Any]:
        drawn = grid.draw(self._facts.matrix) if self._facts.matrix else ""
        return {"grid": Markup(drawn), "failures": self._failures}  # noqa: S704 - the drawing escapes

    def _releases(self) -> dict[str, Any]:
        found: dict[str, list[tuple[Tier, Release]]] = defaultdict(list)
        for tier in self._facts.tiers:
            for release in tier.releases:
                if release.tag:
                    found[release.tag].append((tier, release))
        told = [(tag, found[tag][0][1].when, found[tag]) for tag in sorted(found, reverse=True)]
        return {"releases": told[:_RELEASES], "more": len(told[_RELEASES:])}

    def _tier(self, number: int, tier: Tier) -> dict[str, Any]:
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
        return Markup(picture.draw(boxes, title, colouring=self._colours))  # noqa: S704 - the drawing escapes

    def _box(self, each: Shown, folder: str, *, here: bool) -> picture.Box:
        tier = self._facts.tiers[each.tier]
        more = ", ".join(filter(None, (tier.team, _hidden(each.hidden))))
        return picture.Box(tier.name, each.parent, more, tier.team, tier.state, f"{folder}{tier.slug}.html", here)


def _outdated(found: Outdated) -> _Figure:
    if not found.archives:
        return _Figure("?", "packages not compared", "outdated.html")
    security = sum(each.security for each in found.updates)
    told = "outdated packages" + (f", {security} for security" if security else "")
    return _Figure(str(len(found.updates)), told, "outdated.html", "failed" if security else "")


def _hidden(hidden: Mapping[str, int]) -> str:
    bad = ", ".join(f"{hidden[state]} {state}" for state in STATES if state in hidden)
    return f"{sum(hidden.values())} on it" + (f": {bad}" if bad else "") if hidden else ""


def _changed(tier: Tier) -> list[PackageChange]:
    """What the tier's own layers change in packages."""
    if tier.content is None or tier.image is None:
        return []
    own = tier.content.layers[len(tier.content.layers) - tier.image.own_layers :]
    return [change for layer in own for change in layer.packages]
