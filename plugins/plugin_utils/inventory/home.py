# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain's name and its place, out of an inventory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..chain import names
from ..chain.tier import Tier
from ..errors import ChainError
from ..keys.checkout import find_checkout
from ..run.holder import machine, user
from ..run.home import Home

_VARIABLE = "tier_chain"


def read_name(views: Mapping[str, Mapping[str, Any]]) -> str:
    """Read the chain's name from the variables of its tiers: ``tier_chain``, else the folder of the inventory.

    Args:
        views: Variables by tier, the first tier's first.

    Raises:
        ChainError: It can name no chain, tiers have several, or no folder's name says which project it is.
    """
    first = next(iter(views))
    given = {tier: view.get(_VARIABLE) for tier, view in views.items()}
    for tier, name in given.items():
        if name != given[first]:
            raise ChainError(
                f"tier {tier!r}: {_VARIABLE} is {name!r}, and that of tier {first!r} is {given[first]!r}; one "
                "inventory is one chain, so set it for all of its tiers (in group_vars/tiers.yml, say)"
            )
    if given[first] not in (None, ""):
        return names.check(_VARIABLE, given[first])
    folder = Path(views[first].get("inventory_dir") or "").resolve()
    name = names.default(folder) if views[first].get("inventory_dir") else None
    if name is None or names.problem(name) is not None:
        raise ChainError(
            f"{_VARIABLE} is not set, and no folder of the inventory ({folder}) has a name that says which project it "
            f"is; name the chain: {_VARIABLE}: shop, for all tiers (in group_vars/tiers.yml, say)"
        )
    return name


def former_name(name: str, first: Mapping[str, Any]) -> str:
    """The name that the chain had where it is not set, before folders that every project has stopped counting."""
    if first.get(_VARIABLE) not in (None, "") or not first.get("inventory_dir"):
        return ""
    former = Path(first["inventory_dir"]).resolve().name
    return "" if former == name or names.problem(former) is not None else former


def find_home(tiers: Iterable[Tier], folder: Path, *, former: str = "") -> Home:
    """Say where a chain lives.

    Args:
        tiers: Its tiers.
        folder: Folder of its inventory, absolute.
        former: The name that it had before.
    """
    checkout = find_checkout(folder)
    return Home(
        inventory=str(folder),
        host=machine(),
        user=user(),
        tiers=tuple(sorted(f"{tier.name} {tier.image}" for tier in tiers)),
        origin=checkout.origin if checkout else "",
        repository=checkout.repository if checkout else "",
        within=checkout.within if checkout else "",
        roots=checkout.roots if checkout else (),
        former=former,
    )
