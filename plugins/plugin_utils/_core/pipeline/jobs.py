# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The jobs of a pipeline: one for each tier that is built, after the jobs of its parent and its neighbours.

The workers of a CI system share no engine. A job takes the tiers that it needs from the shared cache in the registry.
It names these tiers, too: if one of them is not in the cache, the job builds it. So a result never depends on the
cache.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import count

import msgspec

from ..chain.graph import Chain
from ..chain.names import split_registry
from ..errors import ChainError

#: Names that are the same in every shell, in YAML, and in a pattern of Ansible's ``--limit``.
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


class Job(msgspec.Struct, frozen=True):
    """The job of one tier."""

    tier: str
    team: str
    #: The tiers whose jobs come before: the parent, and the neighbours.
    needs: tuple[str, ...]
    #: The tier, and all tiers that it needs, directly or indirectly, as ``--limit`` names them.
    limit: tuple[str, ...]
    #: Number of jobs that come before, one after the other.
    level: int
    #: A name of the job for systems that allow only lower-case letters, digits and ``-``; each job has another one.
    name: str
    #: The names of the jobs that come before.
    after: tuple[str, ...]


def plan_jobs(chain: Chain) -> list[Job]:
    """Return the jobs of a chain; those that others need come first. A followed tier is never built, so it has none.

    Raises:
        ChainError: The images of a tier are in no registry, or its name cannot be written in a pipeline.
    """
    check_registries(chain)
    jobs: dict[str, Job] = {}
    for tier in chain:
        if tier.followed is not None:
            continue
        needed = [name for name in (tier.parent, *tier.neighbours) if name is not None and name in jobs]
        limit = dict.fromkeys([name for each in needed for name in jobs[each].limit] + [tier.name])
        level = max((jobs[name].level + 1 for name in needed), default=0)
        needs = tuple(dict.fromkeys(needed))
        after = tuple(jobs[name].name for name in needs)
        name = _make_name(tier.name, {job.name for job in jobs.values()})
        jobs[tier.name] = Job(tier.name, tier.team, needs, tuple(limit), level, name, after)
    return list(jobs.values())


def _make_name(tier: str, taken: Collection[str]) -> str:
    name = f"tier-{re.sub(r'[^a-z0-9]+', '-', tier.lower()).strip('-')}"
    return next(
        each for each in (name if number == 1 else f"{name}-{number}" for number in count(1)) if each not in taken
    )


def check_registries(chain: Chain) -> None:
    """Make sure that jobs on different machines can hand the tiers to each other.

    Raises:
        ChainError: With what is wrong with each tier.
    """
    problems = [
        f"tier {tier.name!r}: its image {tier.image!r} is in no registry, so no other job can take it; set tier_image, "
        "such as registry.example.org/shop/{{ inventory_hostname }}"
        for tier in chain
        if tier.followed is None and split_registry(tier.image) is None
    ]
    problems += [
        f"tier {tier.name!r}: its name cannot be written in a pipeline; expected letters, digits, '.', '_' and '-'"
        for tier in chain
        if not _PLAIN.fullmatch(tier.name)
    ]
    if problems:
        raise ChainError("\n".join(problems))


def hosts_of(images: Iterable[str]) -> list[str]:
    """Return the hosts of the registries of images, sorted, each once."""
    return sorted({place[0] for image in images if (place := split_registry(image)) is not None})
