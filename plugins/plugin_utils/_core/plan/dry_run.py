# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out what a run would do now, by ``ansible-playbook --check``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..errors import NotFoundError, PlanError, wrap_errors
from .playbook_answer import ask

#: The playbook of this collection that builds a chain.
PLAYBOOK = "tierwright.chain.build_chain"

_BUILD = "build"


class RebuildCause(msgspec.Struct, frozen=True):
    """A tier that would be built, and why."""

    tier: str
    reasons: list[str]


class Now(msgspec.Struct, frozen=True):
    """What a run would do with a tier."""

    #: ``build``, ``keep``, or ``leave`` if the run is limited to other tiers.
    action: str
    #: ID of the image that the tier would keep; ``null`` if the tier would be built or has no image.
    image: str | None
    reasons: list[str]
    #: The ancestors that would be built too, the nearest first.
    below: list[RebuildCause]


def predict(tier: str, playbook: str, arguments: Sequence[str], say: Callable[[str], None]) -> tuple[str, Now]:
    """Plan a run with ``ansible-playbook --check``; nothing is built.

    Args:
        tier: The tier's name in the inventory.
        playbook: The playbook that builds the chain.
        arguments: More arguments for ansible-playbook.
        say: Called with the output of ansible-playbook if it makes no plan.

    Returns:
        The tier's team, and what a run would do with the tier.

    Raises:
        PlanError: ansible-playbook made no plan, or its plan cannot be read.
        NotFoundError: The plan does not contain the tier.
    """
    tiers = _plan(playbook, arguments, say)
    planned = tiers.get(tier)
    if planned is None:
        raise NotFoundError(f"the inventory has no tier {tier!r}; tiers are: {', '.join(tiers)}")
    causes = list(_list_causes(planned["parent"], tiers))
    return planned["team"], Now(planned["action"], planned["image"], planned["reasons"], causes)


def _list_causes(tier: str | None, tiers: Mapping[str, Any]) -> Iterator[RebuildCause]:
    while tier is not None and tier in tiers and tiers[tier]["action"] == _BUILD:
        yield RebuildCause(tier, tiers[tier]["reasons"])
        tier = tiers[tier]["parent"]


def _plan(playbook: str, arguments: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    answer = ask(playbook, "tier_plan_file", ["--check", *arguments], say)
    with wrap_errors(f"the plan that ansible-playbook {playbook} made", PlanError):
        tiers: dict[str, Any] = json.loads(answer)["tiers"]
        return tiers
