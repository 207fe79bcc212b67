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

from ansible.errors import AnsibleError

from ..bases.base_image import check_checksum
from ..bases.debian_bootstrap import check_tools
from ..build_key.file_digests import Projects
from ..build_key.parts import Parts, digest_bytes, learned, plain
from ..build_key.source_version import Commit, installed_version, last_commit
from ..chain.graph import Chain
from ..chain.names import split_pinned, variable_prefix
from ..chain.tier import Bootstrap, Import, Pull, Tier
from ..compatibility.matrix_store import VariantRef
from ..contract.gate import RoleTests, Suite
from ..engine.engine import Engine
from ..engine.inspection import Snapshot
from ..errors import ChainError, concerning
from ..image import labels, platform
from ..plan.decision import Action, Decision, decide, take
from ..state.owner import Home
from .argument_specs import check_role, check_role_tier, role_default
from .declared_inputs import Inputs, digest_inputs, read_inputs
from .display import warn
from .role_usage import Present
from .roles import KnownRole, read_role
from .secrets import refuse
from .surroundings import digest_around, digest_plugins, unusual_settings
from .tiers import GROUP, find_home, former_name, join_messages, read_chain, read_name
from .variable_digests import check_facts, digest_play, digest_settings, digest_variables

#: Variables that decide what of a base gets into its image.
_SEALING = ("tier_drop", "tier_keep", "tier_protects", "tier_source_date_epoch")


class HostVars(Protocol):
    """The part of Ansible's ``hostvars`` that is used here."""

    def __getitem__(self, host: str) -> Mapping[str, Any]: ...

    def raw_get(self, host_name: str) -> Mapping[str, Any]:
        """A host's variables, untemplated."""


class Planner:
    """One plan in the making."""

    def __init__(self, task_vars: Mapping[str, Any], ansible_version: str) -> None:
        """Take what a task knows.

        Args:
            task_vars: The task's variables, with ``hostvars``, ``groups`` and ``ansible_play_hosts_all``.
            ansible_version: ``2.19`` …; modules of another version may do the same differently.
        """
        self._task_vars = task_vars
        self._hostvars: HostVars = task_vars["hostvars"]
        self._hosts: Collection[str] = task_vars["groups"].get(GROUP, ())
        self._in_play = frozenset(task_vars["ansible_play_hosts_all"])
        self._ansible_version = ansible_version
        self._tags = {
            "run": task_vars.get("ansible_run_tags") or ["all"],
            "skip": task_vars.get("ansible_skip_tags") or [],
        }
        self._views: dict[str, Mapping[str, Any]] = {}
        self._roles: dict[str, KnownRole] = {}
        self._found_tests: dict[str, RoleTests | None] = {}

    @cached_property
    def chain(self) -> Chain:
        """The chain, checked.

        Raises:
            ChainError: The inventory does not describe one.
        """
        return read_chain(self._hosts, self._view)

    @cached_property
    def name(self) -> str:
        """The chain's name: ``tier_chain``, else what the inventory's folder says of the project.

        Raises:
            ChainError: It can name no chain, tiers have several, or no folder's name says which project it is.
        """
        return read_name({tier.name: self._view(tier.name) for tier in self.chain})

    @cached_property
    def home(self) -> Home:
        """Where the chain lives, for its claim to the name."""
        return find_home(self.chain, self._folder, former=former_name(self.name, self._view(self.chain.order[0])))

    @property
    def _folder(self) -> Path:
        """The folder of the inventory that the first tier is in."""
        return Path(self._view(self.chain.order[0]).get("inventory_dir") or ".").resolve()

    @cached_property
    def variant(self) -> VariantRef | None:
        """The variant of another chain that this run is over, from ``tier_variant``; ``None`` where it is over none.

        Raises:
            ChainError: The variable is wrong.
        """
        given = self._view(next(iter(self.chain)).name).get("tier_variant")
        return None if given is None else VariantRef.read(given)

    @cached_property
    def selected(self) -> list[str]:
        """Names of the tiers that ``--limit`` leaves.

        Raises:
            ChainError: It leaves none.
        """
        found = [name for name in self.chain.order if name in self._in_play]
        if not found:
            raise ChainError(
                f"no tier is left to run for: --limit leaves the hosts {', '.join(sorted(self._in_play))}, and none of "
                f"them is in the group {GROUP!r}; tiers are: {', '.join(self.chain.order)}"
            )
        return found

    def decide(self, engine: Engine, force: Any) -> dict[str, Decision]:
        """Check everything that can be checked without an engine's work, and decide.

        Raises:
            ChainError: A variable, a role, or the value of ``tier_force`` is wrong.
            SourceError: A base's source is not what the inventory says.
            EngineError: The engine does not answer.
        """
        forced = self._forced(force)
        parts: dict[str, dict[str, str]] = {}
        inputs: dict[str, Inputs] = {}
        problems = []
        for name in self.selected:
            try:
                with concerning(f"tier {name!r}", ChainError):
                    raw = self._hostvars.raw_get(name)
                    parts[name] = self._parts(self.chain[name], raw)
                    inputs[name] = self._inputs(self.chain[name], raw)
            except ChainError as error:
                problems.append(str(error))
        if problems:
            raise ChainError(join_messages(problems))
        for name, answered in digest_inputs(inputs, warn).items():
            parts[name].update(answered)
        held = engine.images.snapshot()
        decisions = decide(
            self.chain,
            parts,
            held,
            selected=self.selected,
            forced=forced,
            elsewhere=self._elsewhere(held),
            tests=self._tests,
        )
        for decision in decisions.values():
            if decision.action is Action.BUILD:
                _check_source(engine, decision.tier)
        return decisions

    def take(self, engine: Engine) -> dict[str, Decision]:
        """Decide to build nothing, and to test what is released.

        Raises:
            ChainError: A role is not there.
            EngineError: The engine does not answer.
        """
        return take(self.chain, engine.images.snapshot(), selected=self.selected, tests=self._tests)

    @cached_property
    def projects(self) -> Projects:
        """The folders that names of files from elsewhere are relative to."""
        first = self._view(self.chain.order[0])
        return Projects.around(Path(first.get(name) or ".") for name in ("inventory_dir", "playbook_dir"))

    def role_name(self, tier: str) -> str | None:
        """What ``include_role`` finds a tier's role by; ``None`` for a base."""
        role = self.chain[tier].role
        return None if role is None else self._role(tier, role).role.name

    def role_folders(self, tier: str) -> tuple[Path, ...]:
        """Folders of the roles whose files are in a tier's key; none for a base."""
        role = self.chain[tier].role
        return () if role is None else self._role(tier, role).folders

    def commit(self, tier: str) -> Commit | None:
        """The last commit that touched a tier's role, else the version that was installed.

        ``None`` for a base, or where neither is known.
        """
        role = self.chain[tier].role
        if role is None:
            return None
        folder = self._role(tier, role).role.folder
        return last_commit(folder) or installed_version(folder)

    def settings(self, tier: str) -> dict[str, str]:
        """Digests of what the inventory says of the settings of a tier's image, by variable."""
        return digest_settings(self._view(tier))

    def tests(self, tier: str) -> Suite:
        """The tests that a tier's image has to pass."""
        own, *ancestors = (self._role_tests(name) for name in (tier, *self.chain.ancestors(tier)))
        return Suite(own, tuple(each for each in ancestors if each is not None))

    @cached_property
    def _tests(self) -> dict[str, str]:
        """Digest of the tests of each selected tier that has some."""
        suites = {name: self.tests(name) for name in self.selected}
        return {name: suite.digest() for name, suite in suites.items() if suite}

    def _role_tests(self, name: str) -> RoleTests | None:
        tier = self.chain[name]
        if tier.role is None:
            return None
        if name not in self._found_tests:
            try:
                folder = self._role(name, tier.role).tests
            except ChainError as error:
                if name in self.selected:
                    raise
                warn(f"the contracts of tier {name!r} cannot be tested: {error}")
                folder = None
            self._found_tests[name] = None if folder is None else RoleTests(name, tier.team, str(folder))
        return self._found_tests[name]

    def _view(self, host: str) -> Mapping[str, Any]:
        if host not in self._views:
            self._views[host] = self._hostvars[host]
        return self._views[host]

    def _forced(self, force: Any) -> list[str]:
        if force is not None and not isinstance(force, str | list | tuple):
            raise ChainError(f"tier_force is {force!r}; expected names of tiers: [web, db], or web,db")
        names = force.split(",") if isinstance(force, str) else list(force or ())
        names = [str(name).strip() for name in names if str(name).strip()]
        unknown = [name for name in names if name not in self.chain]
        if unknown:
            raise ChainError(
                f"tier_force names {', '.join(map(repr, unknown))}, which is no tier; tiers are: "
                f"{', '.join(self.chain.order)}"
            )
        return names

    def _parts(self, tier: Tier, raw: Mapping[str, Any]) -> dict[str, str]:
        view = self._view(tier.name)
        check_facts(tier.name, raw.get("ansible_facts") or {})
        if view.get("tier_config"):
            refuse(tier.name, "tier_config", view["tier_config"], raw)
        parts = {"team": plain(tier.team)}
        if view.get("tier_epoch") is not None:
            parts["epoch"] = plain(str(view["tier_epoch"]))
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
        check_role_tier(tier.name, variable_prefix(role.role.name), role.arguments, raw)
        if self._tags != {"run": ["all"], "skip": []}:
            # A role applied in part is another image; it must never pass for the whole one.
            parts["tags"] = digest_bytes(json.dumps(self._tags, sort_keys=True, default=list).encode())
        return {
            **parts,
            "ansible-core": plain(self._ansible_version),
            **role.files,
            **digest_around(tier, self.projects),
            **digest_variables(view, raw, role.arguments.hidden),
            **digest_play(self._play, raw),
            **self._shared,
        }

    @cached_property
    def _play(self) -> dict[str, Any]:
        """What the play itself says: the variables of its task that the task's host does not have."""
        host = self._task_vars.get("inventory_hostname")
        own = self._hostvars.raw_get(host) if host else self._task_vars
        return {name: value for name, value in self._task_vars.items() if name not in own}

    @cached_property
    def _shared(self) -> dict[str, str]:
        """Parts of every role's key: settings of Ansible, and the plugins that are kept beside the project."""
        first = self._view(next(iter(self.chain)).name)
        playbooks = self._task_vars.get("playbook_dir") or first.get("playbook_dir") or "."
        settings = {f"config/{name}": digest for name, digest in unusual_settings()}
        return settings | digest_plugins(Path(playbooks), self.projects)

    def _inputs(self, tier: Tier, raw: Mapping[str, Any]) -> Inputs:
        view, variable = self._view(tier.name), "tier_inputs"
        declared = view.get(variable)
        if declared is None and tier.role is not None:
            role = self._role(tier.name, tier.role)
            variable = f"{variable_prefix(role.role.name)}_tier_inputs"
            try:
                own = role.arguments
                mine = variable in own.defaults or variable in own.constants
                declared = role_default(own, variable, raw) if mine else view.get(variable)
            except AnsibleError as error:
                raise ChainError(
                    f"tier {tier.name!r}: {variable} cannot be read before the role is applied: {error}; use no facts "
                    "in it, or set tier_inputs"
                ) from error
        base = tier
        while base.parent is not None:
            base = self.chain[base.parent]
        beside = Path(view.get("inventory_dir") or ".")
        return read_inputs(tier, base, variable, declared or [], view, beside=beside)

    def _elsewhere(self, engine: Snapshot) -> dict[str, list[Parts]]:
        """What roles were found to use is now, by tier, for each list of that that an image was built with."""
        lists: dict[str, set[tuple[str, ...]]] = {name: set() for name in self.selected}
        for said in engine.labels:
            tier = said.get(labels.TIER)
            if tier in lists:
                lists[tier].add(learned(labels.stored_parts(said, tier) or {}))
        present = Present(self._hostvars, self.projects)
        return {tier: [present.digest(tier, each) for each in sorted(found)] for tier, found in lists.items()}

    def _role(self, tier: str, name: str) -> KnownRole:
        beside = Path(self._view(tier).get("inventory_dir") or ".")
        key = f"{beside}\0{name}"
        if key not in self._roles:
            self._roles[key] = read_role(tier, name, beside)
        return self._roles[key]


def _check_source(engine: Engine, tier: Tier) -> None:
    match tier.source:
        case Pull(reference):
            if (image := engine.images.find("@".join(split_pinned(reference) or (reference,)))) is not None:
                platform.check(engine, tier.name, reference, image)
        case Bootstrap():
            check_tools(tier.name)
        case Import(archive, checksum):
            check_checksum(tier.name, Path(archive), checksum)
