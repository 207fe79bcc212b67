# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan and a build write into the journal, as objects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
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
    """What the plan says of one tier."""

    #: The chain's name.
    chain: str
    tier: Tier
    action: Action
    #: Its image, where it is not built.
    image: str | None
    #: Parts of its key; without ``parent`` where the parent is built in this run.
    parts: dict[str, str]
    #: What ``include_role`` finds its role by.
    role: str | None
    #: Whether it is built even if an image with its key exists.
    forced: bool = False
    #: What its role was found to use is now, for each list of that that an image of the tier was built with.
    elsewhere: tuple[dict[str, str], ...] = ()
    #: Folders of the roles whose files are in the key.
    roles: tuple[str, ...] = ()
    #: Folders that names of files from elsewhere are relative to.
    projects: tuple[str, ...] = ()
    #: ID of the image that the release tag named, whosever it is; ``None`` where there was no such tag.
    was: str | None = None
    #: The tests that its image has to pass.
    tests: Suite = field(default_factory=Suite)
    #: Whether its image is kept and has to be tested.
    untested: bool = False
    #: The last commit that touched its role, where one is known.
    commit: Commit | None = None

    @property
    def runs(self) -> bool:
        """Whether the run has to do something for it, so that it has an outcome."""
        return self.action is Action.BUILD or self.untested

    @property
    def config_variable(self) -> str:
        """The variable in which the role says what its image is like: ``httpd_php_tier_config``."""
        return f"{variable_prefix(self.role or '')}_tier_config"

    @property
    def protects_variable(self) -> str:
        """The variable in which the role says what it protects: ``httpd_php_tier_protects``."""
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
    """Record a decision; the other arguments are what :class:`Planned` says of them."""
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
            "elsewhere": [dict(each) for each in decision.elsewhere],
            "roles": [str(each) for each in roles],
            "projects": [str(each) for each in projects],
            "was": decision.was,
            "tests": (tests or Suite()).written(),
            "untested": bool(decision.untested),
            "commit": None if commit is None else dataclasses.asdict(commit),
        },
    )


def read_plan(journal: Journal, tier: str) -> Planned:
    """Read what the plan says of ``tier``.

    Raises:
        RunError: The run has ended, or knows no such tier.
    """
    content = journal.read("plan", tier)
    if content is None:
        raise RunError(f"tier {tier!r} is in no plan of run {journal.run}; start the playbook again")
    return Planned(
        chain=content["chain"],
        tier=_tier(content["tier"]),
        action=Action(content["action"]),
        image=content["image"],
        parts=content["parts"],
        role=content["role"],
        forced=content["forced"],
        elsewhere=tuple(content["elsewhere"]),
        roles=tuple(content["roles"]),
        projects=tuple(content["projects"]),
        was=content["was"],
        tests=Suite.read(content["tests"]),
        untested=content["untested"],
        commit=None if content["commit"] is None else Commit(**content["commit"]),
    )


def read_plans(journal: Journal) -> tuple[Chain, dict[str, Planned]]:
    """Read the whole plan back.

    Returns:
        The chain, and what the plan says of each tier.
    """
    planned = {each.tier.name: each for each in _all(journal)}
    return Chain(each.tier for each in planned.values()), planned


def _all(journal: Journal) -> Iterator[Planned]:
    for name in journal.recorded("plan"):
        yield read_plan(journal, name)


def _tier(fields: dict[str, Any]) -> Tier:
    source = fields["source"]
    if source is not None:
        values = _values(source)
        kind = _SOURCES[str(values.pop("kind"))]
        source = kind(**values)
    return Tier(**{**_values(fields), "source": source, "cage": Cage(**_values(fields["cage"]))})


def _values(read: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in read.items()}
