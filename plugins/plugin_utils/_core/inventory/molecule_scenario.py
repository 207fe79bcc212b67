# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a scenario of Molecule adds to an inventory: the tier that a role is tested as, and the name of its chain.

The role is that of a tier of the user's chain. Or the scenario names a parent: a tier of that chain, or an image.
Then the scenario adds a tier for the role, and one for the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..chain.names import is_repository, split_pinned
from ..errors import ChainError

#: The team of tiers that a scenario adds.
TEAM = "molecule"

#: Of the path of a project, so many hexadecimal digits of its digest are in the name of the chain.
_DIGITS = 8

_EXAMPLE = "platforms: [{name: molecule, parent: 'docker.io/library/debian@sha256:…'}]"


class MoleculeScenario(msgspec.Struct, frozen=True):
    """The tier that is tested, and the tiers that the scenario adds."""

    #: The tier that the role is tested as.
    tier: str
    #: The name of the chain that all images of the scenario belong to. Two projects never have the same.
    chain: str
    #: Variables of the added tiers, by tier.
    added: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)

    @property
    def makes_parent(self) -> bool:
        """Whether the parent is an image, so its tier belongs to the scenario and not to the user's chain."""
        return len(self.added) > 1


def read_scenario(settings: Mapping[str, Any], project: Path, tiers: Collection[str]) -> MoleculeScenario:
    """Read the tier of a scenario from the settings of Molecule.

    Args:
        settings: The merged settings, with ``platforms``. The platform may have ``tier``, by default the name of the
            role's folder with ``-`` for ``_``, and ``parent``.
        project: The folder of the role, absolute.
        tiers: The tiers of the user's inventory; empty without one.

    Raises:
        ChainError: The platform is wrong, has no parent although no chain has the tier, or the folder is not a role.
    """
    platform = _read_platform(settings)
    tier, parent = platform.get("tier", project.name.lower().replace("_", "-")), platform.get("parent")
    if not isinstance(tier, str) or not is_repository(_image(tier)):
        raise ChainError(
            f"molecule.yml: the tier is {tier!r}, which cannot be a part of an image's name; set platforms[0].tier, "
            "for example tier: web"
        )
    digest = hashlib.sha256(str(project).encode()).hexdigest()
    chain = f"molecule-{tier.replace('/', '-')}-{digest[:_DIGITS]}"
    if parent is None:
        _check_listed(tier, tiers)
        return MoleculeScenario(tier, chain)
    if tier in tiers:
        raise ChainError(
            f"molecule.yml: platforms[0].parent is {parent!r}, but the inventory has the tier {tier!r} with a parent "
            "of its own; remove parent, or set platforms[0].tier to a name that the chain does not have"
        )
    _check_role(project)
    role = {"tier_team": TEAM, "tier_role": str(project), "tier_image": _image(tier)}
    if parent in tiers:
        return MoleculeScenario(tier, chain, {tier: {**role, "tier_parent": parent}})
    if not isinstance(parent, str) or split_pinned(parent) is None:
        known = f", or a tier of the inventory ({', '.join(sorted(tiers))})" if tiers else ""
        raise ChainError(
            f"molecule.yml: platforms[0].parent is {parent!r}; expected an image by digest, name@sha256:…{known}. A "
            "tag may name a different image tomorrow; `docker images --digests` shows the digests of images"
        )
    base = f"{tier}-parent"
    added = {
        base: {"tier_team": TEAM, "tier_pull": parent, "tier_image": _image(base)},
        tier: {**role, "tier_parent": base},
    }
    return MoleculeScenario(tier, chain, added)


def _image(tier: str) -> str:
    """The name of an image of a scenario. It cannot be mistaken for that of a release."""
    return f"molecule/{tier}"


def _read_platform(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    platforms = settings.get("platforms")
    if not isinstance(platforms, list) or len(platforms) != 1 or not isinstance(platforms[0], Mapping):
        found = f"{len(platforms)} of them" if isinstance(platforms, list) else repr(platforms)
        raise ChainError(
            f"molecule.yml: platforms has {found}; expected exactly one, because a scenario builds one image. Make a "
            "scenario for each parent"
        )
    return platforms[0]


def _check_listed(tier: str, tiers: Collection[str]) -> None:
    if tier in tiers:
        return
    if not tiers:
        raise ChainError(
            f"molecule.yml: the tier {tier!r} has no parent, and there is no inventory with a chain. Name an image as "
            f"its parent: {_EXAMPLE}; or name the chain's inventory, with TIERWRIGHT_INVENTORY or in ansible.cfg"
        )
    raise ChainError(
        f"molecule.yml: the inventory has no tier {tier!r}; its tiers are {', '.join(sorted(tiers))}. Set "
        "platforms[0].tier to the tier whose role this is, or platforms[0].parent to a tier or an image that "
        "the role is applied to"
    )


def _check_role(project: Path) -> None:
    if not any((project / folder).is_dir() for folder in ("tasks", "meta")):
        raise ChainError(
            f"{project} is not a role: it has neither tasks/ nor meta/; run Molecule in the folder of a role, the one "
            "that contains molecule/"
        )
