# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page of one tier: its figures, each with a link to what it counts, and values that its tables need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ..custody.custody_answer import TierCustody
from ..packages.outdated_packages import Update
from ..text import size
from ..transports.image import PackageChange
from ..views.layer_contents import LayerContent
from .model import ReportTier


class Figure(msgspec.Struct, frozen=True):
    """A number about a tier, with the part of its page that lists what it counts."""

    number: str
    words: str
    link: str
    #: ``failed``, ``stale`` or empty.
    kind: str = ""


def figures(
    tier: ReportTier, *, updates: Sequence[Update], custody: TierCustody | None, children: int
) -> Iterator[Figure]:
    """Yield the figures of a tier. What is not known has none."""
    yield from _of_tests(tier)
    if custody is not None:
        broken = sum(not link.ok for link in custody.links)
        if broken:
            yield Figure(f"{broken} of {len(custody.links)}", "links of custody fail", "#custody", "failed")
        else:
            yield Figure(str(len(custody.links)), "links of custody hold", "#custody")
    if updates:
        security = sum(update.security for update in updates)
        words = f"outdated packages, {security} with security updates" if security else "outdated packages"
        yield Figure(str(len(updates)), words, "#outdated", "failed" if security else "stale")
    if tier.services:
        yield Figure(str(len(tier.services)), _plural(len(tier.services), "service") + " of sites", "#deployed")
    if tier.releases:
        yield Figure(str(len(tier.releases)), "releases and builds", "#releases")
    yield from _of_content(tier)
    if tier.protections:
        paths = sum(len(each.paths) for each in tier.protections)
        yield Figure(str(paths), "protected " + _plural(paths, "path"), "#protected")
    if tier.settings:
        own = sum(setting.is_own for setting in tier.settings)
        yield Figure(str(own), "own " + _plural(own, "setting"), "#configuration")
    if children:
        yield Figure(str(children), "child" if children == 1 else "children", "#family")


def _of_tests(tier: ReportTier) -> Iterator[Figure]:
    tests = tier.tests
    if tests is None:
        return
    if tests.failed:
        yield Figure(f"{tests.failed} of {tests.ran}", "tests failed", "#tests", "failed")
    else:
        yield Figure(str(tests.passed), _plural(tests.passed, "test") + " passed", "#tests")
    if tests.contracts:
        yield Figure(str(tests.contracts), "of these are contracts", "#tests")
    if tests.neighbours:
        yield Figure(
            str(len(tests.neighbours)), _plural(len(tests.neighbours), "neighbour") + " in tests", "#neighbours"
        )


def _of_content(tier: ReportTier) -> Iterator[Figure]:
    if tier.image is not None:
        words = f"own size, of {size(tier.image.size)}"
        yield Figure(size(tier.image.own), words, "#layers" if tier.content else "#image")
    if tier.content is None:
        return
    yield Figure(str(len(tier.content.layers)), _plural(len(tier.content.layers), "layer"), "#layers")
    if tier.content.packages:
        yield Figure(str(len(tier.content.packages)), _plural(len(tier.content.packages), "package"), "#packages")
    if dropped := left_out(tier):
        yield Figure(str(len(dropped)), _plural(len(dropped), "item") + " left out", "#left-out")


def left_out(tier: ReportTier) -> list[str]:
    """Return what the seal left out of the tier's own layers; empty if another machine built it."""
    return [line for layer in _own_layers(tier) for line in layer.left_out]


def changed_packages(tier: ReportTier) -> list[PackageChange]:
    """Return the packages that the tier's own layers change."""
    return [change for layer in _own_layers(tier) for change in layer.packages]


def list_upstream(tier: ReportTier) -> list[tuple[str, str | None]]:
    """List the tiers of other teams that a followed tier is based on, the nearest first, with their teams."""
    layers = [content.layer for content in tier.content.layers] if tier.content else []
    owners = dict.fromkeys((layer.tier, layer.team) for layer in reversed(layers) if layer.tier)
    return [(str(name), team) for name, team in owners if name != tier.name]


def _plural(number: int, word: str) -> str:
    return word if number == 1 else f"{word}s"


def _own_layers(tier: ReportTier) -> list[LayerContent]:
    if tier.content is None or tier.image is None:
        return []
    return tier.content.layers[len(tier.content.layers) - tier.image.own_layers :]
