# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans a run from what Ansible knows: inventory, roles, variables and the engine's images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import docker

from ..chain.graph import Chain
from ..chain.tier import Bootstrap, Import, Tier
from ..engine.snapshot import Snapshot
from ..errors import ChainError
from ..image.bootstrap import check_tools
from ..image.rootfs import check_checksum
from ..keys.commit import Commit, last_commit
from ..keys.files import digest_folder
from ..keys.parts import Parts, digest_bytes
from ..run.plan import Action, Decision, decide
from .arguments import RoleArguments, check_role, read_arguments
from .roles import Role, find_role, with_dependencies
from .secrets import refuse
from .tiers import GROUP, read_chain
from .variables import digest_variables

#: Variables that decide what of a base gets into its layer.
_SEALING = ("tier_drop", "tier_keep", "tier_source_date_epoch")


class HostVars(Protocol):
    """The part of Ansible's ``hostvars`` that is used here."""

    def __getitem__(self, host: str) -> Mapping[str, Any]: ...

    def raw_get(self, host_name: str) -> Mapping[str, Any]:
        """A host's variables, untemplated."""


@dataclasses.dataclass(frozen=True, slots=True)
class _KnownRole:
    """What was read of a role, once for all tiers that have it."""

    role: Role
    #: Digests of its files and of those of the roles that it depends on, by the names of the key's parts.
    files: dict[str, str]
    arguments: RoleArguments


class Planner:
    """One plan in the making."""

    def __init__(self, task_vars: Mapping[str, Any], ansible_version: str) -> None:
        """Take what a task knows.

        Args:
            task_vars: The task's variables, with ``hostvars``, ``groups`` and ``ansible_play_hosts_all``.
            ansible_version: ``2.19`` …; modules of another version may do the same differently.
        """
        self._hostvars: HostVars = task_vars["hostvars"]
        self._hosts: Collection[str] = task_vars["groups"].get(GROUP, ())
        self._in_play = frozenset(task_vars["ansible_play_hosts_all"])
        self._ansible_version = ansible_version
        self._tags = {
            "run": task_vars.get("ansible_run_tags") or ["all"],
            "skip": task_vars.get("ansible_skip_tags") or [],
        }
        self._views: dict[str, Mapping[str, Any]] = {}
        self._roles: dict[str, _KnownRole] = {}

    @cached_property
    def chain(self) -> Chain:
        """The chain, checked.

        Raises:
            ChainError: The inventory does not describe one.
        """
        return read_chain(self._hosts, self._view)

    @cached_property
    def name(self) -> str:
        """The chain's name: ``tier_chain``, else the folder of the inventory."""
        first = self._view(next(iter(self.chain)).name)
        return str(first.get("tier_chain") or Path(first.get("inventory_dir") or "chain").resolve().name)

    @cached_property
    def selected(self) -> list[str]:
        """Names of the tiers that ``--limit`` leaves."""
        return [name for name in self.chain.order if name in self._in_play]

    def decide(self, client: docker.DockerClient, force: Any) -> dict[str, Decision]:
        """Check everything that can be checked without an engine's work, and decide.

        Raises:
            ChainError: A variable, a role, or the value of ``tier_force`` is wrong.
            SourceError: A base's source is not what the inventory says.
            EngineError: The engine does not answer.
        """
        forced = self._forced(force)
        parts, problems = {}, []
        for name in self.selected:
            try:
                parts[name] = self._parts(self.chain[name])
            except ChainError as error:
                problems.append(str(error))
        if problems:
            raise ChainError("\n".join(problems))
        decisions = decide(self.chain, parts, Snapshot.take(client), selected=self.selected, forced=forced)
        for decision in decisions.values():
            if decision.action is Action.BUILD:
                _check_source(decision.tier)
        return decisions

    def role_name(self, tier: str) -> str | None:
        """What ``include_role`` finds a tier's role by; ``None`` for a base."""
        role = self.chain[tier].role
        return None if role is None else self._role(tier, role).role.name

    def commit(self, tier: str) -> Commit | None:
        """The last commit that touched a tier's role; ``None`` for a base, or where none is known."""
        role = self.chain[tier].role
        return None if role is None else last_commit(self._role(tier, role).role.folder)

    def _view(self, host: str) -> Mapping[str, Any]:
        if host not in self._views:
            self._views[host] = self._hostvars[host]
        return self._views[host]

    def _forced(self, force: Any) -> list[str]:
        names = force.split(",") if isinstance(force, str) else list(force or ())
        names = [str(name).strip() for name in names if str(name).strip()]
        unknown = [name for name in names if name not in self.chain]
        if unknown:
            raise ChainError(
                f"tier_force names {', '.join(map(repr, unknown))}, which is no tier; tiers are: "
                f"{', '.join(self.chain.order)}"
            )
        return names

    def _parts(self, tier: Tier) -> Parts:
        view = self._view(tier.name)
        if view.get("tier_config"):
            refuse(tier.name, "tier_config", view["tier_config"], self._hostvars.raw_get(tier.name))
        parts = {"team": digest_bytes(tier.team.encode())}
        if tier.source is not None:
            settings = {
                "source": type(tier.source).__name__,
                **dataclasses.asdict(tier.source),
                "config": view.get("tier_config"),
                **{name: view[name] for name in _SEALING if name in view},
            }
            settings.pop("archive", None)  # the checksum says which archive; its path says whose machine this is
            return parts | {"source": digest_bytes(json.dumps(settings, sort_keys=True, default=str).encode())}
        if tier.role is None:
            raise ChainError(f"tier {tier.name!r} has neither a source nor a role")
        role = self._role(tier.name, tier.role)
        check_role(tier.name, tier.role, role.arguments, view)
        if self._tags != {"run": ["all"], "skip": []}:
            # A role applied in part is another image; it must never pass for the whole one.
            parts["tags"] = digest_bytes(json.dumps(self._tags, sort_keys=True, default=list).encode())
        return {
            **parts,
            "ansible-core": digest_bytes(self._ansible_version.encode()),
            **role.files,
            **digest_variables(view, self._hostvars.raw_get(tier.name)),
        }

    def _role(self, tier: str, name: str) -> _KnownRole:
        beside = Path(self._view(tier).get("inventory_dir") or ".")
        key = f"{beside}\0{name}"
        if key not in self._roles:
            near = (beside, *beside.resolve().parents[:2], Path.cwd())  # inventories/<chain>/ lies two below a project
            folders = tuple(dict.fromkeys(each / "roles" for each in near))
            role = find_role(tier, name, folders)
            files = {
                f"role/{each.folder.name}/{path}": digest
                for each in with_dependencies(tier, role, folders)
                for path, digest in digest_folder(each.folder).items()
            }
            self._roles[key] = _KnownRole(role, files, read_arguments(role.folder))
        return self._roles[key]


def _check_source(tier: Tier) -> None:
    match tier.source:
        case Bootstrap():
            check_tools(tier.name)
        case Import(archive, checksum):
            check_checksum(tier.name, Path(archive), checksum)
