# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run over a chain would do now, asked of Ansible: it alone knows inventories, variables and vaults."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotFoundError, PlanError, concerning
from ..text import printable_lines

#: The collection's own.
PLAYBOOK = "tierwright.chain.build_chain"

_BUILD = "build"


@dataclass(frozen=True, slots=True)
class RebuildCause:
    """A tier that is built, and why."""

    tier: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Now:
    """What a run would do with a tier."""

    #: ``build``, ``keep``, or ``leave`` where the run is limited to other tiers.
    action: str
    #: ID of the image that it would have; ``null`` where it would be built, or there is none.
    image: str | None
    reasons: list[str]
    #: Tiers that it stands on and that would be built as well, the nearest first.
    below: list[RebuildCause]


def ask(tier: str, playbook: str, arguments: Sequence[str], say: Callable[[str], None]) -> tuple[str, Now]:
    """Plan a run with ``ansible-playbook --check``; nothing is built.

    Args:
        tier: The tier, as the inventory names it.
        playbook: What the chain is built with.
        arguments: More for ansible-playbook.
        say: Called with all that it said, where it makes no plan.

    Returns:
        The tier's team, and what would become of it.

    Raises:
        PlanError: There is no plan.
        NotFoundError: The plan knows no such tier.
    """
    tiers = _plan(playbook, arguments, say)
    told = tiers.get(tier)
    if told is None:
        raise NotFoundError(f"the inventory has no tier {tier!r}; tiers are: {', '.join(tiers)}")
    return told["team"], Now(told["action"], told["image"], told["reasons"], list(_below(told["parent"], tiers)))


def _below(tier: str | None, tiers: Mapping[str, Any]) -> Iterator[RebuildCause]:
    while tier is not None and tier in tiers and tiers[tier]["action"] == _BUILD:
        yield RebuildCause(tier, tiers[tier]["reasons"])
        tier = tiers[tier]["parent"]


def _plan(playbook: str, arguments: Sequence[str], say: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        plan = Path(folder, "plan.json")
        variable = json.dumps({"tier_plan_file": str(plan)})
        command = [sys.executable, "-m", "ansible", "playbook", playbook, "--check", "-e", variable, *arguments]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0 or not plan.exists():
            say(printable_lines(done.stdout.strip()))
            raise PlanError(f"ansible-playbook {playbook} made no plan; what it said is above")
        with concerning(f"the plan that ansible-playbook {playbook} made", PlanError):
            tiers: dict[str, Any] = json.loads(plan.read_text())["tiers"]
            return tiers
