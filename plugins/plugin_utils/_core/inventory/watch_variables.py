# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the variables of a watcher from the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..errors import ChainError
from ..watch.settings import DEPLOY, WATCH_SPEC, WatchSettings, check_names, make_settings, merge_values
from .chain_inventory import ChainInventory


def read_watch_settings(inventory: ChainInventory | None, site: Mapping[str, Any]) -> WatchSettings:
    """Read what a watcher does, and how.

    Args:
        inventory: The chain; ``None`` if the inventory has no tiers.
        site: The variables of the host that the site is deployed from.

    Raises:
        ChainError: A variable is wrong, or has two values, or nothing is switched on.
    """
    chain: dict[str, Any] = {}
    for tier in inventory.chain if inventory else ():
        variables = inventory.variables(tier.name) if inventory else {}
        check_names(variables)
        chain = merge_values(chain, _read(variables), f"tier {tier.name!r}")
    check_names(site)
    values = merge_values(chain, _read(site), "the host of the site")
    settings = make_settings(values, Path(str(site.get("inventory_dir") or ".")))
    if inventory is None and (settings.follow or settings.candidates):
        name = "watch_follow" if settings.follow else "watch_candidates"
        raise ChainError(f"{name} is true, but the inventory has no tiers; set it in the inventory of a chain")
    if settings.deploy and not site.get("deploy_images"):
        raise ChainError(f"{DEPLOY} is true, but deploy_images is not set, so no site is known")
    return settings


def _read(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that are set, converted to their types."""
    values = {name: variables[name] for name in WATCH_SPEC if variables.get(name) is not None}
    for name, value in values.items():
        kind = WATCH_SPEC[name]["type"]
        if ArgumentSpecValidator({name: {"type": kind}}).validate({name: value}).error_messages:
            raise ChainError(f"{name} is {value!r}; expected {'a path' if kind == 'path' else kind}")
    spec = {name: {"type": WATCH_SPEC[name]["type"]} for name in values}
    return dict(ArgumentSpecValidator(spec).validate(values).validated_parameters)
