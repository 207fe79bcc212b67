# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A chain's claim to its name: on the engine, and in this user's state folder.

Images, tags and state are found by the chain's name. So the first who uses a name records where the chain lives: beside
the chain's state folder, and on the engine as the label of an empty volume, since users with other state folders may
share that. An engine makes a volume of one name once only: of two who come at once, one is told.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..chain.names import is_anybodys
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..errors import RunError
from ..image import labels, provenance
from ..image.provenance import Repositories
from .journal import state_folder
from .owner import Home

#: No chain's folder: names of chains have no plus sign there.
_HOMES = "+homes"


def check_claim(engine: Engine, chain: str, home: Home) -> None:
    """Make sure that no other project has a chain of this name, on this engine or in this state folder.

    Raises:
        RunError: One has; the message says where it lives and what to do.
        EngineError: The engine does not answer.
    """
    _agreed(engine, chain, home)


def claim(engine: Engine, chain: str, home: Home) -> None:
    """Claim a chain's name on the engine and in the state folder; see :func:`check_claim`.

    Raises:
        RunError: Another project has it, or the state folder cannot be written to. Nothing was changed.
        EngineError: The engine refused.
    """
    here, there = _agreed(engine, chain, home)
    others = claimed_by_others(engine, chain, home)  # image names are whose project had them first
    mine = replace(home, tiers=tuple(each for each in home.tiers if each.partition(" ")[2] not in others))
    _write_here(chain, here, mine)
    wanted = _together(there, mine)
    if wanted == there:
        return
    if there is not None:
        engine.volumes.remove(volume_name(chain))
    said = engine.volumes.create(volume_name(chain), {labels.CHAIN: chain, labels.HOME: wanted.written()})
    first = Home.read(said.get(labels.HOME, ""))
    if first is not None and not home.claims_with(first):
        raise RunError(_told(chain, home, str(first), _forget_there(chain)))


def owned(chain: str, home: Home) -> Repositories:
    """Repositories of a chain's tiers, by tier: of those that its inventory has, and of those that it had before."""
    here = _here(chain)
    return (home if here is None or not home.claims_with(here) else home.with_tiers(here.tiers)).repositories


def give_up(engine: Engine, chain: str) -> None:
    """Give up the claim to a name on the engine, when nothing of the chain is left there.

    Raises:
        EngineError: The engine refused.
    """
    engine.volumes.remove(volume_name(chain))


def check_images(engine: Engine, chain: str, home: Home, moving: Mapping[Tier, str | None]) -> None:
    """Make sure that release tags which are going to move are not those of another project's chain.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Where it lives.
        moving: ID of the image that each tier's release tag names now; ``None`` where there is no such tag.

    Raises:
        RunError: A tag is another project's; the message says whose and what to do.
        EngineError: The engine does not answer.
    """
    known: dict[str, Home | None] = {}
    for tier, image in moving.items():
        found = engine.images.find(image) if image else None
        said = found.labels.get(labels.CHAIN) if found and found.labels.get(labels.TIER) == tier.name else None
        if said is None or (said == chain and not is_anybodys(chain)):
            continue
        if said not in known:
            known[said] = None if is_anybodys(said) else _there(engine, said)
        owner = known[said] or claimed_by_others(engine, chain, home).get(tier.image)
        if owner is not None and not home.is_project_of(owner):
            raise RunError(
                f"tier {tier.name!r}: {tier.release} is an image of another project's chain, which lives in {owner}; "
                "this one would take its name away. Give the tier an image name of its own: "
                f"tier_image: {chain}/{tier.image.rpartition('/')[2]}"
            )


def own_images(engine: Engine, chain: str, home: Home, names: Names, *, called: str = "") -> list[provenance.Own]:
    """List a chain's own images.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Where it lives.
        names: All names on the engine.
        called: The name that it had when they were made, where that is another. Where other projects may have had it
            as well, what these claim is left out.

    Raises:
        EngineError: The engine refused.
    """
    mine, label = owned(chain, home), called or chain
    if is_anybodys(label):
        others = claimed_by_others(engine, chain, home)
        mine = {tier: set(its) - others.keys() for tier, its in mine.items()}
    return provenance.images_of_chain(engine, label, mine, names)


def claimed_by_others(engine: Engine, chain: str, home: Home) -> dict[str, Home]:
    """Repositories of the tiers of other projects' chains on the engine, with where each chain lives.

    Raises:
        EngineError: The engine does not answer.
    """
    claims = engine.volumes.labelled(labels.HOME).values()
    homes = (Home.read(said[labels.HOME]) for said in claims if said.get(labels.CHAIN) != chain)
    others = [each for each in homes if each is not None and not home.is_project_of(each)]
    return {name: each for each in others for names in each.repositories.values() for name in names}


def volume_name(chain: str) -> str:
    """Name of the volume that claims a chain's name."""
    return f"tierwright-chain-{hashlib.sha256(chain.encode()).hexdigest()[:16]}"


def _agreed(engine: Engine, chain: str, home: Home) -> tuple[Home | None, Home | None]:
    """What is recorded in the state folder and on the engine, both this project's; ``None`` for nothing."""
    here, there = _here(chain), _there(engine, chain)
    if here is not None and not home.claims_with(here):
        raise RunError(_told(chain, home, str(here), f"remove {_recorded_in(chain)}"))
    if there is None or not home.claims_with(there):
        # Tiers that came after the record was made, or images of before there were records.
        tiers = tuple(provenance.claimed(engine, chain, engine.images.snapshot().names))
        known = home if here is None else home.with_tiers(here.tiers)
        if there is None and tiers and set(tiers).isdisjoint(known.tiers):
            names = ", ".join(sorted({each.partition(" ")[0] for each in tiers}))
            raise RunError(_told(chain, home, f"a place that is not recorded (tiers {names})", "remove its images"))
        if there is not None and not home.claims_with(there.with_tiers(tiers)):
            raise RunError(_told(chain, home, str(there), _forget_there(chain)))
    return here, there


def _told(chain: str, home: Home, other: str, forget: str) -> str:
    return (
        f"there is another project's chain {chain!r}: it lives in {other}, and this one in {home}. Nothing was "
        "touched. Name one of them otherwise: tier_chain, for all tiers of its inventory; where tiers of both have one "
        f"image name, tier_image as well. If this project takes the place of the other one, {forget}, and start again"
    )


def _forget_there(chain: str) -> str:
    return f"remove the record of it (docker volume rm {volume_name(chain)})"


def _together(known: Home | None, home: Home) -> Home:
    """What to record: the tiers and first commits of both, and the first of two places that are both there."""
    if known is None:
        return replace(home, former="")
    place = home if home.has_place_of(known) else known
    roots = tuple(sorted({*known.roots, *home.roots}))
    return replace(place, tiers=home.with_tiers(known.tiers).tiers, roots=roots, former="")


def _here(chain: str) -> Home | None:
    try:
        return Home.read(_recorded_in(chain).read_text())
    except (OSError, ValueError):
        return None


def _there(engine: Engine, chain: str) -> Home | None:
    return Home.read((engine.volumes.find(volume_name(chain)) or {}).get(labels.HOME, ""))


def _write_here(chain: str, known: Home | None, home: Home) -> None:
    wanted = _together(known, home)
    if wanted == known:
        return
    path = _recorded_in(chain)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside.write_text(wanted.written())
        aside.replace(path)
    except OSError as error:
        raise RunError(
            f"the chain's folder {path.parent} cannot be written to ({error.strerror}); let XDG_STATE_HOME name another"
        ) from error


def _recorded_in(chain: str) -> Path:
    folder = state_folder(chain)
    return folder.parent / _HOMES / f"{folder.name}.json"
