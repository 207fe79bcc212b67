# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the plan of a run to its journal, and reads it back as objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..build_key.source_version import Commit
from ..chain.graph import Chain
from ..chain.names import variable_prefix
from ..chain.tier import Bootstrap, Cage, Import, Pull, Source, Tier
from ..contract.gate import Suite
from ..errors import RunError
from ..plan.decision import Action, Decision
from .journal import Journal

_SOURCES: dict[str, Callable[..., Source]] = {kind.__name__: kind for kind in (Bootstrap, Import, Pull)}


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan for one tier."""

    #: The chain's name.
    chain: str
    tier: Tier
    action: Action
    #: ID of its image; ``None`` if the tier is built or has no image.
    image: str | None
    #: Parts of its build key, without ``parent`` if the parent is built in this run.
    parts: dict[str, str]
    #: The name of its role for ``include_role``; ``None`` for a base, and for a tier that is not part of the run.
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
    tests: Suite = field(default_factory=Suite)
    #: Whether its image is kept and must be tested.
    untested: bool = False
    #: The last commit that changed its role, if it is known.
    commit: Commit | None = None

    @property
    def runs(self) -> bool:
        """Whether the run builds or tests the tier. Only then the tier gets an outcome."""
        return self.action is Action.BUILD or self.untested

    @property
    def config_variable(self) -> str:
        """The variable in which the role declares the settings of its image: ``httpd_php_tier_config``."""
        return f"{variable_prefix(self.role or '')}_tier_config"

    @property
    def protects_variable(self) -> str:
        """The variable in which the role declares its protected paths: ``httpd_php_tier_protects``."""
        return f"{variable_prefix(self.role or '')}_tier_protects"


def write_plan(
    journal: Journal,
    chain: str,
    decision: Decision,
    role: str | None,
    commit: Commit | None = None,
    *,
    roles: Iterable[Path] = (),
    projects: Iterable[Path] = (),
    tests: Suite | None = None,
) -> None:
    """Record the decision for a tier; :class:`Planned` describes the other arguments."""
    tier = dataclasses.asdict(decision.tier)
    if decision.tier.source is not None:
        tier["source"]["kind"] = type(decision.tier.source).__name__
    journal.write(
        "plan",
        decision.tier.name,
        {
            "chain": chain,
            "tier": tier,
            "action": str(decision.action),
            "image": decision.image,
            "parts": dict(decision.parts),
            "role": role,
            "forced": decision.forced,
            "elsewhere": [dict(parts) for parts in decision.elsewhere],
            "roles": [str(folder) for folder in roles],
            "projects": [str(folder) for folder in projects],
            "was": decision.was,
            "tests": (tests or Suite()).to_dict(),
            "untested": bool(decision.untested),
            "commit": None if commit is None else dataclasses.asdict(commit),
        },
    )


def read_plan(journal: Journal, tier: str) -> Planned:
    """Read the plan for ``tier``.

    Raises:
        RunError: The run has ended, or its plan does not contain the tier.
    """
    content = journal.read("plan", tier)
    if content is None:
        raise RunError(f"the plan of run {journal.run} does not contain tier {tier!r}; start the playbook again")
    return Planned(
        chain=content["chain"],
        tier=_read_tier(content["tier"]),
        action=Action(content["action"]),
        image=content["image"],
        parts=content["parts"],
        role=content["role"],
        forced=content["forced"],
        elsewhere=tuple(content["elsewhere"]),
        roles=tuple(content["roles"]),
        projects=tuple(content["projects"]),
        was=content["was"],
        tests=Suite.from_dict(content["tests"]),
        untested=content["untested"],
        commit=None if content["commit"] is None else Commit(**content["commit"]),
    )


def read_plans(journal: Journal) -> tuple[Chain, dict[str, Planned]]:
    """Read the whole plan.

    Returns:
        The chain, and the plan for each tier, by name.

    Raises:
        RunError: The run has ended meanwhile.
    """
    planned = {tier: read_plan(journal, tier) for tier in journal.recorded("plan")}
    return Chain(each.tier for each in planned.values()), planned


def _read_tier(fields: dict[str, Any]) -> Tier:
    source = fields["source"]
    if source is not None:
        values = _to_tuples(source)
        kind = _SOURCES[str(values.pop("kind"))]
        source = kind(**values)
    return Tier(**{**_to_tuples(fields), "source": source, "cage": Cage(**_to_tuples(fields["cage"]))})


def _to_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """Turn lists into tuples: JSON has no tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
