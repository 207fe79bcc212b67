# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who must act: what each team has to do so that the chain is released, tested, up to date, and deployed."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..compatibility.variant_matrix import CellState
from ..deployment.deployed_service import DeployedService, has_failed
from ..text import one_line
from .model import ABSENT, FAILED, NOT_REACHED, STALE, Facts, ReportTier
from .owners import Owners

#: Kinds of actions, the most urgent first. They are also style classes.
URGENT, SOON = "failed", "stale"
#: Limit for the characters of a detail.
_LONGEST = 240


class OpenAction(msgspec.Struct, frozen=True):
    """Something that somebody must do."""

    #: ``failed`` or ``stale``.
    kind: str
    #: What is wrong: ``wordpress: 2 of 14 tests fail``, in two parts.
    about: str
    what: str
    #: More about it, in one line; can be empty.
    detail: str
    #: Page with the details, from the first page.
    link: str


class Actor(msgspec.Struct, frozen=True):
    """A team or a person who must act."""

    #: Name of the team; ``None`` for somebody else.
    team: str | None
    #: Who it is, if it is not a team.
    who: str
    #: The most urgent first.
    actions: list[OpenAction]


def find_actors(facts: Facts, owners: Owners) -> list[Actor]:
    """List who must act, those with urgent actions first."""
    found: dict[tuple[str | None, str], list[OpenAction]] = {}
    for team, who, action in _actions(facts, owners):
        found.setdefault((team, who), []).append(action)
    for actions in found.values():
        actions.sort(key=lambda action: action.kind != URGENT)
    actors = [Actor(team, who, actions) for (team, who), actions in found.items()]
    return sorted(actors, key=lambda actor: (actor.actions[0].kind != URGENT, actor.team is None, actor.team or ""))


def _actions(facts: Facts, owners: Owners) -> Iterator[tuple[str | None, str, OpenAction]]:
    failed = {tier.name for tier in facts.counted if tier.state == FAILED}
    for tier in facts.counted:
        if tier.state and not (tier.state == NOT_REACHED and failed):
            yield tier.team, "", _of_state(tier)
    for rebuild in facts.outdated.rebuild if facts.outdated else ():
        owner = owners.of_layer(rebuild.owner)
        name = owner.name if owner else rebuild.owner.called
        security = f", {_count(rebuild.security, 'security update')}" if rebuild.security else ""
        others = [each for each in rebuild.renews if each != rebuild.owner.called]
        detail = f"descendants are built with it, among them {', '.join(others[:3])}" if others else ""
        kind = URGENT if rebuild.security else SOON
        what = f"build it again, it lacks {_count(rebuild.updates, 'package update')}{security}"
        action = OpenAction(kind, name, what, detail, "outdated.html#packages")
        yield (owner.team if owner else rebuild.owner.team), "", action
    yield from _of_custody(facts)
    yield from _of_matrix(facts, owners)
    for service in facts.deployed.services if facts.deployed else ():
        if (found := _of_service(service)) is not None:
            yield None, f"whoever deploys {service.site}", found


def _of_state(tier: ReportTier) -> OpenAction:
    page = f"tiers/{tier.slug}.html"
    reason = one_line(tier.reasons[0], _LONGEST) if tier.reasons else ""
    if tier.state == FAILED and tier.tests is not None and tier.tests.failed:
        first = tier.tests.failures[0] if tier.tests.failures else None
        owner = f" ({first.team})" if first and first.team and first.team != tier.team else ""
        message = first.message.strip().partition("\n")[0] if first else ""
        detail = f"{first.test or 'all tests'}{owner}: {message}" if first else reason
        what = f"{tier.tests.failed} of {_count(tier.tests.ran, 'test')} fail"
        return OpenAction(URGENT, tier.name, what, one_line(detail, _LONGEST), f"{page}#tests")
    words = {
        FAILED: "its last run failed",
        NOT_REACHED: "it was not reached",
        ABSENT: "it has no image",
        STALE: "build it again",
    }
    kind = SOON if tier.state == STALE else URGENT
    return OpenAction(kind, tier.name, words[tier.state], reason, page)


def _of_custody(facts: Facts) -> Iterator[tuple[str | None, str, OpenAction]]:
    for number, custody in facts.custody.tiers.items() if facts.custody else ():
        tier = facts.tiers[number]
        broken = [link for link in custody.links if not link.ok]
        if broken:
            detail = one_line(f"{broken[0].name}: {broken[0].detail}", _LONGEST)
            what = f"{_count(len(broken), 'link')} of its custody {'does' if len(broken) == 1 else 'do'} not hold"
            yield tier.team, "", OpenAction(URGENT, tier.name, what, detail, f"tiers/{tier.slug}.html#custody")


def _of_matrix(facts: Facts, owners: Owners) -> Iterator[tuple[str | None, str, OpenAction]]:
    for variant in facts.matrix.variants if facts.matrix else ():
        for cell in variant.tiers:
            if cell.state is CellState.FAILED:
                tier = owners.of_name(cell.tier)
                detail = one_line(cell.test, _LONGEST) if cell.test else ""
                action = OpenAction(SOON, cell.tier, f"it fails on {variant.title}", detail, "matrix.html#failures")
                yield (tier.team if tier else None), "", action


def _of_service(service: DeployedService) -> OpenAction | None:
    about, page = f"{service.site}/{service.service}", "deployed.html"
    if has_failed(service):
        outcome = service.state or (service.last.outcome if service.last else "")
        reason = service.problem or (service.last.reason if service.last else "") or ""
        detail = one_line(reason, _LONGEST) if reason else ""
        return OpenAction(URGENT, about, f"its last deployment was not successful: {outcome}", detail, page)
    if service.running < service.wanted:
        what = f"{service.running} of {_count(service.wanted, 'container')} run"
        return OpenAction(URGENT, about, what, one_line(service.problem, _LONGEST) if service.problem else "", page)
    if service.current is False:
        layers = dict.fromkeys(f"{each.tier or '?'} ({each.team or '?'})" for each in service.outdated)
        detail = f"new since: {', '.join(layers)}" if layers else ""
        return OpenAction(SOON, about, "deploy it again, a newer image is released", detail, page)
    return None


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
