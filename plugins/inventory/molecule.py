# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory plugin for scenarios of Molecule."""

from __future__ import annotations

DOCUMENTATION = r"""
name: molecule
short_description: Add the tier of a Molecule scenario to the inventory
description:
  - Adds what the playbooks in C(extensions/molecule) of this collection need. C(tierwright molecule) uses it.
  - If the settings of Molecule name a parent (C(platforms[0].parent)), it adds a tier for the role. If the parent is an
    image by digest, it adds a tier for that image, too. Otherwise the role's tier must be in the inventory already.
  - All tiers get the name of a separate chain, so the tests do not touch the images of the user's chain.
  - List it after the inventory of the chain.
author:
  - Tierwright contributors (@tierwright)
version_added: 0.1.0
options:
  plugin:
    description: Always V(tierwright.chain.molecule).
    type: str
    required: true
    choices: [tierwright.chain.molecule]
"""

EXAMPLES = r"""
# The file inventory.yml
plugin: tierwright.chain.molecule
"""

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier_names import GROUP
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.molecule_scenario import read_scenario


class InventoryModule(BaseInventoryPlugin):
    """Adds the tier of a scenario."""

    NAME = "tierwright.chain.molecule"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add tiers and variables to the inventory; Ansible calls this."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        project, file, state = map(_variable, ("PROJECT_DIRECTORY", "FILE", "EPHEMERAL_DIRECTORY"))
        inventory.add_group(GROUP)
        tiers = {host.name for host in inventory.groups[GROUP].get_hosts()}
        try:
            scenario = read_scenario(loader.load_from_file(file), Path(project), tiers)
        except ChainError as error:
            # The first task shows it. Ansible would try its other inventory plugins, and show an error of each.
            inventory.set_variable("all", "molecule_problem", str(error))
            return
        inventory.set_variable("all", "molecule_problem", "")
        chain_source = os.environ.get("TIERWRIGHT_INVENTORY")
        for tier, variables in scenario.added.items():
            inventory.add_host(tier, group=GROUP)
            # The project's folder identifies the chain. The folder of this plugin's file is the same for all projects.
            for name, value in {**variables, "inventory_dir": project}.items():
                inventory.set_variable(tier, name, value)
        for tier in {*tiers, *scenario.added}:
            inventory.set_variable(tier, "tier_chain", scenario.chain)
            # A platform of this name may have added the host before the chain's inventory did.
            host_folder = inventory.get_host(tier).vars.get("inventory_dir") or ""
            if chain_source and host_folder.startswith(state):
                folder = Path(chain_source).resolve()
                inventory.set_variable(tier, "inventory_dir", str(folder if folder.is_dir() else folder.parent))
        inventory.set_variable(scenario.tier, "tier_image", f"molecule/{scenario.tier}")
        sources = [source for source in (chain_source, path if scenario.makes_parent else None) if source]
        for name, value in {
            "molecule_tier": scenario.tier,
            "molecule_chain": scenario.chain,
            "molecule_state": f"{state}/tier.yml",
            "molecule_inventory": sources,
        }.items():
            inventory.set_variable("all", name, value)


def _variable(name: str) -> str:
    value = os.environ.get(f"MOLECULE_{name}")
    if not value:
        raise AnsibleParserError(
            f"tierwright.chain.molecule is for scenarios of Molecule, and MOLECULE_{name} is not set; run "
            "`tierwright molecule test` in the folder of a role"
        )
    return value
