"""A project on disk, for plans with Ansible's real inventory and variables, and with images in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret, VaultSecretsContext
from ansible.plugins.vars import host_group_vars
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.file_digests import digest_elsewhere
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import content_tag, digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.chain_inventory import ChainInventory
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.planner import Planner
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action, Decision
from fake_engine import FakeEngine

PASSWORD = b"vault password"


@dataclass
class World:
    """A clone of a project, and an engine."""

    folder: Path
    engine: FakeEngine = field(default_factory=FakeEngine)
    extra: dict[str, Any] = field(default_factory=dict)
    ansible: str = "2.19"
    tags: dict[str, list[str]] = field(default_factory=dict)
    inventory: str = "inventories/shop/chain.yml"
    #: Variables of the play.
    play: dict[str, Any] = field(default_factory=dict)
    #: Facts in the fact cache of earlier runs, by host.
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def hostvars(self) -> HostVars:
        for cache in (host_group_vars.FOUND, host_group_vars.CANONICAL_PATHS, host_group_vars.NAK):
            cache.clear()  # each plan must behave like a new process
        loader = DataLoader()
        secrets = [("default", VaultSecret(PASSWORD))]
        loader.set_vault_secrets(secrets)
        if VaultSecretsContext.current(optional=True) is None:  # Ansible has one context per process
            VaultSecretsContext.initialize(VaultSecretsContext(secrets))
        inventory = InventoryManager(loader, sources=[str(self.folder / self.inventory)])
        manager = VariableManager(loader, inventory)
        manager._extra_vars = {**manager.extra_vars, **self.extra}  # Ansible has one dictionary of them per process
        for host, facts in self.facts.items():
            manager.set_host_facts(host, facts)
        return HostVars(inventory, manager, loader)

    def planner(self) -> Planner:
        hostvars = self.hostvars()
        inventory = hostvars._inventory
        first = inventory.get_hosts()[0].name
        task_vars = {
            **hostvars.raw_get(first),
            "inventory_hostname": first,
            "hostvars": hostvars,
            "groups": inventory.get_groups_dict(),
            "ansible_play_hosts_all": [host.name for host in inventory.get_hosts()],
            **self.play,
            **self.tags,
        }
        return Planner(ChainInventory(task_vars), self.ansible)

    def decide(self) -> dict[str, Decision]:
        return self.planner().decide(self.engine, [])

    def built(self) -> list[str]:
        return [name for name, decision in self.decide().items() if decision.action is Action.BUILD]

    def build(
        self, outside_files: dict[str, list[str]] | None = None, other_parts: dict[str, dict[str, str]] | None = None
    ) -> None:
        """Release all tiers that the plan builds.

        Args:
            outside_files: The files outside its folder that each role used.
            other_parts: Additional key parts of each tier.
        """
        planner = self.planner()
        images: dict[str, str] = {}
        for name, decision in planner.decide(self.engine, []).items():
            tier = decision.tier
            parts = dict(decision.parts) | digest_elsewhere(
                (outside_files or {}).get(name, ()), planner.inventory.projects
            )
            parts |= (other_parts or {}).get(name, {})
            if tier.parent:
                parts["parent"] = images[tier.parent]
            images[name] = decision.image or f"sha256:{digest_key(parts)}"
            if decision.action is Action.BUILD:
                image_labels = labels.identity("shop", tier, parts, None)
                names = [tier.release, f"{tier.image}:{content_tag(digest_key(parts))}"]
                self.engine.add(images[name], image_labels, *names)
