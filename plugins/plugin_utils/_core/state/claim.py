# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The claim of a project to a chain name: on the engine, and in this user's state folder.

Images, tags and state are found by the chain's name. The first project that uses a name records itself next to the
chain's state folder, and on the engine as a label of an empty volume, because users with separate state folders can
share an engine. An engine creates a volume of one name only once: if two projects claim a name at once, the second one
gets the label of the first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from ..chain.names import is_generic_name
from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.inspection import Names
from ..errors import RunError
from ..image import labels, provenance
from ..image.provenance import Repositories
from .journal import state_folder
from .owner import Home

#: Not the state folder of a chain: the names of those contain no plus sign.
_CLAIMS_FOLDER = "+homes"


def check_claim(engine: Engine, chain: str, home: Home) -> None:
    """Check that no other project has a chain with this name, on this engine or in this state folder.

    Raises:
        RunError: Another project has; the message contains its folder and what to do.
        EngineError: The engine does not answer.
    """
    _read_claims(engine, chain, home)


def claim(engine: Engine, chain: str, home: Home) -> None:
    """Claim a chain's name on the engine and in the state folder; see :func:`check_claim`.

    Raises:
        RunError: Another project has it, or the state folder cannot be written to. Nothing was changed on the engine.
        EngineError: The engine rejected a request.
    """
    local_claim, engine_claim = _read_claims(engine, chain, home)
    others = claimed_by_others(engine, chain, home)  # an image name belongs to the project that claimed it first
    own = replace(home, tiers=tuple(entry for entry in home.tiers if entry.partition(" ")[2] not in others))
    _write_local_claim(chain, local_claim, own)
    wanted = _merge(engine_claim, own)
    if wanted == engine_claim:
        return
    if engine_claim is not None:
        engine.volumes.remove(volume_name(chain))
    volume_labels = engine.volumes.create(volume_name(chain), {labels.CHAIN: chain, labels.HOME: wanted.written()})
    first = Home.read(volume_labels.get(labels.HOME, ""))
    if first is not None and not home.claims_with(first):
        raise RunError(_conflict(chain, home, str(first), _advise_volume_removal(chain)))


def own_repositories(chain: str, home: Home) -> Repositories:
    """Return the repositories of a chain's current and former tiers, by tier."""
    local_claim = _read_local_claim(chain)
    if local_claim is not None and home.claims_with(local_claim):
        home = home.with_tiers(local_claim.tiers)
    return home.repositories


def remove_claim(engine: Engine, chain: str) -> None:
    """Remove the claim to a name from the engine, when nothing of the chain is left there.

    Raises:
        EngineError: The engine rejected the request.
    """
    engine.volumes.remove(volume_name(chain))


def check_images(engine: Engine, chain: str, home: Home, moving: Mapping[Tier, str | None]) -> None:
    """Check that no release tag that a run is going to move belongs to another project's chain.

    The image of a followed tier always belongs to another chain. So its name is checked: no chain here may build it.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Its project.
        moving: By tier, the ID of the image that its release tag names now; ``None`` if there is no such tag.

    Raises:
        RunError: A tag belongs to another project; the message contains its folder and what to do.
        EngineError: The engine does not answer.
    """
    claims: dict[str, Home | None] = {}
    for tier, image_id in moving.items():
        if tier.followed is not None:
            builders = [other for other in _other_claims(engine, chain) if tier.image in _names(other)]
            for builder in builders[:1]:
                raise RunError(
                    f"tier {tier.name!r} follows {tier.followed.reference}, and on this engine, the chain in {builder} "
                    f"builds {tier.image} itself. This run would move its tag {tier.release}. Give the followed images "
                    f"a name of their own on this engine: tier_image: {chain}/{tier.image.rpartition('/')[2]}"
                )
            continue
        image = engine.images.find(image_id) if image_id else None
        label = image.labels.get(labels.CHAIN) if image and image.labels.get(labels.TIER) == tier.name else None
        if label is None or (label == chain and not is_generic_name(chain)):
            continue
        if label not in claims:
            claims[label] = None if is_generic_name(label) else _read_engine_claim(engine, label)
        owner = claims[label] or claimed_by_others(engine, chain, home).get(tier.image)
        if owner is not None and not home.is_project_of(owner):
            raise RunError(
                f"tier {tier.name!r}: the image {tier.release} belongs to another project's chain, in {owner}. "
                "This run would move its tag. Give the tier a different image name, for example "
                f"tier_image: {chain}/{tier.image.rpartition('/')[2]}"
            )


def own_images(
    engine: Engine, chain: str, home: Home, names: Names, *, former: str = ""
) -> list[provenance.ChainImage]:
    """List a chain's own images.

    Args:
        engine: The engine.
        chain: The chain's name.
        home: Its project.
        names: All image names on the engine.
        former: List the images that the chain made under this former name instead. If other projects may have used
            the same name, the repositories that they claim are left out.

    Raises:
        EngineError: The engine rejected a request.
    """
    repositories, label = own_repositories(chain, home), former or chain
    if is_generic_name(label):
        others = claimed_by_others(engine, chain, home)
        repositories = {tier: set(claimed) - others.keys() for tier, claimed in repositories.items()}
    return provenance.images_of_chain(engine, label, repositories, names)


def followed_images(engine: Engine, chain: str, tiers: Iterable[Tier], names: Names) -> list[provenance.ChainImage]:
    """List the images of other teams that followed tiers have on the engine, in repositories that no chain here claims.

    Args:
        engine: The engine.
        chain: The chain's name.
        tiers: The tiers of the chain.
        names: All image names on the engine.

    Raises:
        EngineError: The engine rejected a request.
    """
    claimed = {name for other in _other_claims(engine, chain) for name in _names(other)}
    followed = [tier for tier in tiers if tier.followed is not None and tier.image not in claimed]
    return [
        image for tier in followed for image in provenance.images_of_tier(engine, tier.name, names.get(tier.image, {}))
    ]


def claimed_by_others(engine: Engine, chain: str, home: Home) -> dict[str, Home]:
    """Return the repositories that other projects on the engine claim, each with its project.

    Raises:
        EngineError: The engine does not answer.
    """
    others = [other for other in _other_claims(engine, chain) if not home.is_project_of(other)]
    return {name: other for other in others for name in _names(other)}


def _other_claims(engine: Engine, chain: str) -> list[Home]:
    """Return the projects of all other chains on the engine, this project's own chains included."""
    claims = engine.volumes.labelled(labels.HOME).values()
    homes = (Home.read(volume[labels.HOME]) for volume in claims if volume.get(labels.CHAIN) != chain)
    return [home for home in homes if home is not None]


def _names(home: Home) -> set[str]:
    return {name for names in home.repositories.values() for name in names}


def volume_name(chain: str) -> str:
    """Return the name of the volume that holds the claim to a chain's name."""
    return f"tierwright-chain-{hashlib.sha256(chain.encode()).hexdigest()[:16]}"


def _read_claims(engine: Engine, chain: str, home: Home) -> tuple[Home | None, Home | None]:
    """Read the claims in the state folder and on the engine; ``None`` if there is none.

    Raises:
        RunError: One of them is the claim of another project.
    """
    local_claim, engine_claim = _read_local_claim(chain), _read_engine_claim(engine, chain)
    if local_claim is not None and not home.claims_with(local_claim):
        raise RunError(_conflict(chain, home, str(local_claim), f"remove {_local_claim_file(chain)}"))
    if engine_claim is None or not home.claims_with(engine_claim):
        # The images can have tiers that the claim lacks: newer tiers, or images from before there were claims.
        tiers = tuple(provenance.labelled_repositories(engine, chain, engine.images.snapshot().names))
        own = home if local_claim is None else home.with_tiers(local_claim.tiers)
        if engine_claim is None and tiers and set(tiers).isdisjoint(own.tiers):
            names = ", ".join(sorted({entry.partition(" ")[0] for entry in tiers}))
            raise RunError(_conflict(chain, home, f"a place that is not recorded (tiers {names})", "remove its images"))
        if engine_claim is not None and not home.claims_with(engine_claim.with_tiers(tiers)):
            raise RunError(_conflict(chain, home, str(engine_claim), _advise_volume_removal(chain)))
    return local_claim, engine_claim


def _conflict(chain: str, home: Home, other: str, advice: str) -> str:
    return (
        f"another project has a chain {chain!r} too: it is in {other}, and this chain is in {home}. Nothing was "
        "changed. Rename one of the two chains: set tier_chain for all tiers of its inventory. If tiers of both chains "
        "have the same image name, set tier_image too. "
        f"If this project replaces the other one, {advice}, and start again"
    )


def _advise_volume_removal(chain: str) -> str:
    return f"remove its claim (docker volume rm {volume_name(chain)})"


def _merge(claim: Home | None, home: Home) -> Home:
    """Return the new claim: the tiers and root commits of both. If both places exist, the earlier one stays."""
    if claim is None:
        return replace(home, former="")
    place = home if home.has_place_of(claim) else claim
    roots = tuple(sorted({*claim.roots, *home.roots}))
    return replace(place, tiers=home.with_tiers(claim.tiers).tiers, roots=roots, former="")


def _read_local_claim(chain: str) -> Home | None:
    try:
        return Home.read(_local_claim_file(chain).read_text())
    except (OSError, ValueError):
        return None


def _read_engine_claim(engine: Engine, chain: str) -> Home | None:
    return Home.read((engine.volumes.find(volume_name(chain)) or {}).get(labels.HOME, ""))


def _write_local_claim(chain: str, claim: Home | None, home: Home) -> None:
    wanted = _merge(claim, home)
    if wanted == claim:
        return
    path = _local_claim_file(chain)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.write_text(wanted.written())
        unfinished.replace(path)
    except OSError as error:
        raise RunError(
            f"the chain's folder {path.parent} cannot be written to ({error.strerror}); "
            "set XDG_STATE_HOME to a folder that can be written to"
        ) from error


def _local_claim_file(chain: str) -> Path:
    folder = state_folder(chain)
    return folder.parent / _CLAIMS_FOLDER / f"{folder.name}.json"
