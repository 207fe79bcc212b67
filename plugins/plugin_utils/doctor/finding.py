# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was found about one thing that a build needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How well a thing serves."""

    #: As it should be.
    WELL = "well"
    #: Chains can be built, but something is slower, or only some chains can.
    LIMITED = "limited"
    #: No chain can be built.
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing."""

    #: The thing: ``engine``, ``mmdebstrap`` …
    thing: str
    state: State
    #: What is there, in words.
    found: str
    #: What to do; empty where nothing has to be done.
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """All of them."""

    #: Whether a chain can be built here.
    can_build: bool
    findings: list[Finding]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Findings:
        """Sum up."""
        return cls(all(each.state is not State.MISSING for each in findings), list(findings))
