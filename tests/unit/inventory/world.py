"""A project on disk, planned with Ansible's own inventory and variables, over images in memory."""

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
    """One clone of a project, and the engine."""

    folder: Path
    engine: FakeEngine = field(default_factory=FakeEngine)
    extra: dict[str, Any] = field(default_factory=dict)
    ansible: str = "2.19"
    tags: dict[str, list[str]] = field(default_factory=dict)
    inventory: str = "inventories/shop/chain.yml"
    #: What a play says.
    play: dict[str, Any] = field(default_factory=dict)
    #: What earlier runs left in a fact cache, by host.
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def hostvars(self) -> HostVars:
        for known in (host_group_vars.FOUND, host_group_vars.CANONICAL_PATHS, host_group_vars.NAK):
            known.clear()  # each plan stands for a process of its own
        loader = DataLoader()
        secrets = [("default", VaultSecret(PASSWORD))]
        loader.set_vault_secrets(secrets)
        if VaultSecretsContext.current(optional=True) is None:  # Ansible has one for each process
            VaultSecretsContext.initialize(VaultSecretsContext(secrets))
        inventory = InventoryManager(loader, sources=[str(self.folder / self.inventory)])
        manager = VariableManager(loader, inventory)
        manager.extra_vars.update(self.extra)
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

    def build(self, taken: dict[str, list[str]] | None = None, used: dict[str, dict[str, str]] | None = None) -> None:
        """Release all that is to be built; `taken` is what each role took from elsewhere, `used` other parts."""
        planner = self.planner()
        made: dict[str, str] = {}
        for name, decision in planner.decide(self.engine, []).items():
            tier = decision.tier
            parts = dict(decision.parts) | digest_elsewhere((taken or {}).get(name, ()), planner.inventory.projects)
            parts |= (used or {}).get(name, {})
            if tier.parent:
                parts["parent"] = made[tier.parent]
            made[name] = decision.image or f"sha256:{digest_key(parts)}"
            if decision.action is Action.BUILD:
                said = labels.identity("shop", tier, parts, None)
                names = [tier.release, f"{tier.image}:{content_tag(digest_key(parts))}"]
                self.engine.add(made[name], said, *names)
