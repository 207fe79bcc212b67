# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain of one inventory, read from the variables of a task: tiers, name, home, variant, selected tiers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..build_key.file_digests import Projects
from ..chain.graph import Chain
from ..chain.tier_names import GROUP
from ..compatibility.matrix_store import VariantRef
from ..errors import ChainError
from ..handover import lock_file
from ..handover.lock_file import LockedTier
from ..policy.version_memory import VersionMemory
from ..state.owner import Home
from ..state.status import Followed
from ..transports.registries import Registries
from .policy_settings import read_chain_policy
from .registry_settings import read_cache_use, read_registries
from .tiers import find_home, former_name, read_chain, read_name

if TYPE_CHECKING:
    from ..policy.policy import Policy


class HostVars(Protocol):
    """The part of Ansible's ``hostvars`` that the plan needs."""

    def __getitem__(self, host: str) -> Mapping[str, Any]: ...

    def raw_get(self, host_name: str) -> Mapping[str, Any]:
        """A host's variables, untemplated."""


class ChainInventory:
    """The facts of a chain, as one inventory and one run describe it. Each is read at its first use and then cached."""

    def __init__(self, task_vars: Mapping[str, Any]) -> None:
        """Take the variables of a task.

        Args:
            task_vars: The task's variables, with ``hostvars``, ``groups`` and ``ansible_play_hosts_all``.
        """
        self._task_vars = task_vars
        self.hostvars: HostVars = task_vars["hostvars"]
        self._hosts: Collection[str] = task_vars["groups"].get(GROUP, ())
        self._play_hosts = frozenset(task_vars["ansible_play_hosts_all"])
        #: Values of ``--tags`` and ``--skip-tags``, by ``run`` and ``skip``.
        self.task_tags = {
            "run": task_vars.get("ansible_run_tags") or ["all"],
            "skip": task_vars.get("ansible_skip_tags") or [],
        }
        self._variables: dict[str, Mapping[str, Any]] = {}
        #: Images that the run tries in place of locked ones, by followed tier.
        self.tried: dict[str, LockedTier] = {}

    @cached_property
    def chain(self) -> Chain:
        """The tiers as a checked graph.

        Raises:
            ChainError: The inventory does not describe a chain.
        """
        return read_chain(self._hosts, self.variables)

    @cached_property
    def name(self) -> str:
        """The name of the chain: ``tier_chain``, or by default a name made from the inventory's folder.

        Raises:
            ChainError: The name is invalid, the tiers have different names, or no folder gives a name.
        """
        return read_name({tier.name: self.variables(tier.name) for tier in self.chain})

    @cached_property
    def home(self) -> Home:
        """Where the chain is defined; the claim to its name records this."""
        folder = self.inventory_folder(self.chain.order[0]).resolve()
        return find_home(self.chain, folder, former=former_name(self.name, self._first_variables))

    @cached_property
    def variant(self) -> VariantRef | None:
        """The variant that this run builds, from ``tier_variant``; ``None`` if the variable is not set.

        Raises:
            ChainError: The variable is wrong.
        """
        value = self._first_variables.get("tier_variant")
        return None if value is None else VariantRef.read(value)

    @property
    def followed(self) -> dict[str, Followed]:
        """Where the images of followed tiers come from, by tier. Raises the same errors as :attr:`locked`."""
        return {
            name: Followed(f"{locked.image}:{locked.tag}", locked.digest, locked.config)
            for name, locked in self.locked.items()
        }

    @cached_property
    def registries(self) -> Registries:
        """The registries, contacted as ``tier_registries`` says.

        Raises:
            ChainError: The variable is wrong.
        """
        folder = self.inventory_folder(self.chain.order[0])
        return Registries(read_registries(self._first_variables.get("tier_registries"), folder))

    @cached_property
    def policy(self) -> Policy | None:
        """The policy of the chain, with checked signature and version; ``None`` if the chain has none.

        Raises:
            ChainError: A variable is wrong.
            TrustError: The policy is wrong, is not signed by a root key, or is older than one that was seen.
        """
        folder = self.inventory_folder(self.chain.order[0])
        return read_chain_policy(self._first_variables, folder, VersionMemory(self.name))

    @cached_property
    def cache_use(self) -> str | None:
        """How registries are used as a shared cache: ``read``, ``write``; ``None`` if ``tier_shared_cache`` is not set.

        Raises:
            ChainError: The variable is wrong.
        """
        return read_cache_use(self._first_variables.get("tier_shared_cache"))

    @cached_property
    def selected(self) -> list[str]:
        """Names of the tiers that ``--limit`` selects; parents come before children.

        Raises:
            ChainError: No tier is selected.
        """
        names = [name for name in self.chain.order if name in self._play_hosts]
        if not names:
            raise ChainError(
                f"no tier is selected: --limit selects the hosts {', '.join(sorted(self._play_hosts))}, and none of "
                f"them is in the group {GROUP!r}; tiers are: {', '.join(self.chain.order)}"
            )
        return names

    def check_whole_roles(self) -> None:
        """Make sure that ``--tags`` and ``--skip-tags`` leave out no task of a role.

        Raises:
            ChainError: They do, so an image says nothing about the tiers that it is based on.
        """
        if list(self.task_tags["run"]) != ["all"] or list(self.task_tags["skip"]):
            raise ChainError(
                "candidates cannot be tried with --tags or --skip-tags: a role that is applied in part says nothing "
                "about the image below it; leave these options out"
            )

    @property
    def used(self) -> dict[str, LockedTier]:
        """The images that this run uses for the followed tiers: the locked ones, unless it tries others."""
        return {**self.locked, **self.tried}

    @cached_property
    def locked(self) -> dict[str, LockedTier]:
        """The images that the lock files name for the followed tiers, by tier.

        Raises:
            ChainError: With a line for each followed tier that the lock file lacks, or has with different settings.
            DamagedError: A lock file cannot be read.
        """
        read_lock = cache(lock_file.read_lock)
        locked, problems = {}, []
        for tier in self.chain:
            if tier.followed is not None:
                path = self.lock_path(tier.name)
                try:
                    locked[tier.name] = lock_file.find_locked(path, read_lock(path), tier)
                except ChainError as error:
                    problems.append(str(error))
        if problems:
            raise ChainError("\n".join(problems))
        return locked

    @cached_property
    def projects(self) -> Projects:
        """The folders to which names of files outside of roles are relative."""
        return Projects.around(
            Path(self._first_variables.get(name) or ".") for name in ("inventory_dir", "playbook_dir")
        )

    @cached_property
    def play_variables(self) -> dict[str, Any]:
        """Variables that the play sets: those of the task that its host does not have, untemplated."""
        host = self._task_vars.get("inventory_hostname")
        own = self.hostvars.raw_get(host) if host else self._task_vars
        return {name: value for name, value in self._task_vars.items() if name not in own}

    @property
    def playbook_folder(self) -> Path:
        """The folder of the playbook."""
        return Path(self._task_vars.get("playbook_dir") or self._first_variables.get("playbook_dir") or ".")

    def inventory_folder(self, tier: str) -> Path:
        """The folder of the inventory source that defines a tier. Relative paths in its variables begin there."""
        return Path(self.variables(tier).get("inventory_dir") or ".")

    def lock_path(self, tier: str) -> Path:
        """The lock file of a followed tier: in the folder of the inventory source that defines it."""
        return self.inventory_folder(tier) / lock_file.NAME

    def variables(self, tier: str) -> Mapping[str, Any]:
        """The variables of a tier, templated on access."""
        if tier not in self._variables:
            self._variables[tier] = self.hostvars[tier]
        return self._variables[tier]

    @property
    def _first_variables(self) -> Mapping[str, Any]:
        """Variables of the first tier, for facts that are the same for the whole chain."""
        return self.variables(self.chain.order[0])
