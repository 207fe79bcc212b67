# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan in words, short enough to be read however large the chain is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from ..contract.gate import Suite
from .decision import Action, Decision

#: Tiers of a run up to which each is listed; of more, those that stay as they are get counted.
FEW = 20
#: Followers of a tier that are named; others are counted.
_NAMED = 5


def outline(
    decisions: Collection[Decision], *, everything: bool, tests: Mapping[str, Suite] = MappingProxyType({})
) -> Iterator[str]:
    """Yield the lines of a plan: what becomes of each tier, and why.

    Args:
        decisions: One for each tier of the run, parents before children.
        everything: Whether tiers that stay as they are are listed in a large chain too.
        tests: The tests that each tier's image has to pass; those of a large chain are not told.
    """
    following = followers(decisions)
    short = not everything and len(decisions) > FEW
    listed = [each for each in decisions if not (short and _stays(each))]
    width = max((len(each.tier.name) for each in listed), default=0)
    for each in listed:
        first, *more = (
            *each.reasons,
            *_asked(each),
            *(f"to be tested: {reason}" for reason in each.untested),
            *_unseen(each),
            *_tested(each, None if short else tests.get(each.tier.name)),
            *_told(following.get(each.tier.name, ())),
        )
        yield f"{each.tier.name:{width}}  {each.action:5}  {first}"
        yield from (f"{'':{width}}         {line}" for line in more)
    yield from kept_lines(len(decisions) - len(listed))


def kept_lines(count: int) -> Iterator[str]:
    """Yield the line that stands for ``count`` tiers that are not listed; none for none."""
    if count:
        yield f"{_tiers(count, 'is', 'are')} kept as {'it is' if count == 1 else 'they are'}; -v lists all"


def followers(decisions: Collection[Decision]) -> Mapping[str, list[str]]:
    """Tell what each change drags along.

    Args:
        decisions: One for each tier of the run, parents before children.

    Returns:
        For each tier that is built for a reason of its own, the names of those that are built because it is.
    """
    causes: dict[str, list[str]] = {}
    following: dict[str, list[str]] = {}
    for each in decisions:
        if each.action is not Action.BUILD:
            continue
        name, above = each.tier.name, causes.get(each.tier.parent or "", [])
        for cause in above:
            following[cause].append(name)
        causes[name] = above
        if not each.follows:
            following[name] = []
            causes[name] = [*above, name]
    return following


def _stays(decision: Decision) -> bool:
    return decision.action is Action.KEEP and decision.released and not decision.untested


def _asked(decision: Decision) -> Iterator[str]:
    tier = decision.tier
    if decision.action is Action.BUILD and tier.role and tier.cage.asked:
        yield f"its build container gets {tier.cage.asked}"


def _unseen(decision: Decision) -> Iterator[str]:
    """Tell what may have changed without anybody's noticing."""
    if decision.unseen:
        yield f"not looked at: {', '.join(decision.unseen)}"


def _tested(decision: Decision, suite: Suite | None) -> Iterator[str]:
    if not suite or not (decision.action is Action.BUILD or decision.untested):
        return
    own = ["its own"] if suite.own else []
    contracts = [f"the contracts of {', '.join(each.tier for each in suite.contracts)}"] if suite.contracts else []
    yield f"tests: {' and '.join([*own, *contracts])}"


def _told(names: Collection[str]) -> Iterator[str]:
    if names:
        which = f": {', '.join(names)}" if len(names) <= _NAMED else ""
        yield f"{_tiers(len(names), 'follows', 'follow')}{which}"


def _tiers(count: int, one: str, many: str) -> str:
    return f"1 tier {one}" if count == 1 else f"{count} tiers {many}"
