# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the pages of a report. The same facts give the same bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from markupsafe import Markup

from ..compatibility.variant_matrix import CellState
from ..views.release_history import Release
from . import pictures
from .family import Family, ShownTier
from .model import ABSENT, FAILED, NOT_REACHED, STALE, STATES, Facts, ReportTier
from .open_actions import find_actors
from .overview import answers, headline
from .owners import Owners
from .rendering import environment
from .tier_page import changed_packages, figures, left_out, list_upstream
from .trend import chain_trend, tier_trend

_SIGNS = {FAILED: "✕", NOT_REACHED: "⊘", ABSENT: "∅", STALE: "↻", "": "✓"}
#: Limits for releases, and for rows of a long table. A table with at most ``_FEW`` rows is open at first.
_RELEASES, _ROWS, _FEW = 50, 200, 30
#: Limits of the first page: tiers in its table, actions of one team, teams, points of the trend, and services.
_FIRST_TIERS, _ACTIONS, _ACTORS, _FIRST_TREND, _SERVICES = 40, 5, 12, 6, 10
#: Points of the trend on the page of all tests, and of one tier; and failed tests in the list of all.
_TREND, _TIER_TREND, _FAILURES = 24, 12, 100


class Pages:
    """The pages of a report."""

    def __init__(self, facts: Facts) -> None:
        """Take the content of the report."""
        self._facts = facts
        self._family = Family(facts.tiers)
        self._owners = Owners(facts.counted)
        self._updates = self._owners.updates(facts.outdated)
        owners = (layer.layer.team for tier in facts.tiers if tier.content for layer in tier.content.layers)
        self._colours = pictures.colours([*(tier.team for tier in facts.tiers), *owners])
        #: Name of the file to the text in the navigation, and a function that returns more values for the template.
        #: What needs no action is last.
        self._general: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
            "index": ("Overview", self._index),
            "tiers": ("Tiers", dict),
            "tests": ("Tests", self._tests),
            "releases": ("Releases", self._releases),
            "outdated": ("Outdated", dict),
            "deployed": ("Deployed", dict),
            "custody": ("Custody", self._custody),
            "matrix": ("Compatibility", self._matrix),
            "waste": ("Waste", dict),
        }
        self._templates = environment(
            facts.made,
            facts=facts,
            colours=self._colours,
            signs=_SIGNS,
            most=_ROWS,
            few=_FEW,
            order={state: number for number, state in enumerate((*STATES, ""))},
            owners=self._owners,
            updates=self._updates,
            by_name={tier.name: tier for tier in facts.tiers},
            anchored={tag for tag, _when, _entries in self._newest_releases[:_RELEASES]},
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

    def __len__(self) -> int:
        """Return the number of pages."""
        return len(self._general) + len(self._facts.tiers)

    def _index(self) -> dict[str, Any]:
        facts = self._facts
        shown_tiers = self._family.overview()
        actors = find_actors(facts, self._owners)
        kind, sentence = headline(facts, actors)
        attention = sorted((tier for tier in facts.counted if tier.state), key=lambda tier: STATES.index(tier.state))
        is_small = len(facts.counted) <= _FIRST_TIERS
        return {
            "kind": kind,
            "headline": sentence,
            "answers": list(answers(facts)),
            "actors": actors[:_ACTORS],
            "more_actors": actors[_ACTORS:],
            "actions": _ACTIONS,
            "listed": facts.counted if is_small else attention[:_FIRST_TIERS],
            "is_small": is_small,
            "trend": chain_trend(facts.counted, _FIRST_TREND),
            "services": facts.deployed.services[:_SERVICES] if facts.deployed else [],
            "picture": self._picture(shown_tiers, "tiers/", facts.chain or "Images"),
            "nested": self._nest(shown_tiers),
            "has_hidden": any(shown.hidden for shown in shown_tiers),
        }

    def _tests(self) -> dict[str, Any]:
        counted = self._facts.counted
        failures = [(tier, test) for tier in counted if tier.tests for test in tier.tests.failures]
        return {
            "failures": failures[:_FAILURES],
            "more_failures": len(failures[_FAILURES:]),
            "tested": [tier for tier in counted if tier.tests],
            "untested": [tier for tier in counted if tier.tests is None],
            "trend": chain_trend(counted, _TREND),
        }

    def _matrix(self) -> dict[str, Any]:
        matrix = self._facts.matrix
        cells = [(variant, cell) for variant in (matrix.variants if matrix else ()) for cell in variant.tiers]
        picture = pictures.draw_matrix(matrix) if matrix else ""
        return {
            "grid": Markup(picture),  # noqa: S704 - draw_matrix escapes
            "failures": [(variant, cell) for variant, cell in cells if cell.state is CellState.FAILED],
        }

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
        releases = self._newest_releases
        return {"releases": releases[:_RELEASES], "more": len(releases[_RELEASES:])}

    @cached_property
    def _newest_releases(self) -> list[tuple[str, str | None, list[tuple[ReportTier, Release]]]]:
        """The releases with their new images, the newest release first."""
        by_tag: dict[str, list[tuple[ReportTier, Release]]] = defaultdict(list)
        for tier in self._facts.counted:
            for release in tier.releases:
                if release.tag:
                    by_tag[release.tag].append((tier, release))
        return [(tag, by_tag[tag][0][1].when, by_tag[tag]) for tag in sorted(by_tag, reverse=True)]

    def _tier(self, number: int, tier: ReportTier) -> dict[str, Any]:
        tiers, children = self._facts.tiers, self._family.children[number]
        custody = self._facts.custody.tiers.get(number) if self._facts.custody else None
        shown_tiers = self._family.around(number)
        return {
            "tier": tier,
            "ancestors": [tiers[each] for each in self._family.ancestors(number)],
            "children": [tiers[each] for each in children],
            "picture": self._picture(shown_tiers, "", tier.name, here=number),
            "nested": self._nest(shown_tiers),
            "figures": list(
                figures(tier, updates=self._updates.get(tier.name, ()), custody=custody, children=len(children))
            ),
            "packages_changed": changed_packages(tier),
            "left_out": left_out(tier),
            "upstream": list_upstream(tier),
            "custody": custody,
            "trend": tier_trend(tier, _TIER_TREND),
        }

    def _nest(self, shown_tiers: list[ShownTier]) -> list[dict[str, Any]]:
        """Return the tiers of a picture as a nested list, for narrow screens."""
        items: list[dict[str, Any]] = []
        for shown in shown_tiers:
            items.append(
                {"tier": self._facts.tiers[shown.tier], "hidden": _hidden_counts(shown.hidden), "children": []}
            )
            if shown.parent is not None:
                items[shown.parent]["children"].append(items[-1])
        return [item for item, shown in zip(items, shown_tiers, strict=True) if shown.parent is None]

    def _picture(self, shown_tiers: list[ShownTier], folder: str, title: str, here: int | None = None) -> Markup:
        boxes = [self._box(shown, folder, here=shown.tier == here) for shown in shown_tiers]
        return Markup(pictures.draw_tree(boxes, title, colouring=self._colours))  # noqa: S704 - draw_tree escapes

    def _box(self, shown: ShownTier, folder: str, *, here: bool) -> pictures.Box:
        tier = self._facts.tiers[shown.tier]
        more = ", ".join(filter(None, (tier.team, _hidden_counts(shown.hidden))))
        return pictures.Box(tier.name, shown.parent, more, tier.team, tier.state, f"{folder}{tier.slug}.html", here)


def _hidden_counts(hidden: Mapping[str, int]) -> str:
    attention = ", ".join(f"{hidden[state]} {state}" for state in STATES if state in hidden)
    return f"{sum(hidden.values())} hidden" + (f": {attention}" if attention else "") if hidden else ""
