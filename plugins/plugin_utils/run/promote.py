# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Promotion: release tags move to the images of the tiers whose branch passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import docker

from ..chain.graph import Chain
from ..engine import images
from .journal import Journal
from .plan import Action
from .records import read_plans


@dataclass(frozen=True, slots=True)
class Promotion:
    """What promotion did with one tier."""

    tier: str
    #: The release tag.
    release: str
    #: ID of the image that the tag names now.
    image: str
    #: Whether the tag moved.
    moved: bool


def promotable(chain: Chain, passed: Mapping[str, str], failed: frozenset[str]) -> list[str]:
    """Choose the tiers whose release tag may move: they passed, and so did everything of this run that stands on them.

    Args:
        chain: The chain.
        passed: Image IDs of the tiers of this run that were kept or sealed.
        failed: Names of the tiers that failed.
    """
    return [name for name in chain.order if name in passed and failed.isdisjoint(chain.descendants(name))]


def promote_run(client: docker.DockerClient, journal: Journal) -> list[Promotion]:
    """Move the release tags of all tiers of a run that may be promoted.

    Raises:
        EngineError: An image is gone, or the engine refused; no further tag moves then.
    """
    chain, planned = read_plans(journal)
    ends = {name: journal.outcome(name) for name, each in planned.items() if each.action is Action.BUILD}
    kept = {name: each.image for name, each in planned.items() if each.action is Action.KEEP and each.image}
    sealed = {name: end.image for name, end in ends.items() if end is not None and end.image}
    failed = frozenset(ends) - frozenset(sealed)
    return promote(client, chain, kept | sealed, promotable(chain, kept | sealed, failed))


def promote(client: docker.DockerClient, chain: Chain, passed: Mapping[str, str], names: list[str]) -> list[Promotion]:
    """Move the release tags of ``names``.

    Raises:
        EngineError: An image is gone, or the engine refused; no further tag moves then.
    """
    for name in names:
        images.get(client, passed[name])
    done = []
    for name in names:
        tier, image = chain[name], passed[name]
        before = images.find(client, tier.release)
        moved = before is None or before.id != image
        if moved:
            images.tag(client, image, tier.image, tier.tag)
        done.append(Promotion(name, tier.release, image, moved))
    return done
