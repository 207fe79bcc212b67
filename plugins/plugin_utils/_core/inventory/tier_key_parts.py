# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of a tier's build key that are known before the tier is built."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
from ansible.errors import AnsibleError

from ..build_key.parts import Parts, digest_bytes, plain, recorded_parts
from ..chain.names import variable_prefix
from ..chain.tier import Source, Tier
from ..chain.tier_variables import SECRETS
from ..engine.inspection import Snapshot
from ..errors import ChainError
from ..image import labels
from .ansible_settings import changed_settings, digest_plugins
from .argument_specs import check_role, check_role_tier, role_default
from .chain_inventory import ChainInventory
from .declared_inputs import Inputs, read_inputs
from .role_usage import CurrentValues
from .roles import RoleContent
from .secrets import reject_secrets
from .task_files import digest_task_files
from .tier_roles import TierRoles
from .variable_digests import check_facts, digest_play, digest_variables

#: Variables that decide which files of a base get into its image.
_SEALING_VARIABLES = ("tier_drop", "tier_keep", "tier_protects", "tier_source_date_epoch")


#: Settings of a source that were added later. Without a value, they leave the keys of existing images as they are.
_LATER_SETTINGS = ("suites", "keyring")


class TierKeyParts:
    """Reads the key parts of the tiers of one inventory."""

    def __init__(self, inventory: ChainInventory, roles: TierRoles, ansible_version: str) -> None:
        """Take what the keys are made from.

        Args:
            inventory: The chain's inventory.
            roles: The roles of its tiers.
            ansible_version: For example ``2.19``. A different version of a module may produce a different result.
        """
        self._inventory = inventory
        self._roles = roles
        self._ansible_version = ansible_version

    def read(self, tier: Tier) -> dict[str, str]:
        """Digest the variables and the role of a tier.

        Returns:
            The parts of the key, without the parent, the outside inputs, and the sources that the role used.

        Raises:
            ChainError: A variable or a file of the role cannot be digested, or would put a secret into the image.
        """
        variables, raw = self._inventory.variables(tier.name), self._inventory.hostvars.raw_get(tier.name)
        if tier.followed is not None:
            return {}  # the lock file names its image, so it has no key here
        check_facts(tier.name, raw.get("ansible_facts") or {})
        if variables.get("tier_config"):
            reject_secrets(tier.name, "tier_config", variables["tier_config"], raw)
        parts = {"team": plain(tier.team)}
        if variables.get("tier_epoch") is not None:
            parts["epoch"] = plain(str(variables["tier_epoch"]))
        if tier.source is not None:
            return parts | {"source": _digest_source(tier.source, variables)}
        contents, hidden = self._roles.read(tier.name), {SECRETS}
        if not contents:
            raise ChainError(f"tier {tier.name!r} has neither a source nor a role")
        for content in contents:
            hidden |= content.arguments.hidden
        tags = self._inventory.task_tags
        if tags != {"run": ["all"], "skip": []}:
            # Tags apply only a part of the role. That gives a different image, which must not count as the whole one.
            parts["tags"] = digest_bytes(json.dumps(tags, sort_keys=True, default=list).encode())
        return {
            **parts,
            "ansible-core": plain(self._ansible_version),
            **self._roles.files(tier.name),
            **digest_task_files(tier, self._inventory.projects),
            **digest_variables(variables, raw, hidden),
            **digest_play(self._inventory.play_variables, raw),
            **self._common,
        }

    def check(self, tier: Tier) -> None:
        """Check a tier's variables against the specifications of its roles, and the image settings of these roles.

        All of them are in the key. So this is not needed for a tier that has an image with the same key: they were
        checked before it was built.

        Raises:
            ChainError: A variable or a file of a role is wrong.
        """
        variables, raw = self._inventory.variables(tier.name), self._inventory.hostvars.raw_get(tier.name)
        for role, content in zip(tier.roles, self._roles.read(tier.name), strict=True):
            check_role(tier.name, role, content.arguments, variables)
            check_role_tier(tier.name, variable_prefix(content.role.name), content.arguments, raw)

    def read_inputs(self, tier: Tier) -> Inputs:
        """Read the outside inputs that a tier or its role declares.

        Raises:
            ChainError: A declaration is wrong, or cannot be read before the role is applied.
        """
        variables, variable = self._inventory.variables(tier.name), "tier_inputs"
        declared = variables.get(variable)
        if declared is None:
            found = [self._role_inputs(tier.name, content, variables) for content in self._roles.read(tier.name)]
            variable = " and ".join(name for name, _value in found) or variable
            values = [value or [] for _name, value in found]
            declared = values[0] if len(values) == 1 else [item for value in values for item in value]
        base = self._inventory.chain[(tier.name, *self._inventory.chain.ancestors(tier.name))[-1]]
        folder = self._inventory.inventory_folder(tier.name)
        return read_inputs(tier, base, variable, declared or [], variables, inventory_folder=folder)

    def _role_inputs(self, tier: str, content: RoleContent, variables: Mapping[str, Any]) -> tuple[str, Any]:
        """Return the variable in which a role declares its inputs, and its value."""
        variable, arguments = f"{variable_prefix(content.role.name)}_tier_inputs", content.arguments
        try:
            if variable in arguments.defaults or variable in arguments.constants:
                return variable, role_default(arguments, variable, self._inventory.hostvars.raw_get(tier))
            return variable, variables.get(variable)
        except AnsibleError as error:
            raise ChainError(
                f"tier {tier!r}: {variable} cannot be read before the role is applied: {error}; use no facts "
                "in it, or set tier_inputs"
            ) from error

    def read_recorded(self, images: Snapshot) -> dict[str, list[Parts]]:
        """Digest the current state of the sources that the roles of existing images used.

        Returns:
            By tier, one set of parts for each different list of sources that an image of the tier was built with.
        """
        sources: dict[str, set[tuple[str, ...]]] = {name: set() for name in self._inventory.selected}
        for image_labels in images.labels:
            tier = image_labels.get(labels.TIER)
            if tier in sources:
                sources[tier].add(recorded_parts(labels.stored_parts(image_labels, tier) or {}))
        return {tier: [self.digest_sources(tier, names) for names in sorted(lists)] for tier, lists in sources.items()}

    def digest_sources(self, tier: str, names: Sequence[str]) -> Parts:
        """Digest the current state of sources that a tier's role used.

        Args:
            tier: The tier.
            names: The names of their key parts.
        """
        return self._current.digest(tier, names)

    @cached_property
    def _current(self) -> CurrentValues:
        return CurrentValues(self._inventory.hostvars, self._inventory.projects)

    @cached_property
    def _common(self) -> dict[str, str]:
        """Parts in the key of every tier with a role: changed settings of Ansible, and the project's loose plugins."""
        settings = {f"config/{name}": digest for name, digest in changed_settings()}
        return settings | digest_plugins(self._inventory.playbook_folder, self._inventory.projects)


def _digest_source(source: Source, variables: Mapping[str, Any]) -> str:
    settings = {
        "source": type(source).__name__,
        **msgspec.structs.asdict(source),
        "config": variables.get("tier_config"),
        **{name: variables[name] for name in _SEALING_VARIABLES if name in variables},
    }
    for name in _LATER_SETTINGS:
        if not settings.get(name):
            settings.pop(name, None)
    settings.pop("archive", None)  # the checksum identifies the archive; its path differs between machines
    return digest_bytes(json.dumps(settings, sort_keys=True, default=str).encode())
