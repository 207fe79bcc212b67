# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The answers on the first page: what is released, whether tests passed, what is out of date, and what runs.

Each answer is a short text with a link to what it counts. Only tiers of the chain count, and no other images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from ..compatibility.variant_matrix import CellState
from ..deployment.deployed_service import needs_action
from .model import ABSENT, FAILED, NOT_REACHED, STALE, STATES, Facts, ReportDeployed
from .open_actions import URGENT, Actor


class ChainAnswer(msgspec.Struct, frozen=True):
    """An answer on the first page."""

    #: ``Released``, ``Tests`` …
    question: str
    #: The answer in a few words, and more about it.
    answer: str
    more: str
    link: str
    #: ``fine``, ``failed``, ``stale``, or empty: what colour it has.
    kind: str = ""
    #: RFC 3339 time that ``more`` ends with.
    when: str | None = None


def answers(facts: Facts) -> Iterator[ChainAnswer]:
    """Yield the answers about a chain, or about images without a chain."""
    if facts.chain is not None:
        yield _released(facts)
        yield _tests(facts)
    yield _outdated(facts)
    if facts.deployed is not None:
        yield _deployed(facts.deployed)
    if facts.custody is not None:
        refused = sum(any(not link.ok for link in each.links) for each in facts.custody.tiers.values())
        count = len(facts.custody.tiers)
        if refused:
            yield ChainAnswer(
                "Custody", f"{refused} of {tiers_of(count)} not verified", "", "custody.html#failed", "failed"
            )
        else:
            yield ChainAnswer("Custody", f"{tiers_of(count)} verified", "", "custody.html", "fine")
    if facts.matrix is not None:
        yield _compatible(facts)


def headline(facts: Facts, actors: Sequence[Actor]) -> tuple[str, str]:
    """Return the kind of the most urgent state, and one sentence about the chain and those who must act."""
    counted = facts.counted
    states = Counter(tier.state for tier in counted)
    words = {FAILED: "failed", NOT_REACHED: "was not reached", ABSENT: "has no image", STALE: "is stale"}
    plural = {FAILED: "failed", NOT_REACHED: "were not reached", ABSENT: "have no image", STALE: "are stale"}
    parts = [f"{states[state]} {(words if states[state] == 1 else plural)[state]}" for state in STATES if states[state]]
    if not parts:
        what = tiers_of(len(counted)) if facts.chain else _count(len(counted), "image")
        if not actors:
            return "fine", f"All is up to date: {what}."
        kind = "failed" if any(action.kind == URGENT for actor in actors for action in actor.actions) else "stale"
        return kind, f"All is built as planned: {what}. But {_count(len(actors), 'owner')} must act."
    kind = "stale" if set(states) <= {"", STALE} else "failed"
    return kind, f"Of {tiers_of(len(counted))}, {_join(parts)}."


def tiers_of(count: int) -> str:
    """Return ``1 tier`` or ``2 tiers``."""
    return _count(count, "tier")


def _released(facts: Facts) -> ChainAnswer:
    counted = facts.counted
    released = [each.released for each in counted]
    times = [each.when for each in released if each is not None and each.when]
    count = sum(each is not None for each in released)
    kind = "fine" if count == len(counted) else "stale" if count else ""
    what = f"{count} of {tiers_of(len(counted))}" if count else "nothing"
    newest = max(times, default=None)
    return ChainAnswer("Released", what, "the last one" if newest else "", "releases.html", kind, newest)


def _tests(facts: Facts) -> ChainAnswer:
    tests = [each.tests for each in facts.counted if each.tests is not None]
    if not tests:
        return ChainAnswer("Tests", "not recorded", "no result on this machine", "tests.html")
    passed, failed = sum(each.passed for each in tests), sum(each.failed for each in tests)
    skipped, untested = sum(each.skipped for each in tests), len(facts.counted) - len(tests)
    more = ", ".join(
        filter(
            None,
            (
                f"{skipped} skipped" if skipped else "",
                f"{tiers_of(untested)} without tests" if untested else "",
                "" if failed else "last tested",
            ),
        )
    )
    when = None if failed else max(each.when for each in tests)
    if failed:
        rejected = [tier.name for tier in facts.counted if tier.tests and tier.tests.failed]
        where = rejected[0] if len(rejected) == 1 else tiers_of(len(rejected))
        more = f"on {where}" + (f"; {more}" if more else "")
        return ChainAnswer("Tests", f"{failed} of {passed + failed} failed", more, "tests.html#failed", "failed")
    return ChainAnswer("Tests", f"{passed} passed", more, "tests.html", "fine", when)


def _outdated(facts: Facts) -> ChainAnswer:
    found = facts.outdated
    if found is None:
        return ChainAnswer("Packages", "not compared", "archives were not queried", "outdated.html")
    if not found.archives:
        return ChainAnswer("Packages", "not compared", "no archive could be queried", "outdated.html")
    if not found.updates:
        return ChainAnswer(
            "Packages", "none outdated", _count(len(found.archives), "archive") + " compared", "outdated.html", "fine"
        )
    security = sum(update.security for update in found.updates)
    more = _count(security, "security update") if security else "no security update"
    kind = "failed" if security else "stale"
    return ChainAnswer("Packages", f"{len(found.updates)} outdated", more, "outdated.html#packages", kind)


def _deployed(deployed: ReportDeployed) -> ChainAnswer:
    services = deployed.services
    if services:
        behind = sum(map(needs_action, services))
        sites = len({service.site for service in services})
        what = _count(len(services), "service")
        more = f"{what} of {_count(sites, 'site')}"
        if behind:
            return ChainAnswer("Deployed", f"{behind} of {len(services)} need action", more, "deployed.html", "stale")
        return ChainAnswer("Deployed", f"{what} up to date", more, "deployed.html", "fine")
    if deployed.records:
        newest = max(deployed.records, key=lambda record: record.began)
        return ChainAnswer("Deployed", newest.outcome.value, f"{newest.site}, at", "deployed.html", "", newest.began)
    return ChainAnswer(
        "Deployed",
        "nothing" if deployed.asked else "not known",
        "" if deployed.asked else "nothing was asked",
        "deployed.html",
    )


def _compatible(facts: Facts) -> ChainAnswer:
    variants = facts.matrix.variants if facts.matrix else []
    failed = sum(cell.state is CellState.FAILED for variant in variants for cell in variant.tiers)
    what = _count(len(variants), "variant")
    if failed:
        return ChainAnswer(
            "Compatibility", f"{_count(failed, 'failure')} on variants", what, "matrix.html#failures", "failed"
        )
    return ChainAnswer("Compatibility", "compatible", what, "matrix.html", "fine")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
