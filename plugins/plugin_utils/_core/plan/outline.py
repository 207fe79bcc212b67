# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints a plan: short enough to read, however large the chain is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from ..contract.role_tests import Suite
from .decision import Action, Decision

#: If a run has more tiers than this, its unchanged tiers are counted instead of listed.
LIST_ALL_UP_TO = 20
#: If more tiers than this follow a tier, they are counted instead of named.
_NAME_ALL_UP_TO = 5


def outline(
    decisions: Collection[Decision], *, everything: bool, tests: Mapping[str, Suite] = MappingProxyType({})
) -> Iterator[str]:
    """Yield the lines of a plan: what the run does with each tier, and why.

    Args:
        decisions: One decision for each tier of the run, parents before children.
        everything: Whether unchanged tiers are listed even if the chain is large.
        tests: The tests that each tier's image must pass. They are listed only in a small chain, or with
            ``everything``.
    """
    following = followers(decisions)
    short = not everything and len(decisions) > LIST_ALL_UP_TO
    listed = [decision for decision in decisions if not (short and _is_unchanged(decision))]
    width = max((len(decision.tier.name) for decision in listed), default=0)
    for decision in listed:
        name = decision.tier.name
        first, *more = (
            *decision.reasons,
            *_list_privileges(decision),
            *(f"to be tested: {reason}" for reason in decision.untested),
            *_list_unseen(decision),
            *_list_tests(decision, None if short else tests.get(name)),
            *_list_followers(following.get(name, ())),
        )
        yield f"{name:{width}}  {decision.action:5}  {first}"
        yield from (f"{'':{width}}         {line}" for line in more)
    yield from kept_lines(len(decisions) - len(listed))


def kept_lines(count: int) -> Iterator[str]:
    """Yield one line that counts the ``count`` unlisted tiers; no line if ``count`` is 0."""
    if count:
        yield f"{_count_tiers(count, 'is', 'are')} kept as {'it is' if count == 1 else 'they are'}; -v lists all"


def followers(decisions: Collection[Decision]) -> Mapping[str, list[str]]:
    """Find the tiers that are built because an ancestor is built.

    Args:
        decisions: One decision for each tier of the run, parents before children.

    Returns:
        For each tier that is built for a reason of its own: the names of the descendants that are built because of it.
    """
    causes: dict[str, list[str]] = {}
    following: dict[str, list[str]] = {}
    for decision in decisions:
        if decision.action is not Action.BUILD:
            continue
        name, inherited = decision.tier.name, causes.get(decision.tier.parent or "", [])
        for cause in inherited:
            following[cause].append(name)
        causes[name] = inherited
        if not decision.follows:
            following[name] = []
            causes[name] = [*inherited, name]
    return following


def _is_unchanged(decision: Decision) -> bool:
    return decision.action is Action.KEEP and decision.released and not decision.untested


def _list_privileges(decision: Decision) -> Iterator[str]:
    tier = decision.tier
    if decision.action is Action.BUILD and tier.role and tier.cage.additions:
        yield f"its build container gets {tier.cage.additions}"


def _list_unseen(decision: Decision) -> Iterator[str]:
    """List the sources that may have changed unnoticed."""
    if decision.unseen:
        yield f"not looked at: {', '.join(decision.unseen)}"


def _list_tests(decision: Decision, suite: Suite | None) -> Iterator[str]:
    if not suite or not (decision.action is Action.BUILD or decision.untested):
        return
    own = ["its own"] if suite.own else []
    contracts = [f"the contracts of {', '.join(tests.tier for tests in suite.contracts)}"] if suite.contracts else []
    yield f"tests: {' and '.join([*own, *contracts])}"


def _list_followers(names: Collection[str]) -> Iterator[str]:
    if names:
        named = f": {', '.join(names)}" if len(names) <= _NAME_ALL_UP_TO else ""
        yield f"{_count_tiers(len(names), 'follows', 'follow')}{named}"


def _count_tiers(count: int, singular: str, plural: str) -> str:
    return f"1 tier {singular}" if count == 1 else f"{count} tiers {plural}"
