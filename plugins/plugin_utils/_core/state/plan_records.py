# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the plan of a run to its journal, and reads it back as objects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from ..build_key.outside_inputs import DigestedInput
from ..build_key.repository_source import RepositorySource
from ..build_key.source_version import Commit
from ..chain.graph import Chain
from ..chain.names import variable_prefix
from ..chain.tier import Tier
from ..contract.role_tests import Suite
from ..errors import RunError
from ..plan.decision import Action, Decision
from .journal import Journal


class Planned(msgspec.Struct, frozen=True):
    """The plan for one tier."""

    #: The chain's name.
    chain: str
    tier: Tier
    action: Action
    #: ID of its image; ``None`` if the tier is built or has no image.
    image: str | None
    #: Parts of its build key, without ``parent`` if the parent is built in this run.
    parts: dict[str, str]
    #: The name of its first role for ``include_role``; ``None`` for a base, and for a tier that is not part of the run.
    role: str | None
    #: Whether the tier is built even if an image with its key exists.
    forced: bool = False
    #: Recorded parts of the key; see :attr:`.Decision.elsewhere`.
    elsewhere: tuple[dict[str, str], ...] = ()
    #: Folders of the roles whose files are in the key.
    roles: tuple[str, ...] = ()
    #: Folders that the names of files outside the role are relative to.
    projects: tuple[str, ...] = ()
    #: ID of the image that the release tag named, even if it is not this tier's; ``None`` if there was no such tag.
    was: str | None = None
    #: The tests that its image must pass.
    tests: Suite = msgspec.field(default_factory=Suite)
    #: Whether its image is kept and must be tested.
    untested: bool = False
    #: The last commit that changed its role, if it is known.
    commit: Commit | None = None
    #: The Git repository of its role, if there is one.
    source: RepositorySource | None = None
    #: What its role downloads, as the plan found it.
    inputs: tuple[DigestedInput, ...] = ()
    #: The name of the builder (``tier_builder``); empty means the host name.
    builder: str = ""
    #: The names of its other roles for ``include_role``.
    more_roles: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether the run builds or tests the tier. Only then the tier gets an outcome."""
        return self.action is Action.BUILD or self.untested

    @property
    def config_variables(self) -> tuple[str, ...]:
        """The variables in which its roles declare the settings of its image: ``httpd_php_tier_config``."""
        return self._variables("tier_config")

    @property
    def protects_variables(self) -> tuple[str, ...]:
        """The variables in which its roles declare its protected paths: ``httpd_php_tier_protects``."""
        return self._variables("tier_protects")

    def _variables(self, ending: str) -> tuple[str, ...]:
        return tuple(f"{variable_prefix(role)}_{ending}" for role in (self.role or "", *self.more_roles))


class BuildOrigin(msgspec.Struct, frozen=True):
    """Where the content of a tier comes from, and who builds it; :class:`Planned` describes the fields."""

    commit: Commit | None = None
    source: RepositorySource | None = None
    inputs: tuple[DigestedInput, ...] = ()
    builder: str = ""
    more_roles: tuple[str, ...] = ()


#: That of a tier that is not built.
_NO_ORIGIN = BuildOrigin()


def write_plan(
    journal: Journal,
    chain: str,
    decision: Decision,
    role: str | None,
    origin: BuildOrigin = _NO_ORIGIN,
    *,
    roles: Iterable[Path] = (),
    projects: Iterable[Path] = (),
    tests: Suite | None = None,
) -> None:
    """Record the decision for a tier; :class:`Planned` describes the other arguments."""
    planned = Planned(
        chain=chain,
        tier=decision.tier,
        action=decision.action,
        image=decision.image,
        parts=dict(decision.parts),
        role=role,
        more_roles=origin.more_roles,
        forced=decision.forced,
        elsewhere=tuple(dict(parts) for parts in decision.elsewhere),
        roles=tuple(str(folder) for folder in roles),
        projects=tuple(str(folder) for folder in projects),
        was=decision.was,
        tests=tests or Suite(),
        untested=bool(decision.untested),
        commit=origin.commit,
        source=origin.source,
        inputs=origin.inputs,
        builder=origin.builder,
    )
    journal.write("plan", decision.tier.name, planned)


def read_plan(journal: Journal, tier: str) -> Planned:
    """Read the plan for ``tier``.

    Raises:
        RunError: The run has ended, its plan does not contain the tier, or the record is damaged.
    """
    planned = journal.read_record("plan", tier, Planned)
    if planned is None:
        raise RunError(f"the plan of run {journal.run} does not contain tier {tier!r}; start the playbook again")
    return planned


def read_plans(journal: Journal) -> tuple[Chain, dict[str, Planned]]:
    """Read the whole plan.

    Returns:
        The chain, and the plan for each tier, by name.

    Raises:
        RunError: The run has ended meanwhile.
    """
    planned = {tier: read_plan(journal, tier) for tier in journal.recorded("plan")}
    return Chain(each.tier for each in planned.values()), planned
