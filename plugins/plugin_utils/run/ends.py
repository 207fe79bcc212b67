# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How each tier of a run ended, from the journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .journal import Journal
from .plan import Action
from .records import Planned, read_plans
from .standing import BUILT, FAILED, KEPT, NOT_REACHED, Ended, Failure


def ends(journal: Journal, now: str) -> dict[str, Ended]:
    """Say how the tiers of a run ended, parents before children; those that ``--limit`` left out are not among them.

    A tier that stands on one that failed, and came to no image, was not reached, whatever became of it.

    Args:
        journal: The run.
        now: RFC 3339 time.

    Raises:
        RunError: The run has no plan.
    """
    chain, planned = read_plans(journal)
    found = {
        name: _ended(journal, planned[name], now) for name in chain.order if planned[name].action is not Action.LEAVE
    }
    failed = {name for name, each in found.items() if each.result == FAILED}
    return {
        name: dataclasses.replace(each, result=NOT_REACHED)
        if name in failed and not failed.isdisjoint(chain.ancestors(name))
        else each
        for name, each in found.items()
    }


def failed_otherwise(journal: Journal, hosts: Iterable[str]) -> list[str]:
    """Choose the hosts that failed although their tiers did not: promotion failed, or something that no tier is about.

    Args:
        journal: The run.
        hosts: Names of those that Ansible says failed, or could not be reached.
    """
    told = {name for name, each in ends(journal, "").items() if each.result in {FAILED, NOT_REACHED}}
    return [host for host in hosts if host not in told]


def _ended(journal: Journal, planned: Planned, now: str) -> Ended:
    name, outcome = planned.tier.name, journal.outcome(planned.tier.name)
    tested = journal.read("tested", name) or {}
    if outcome is None:
        result, said, image = KEPT if planned.action is Action.KEEP else NOT_REACHED, "", planned.image
    else:
        said, image = outcome.reason, outcome.image
        result = FAILED if image is None else KEPT if said else BUILT
    if not tested.get("passed", True):
        result = FAILED
    failures = [Failure(each["test"], each["owner"], each["message"]) for each in tested.get("failed", ())]
    return Ended(now, journal.run, str(planned.action), result, said, image, tested.get("tests"), failures)
