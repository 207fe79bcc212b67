# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the tiers of a chain stand: what the last plan wants of each, and how its last run ended.

A journal is gone when its run has ended; this stays, in the chain's state, for whoever looks at the chain later. What a
run with ``--limit`` leaves out keeps what was noted of it before. :mod:`.noting` writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DamagedError
from .journal import state_folder

#: Results of a run.
BUILT, KEPT, FAILED, NOT_REACHED = "built", "kept", "failed", "not reached"

#: What a plan calls it (``plan.Action``, which stands on the engine's SDK).
_BUILD = "build"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan wants of a tier."""

    #: RFC 3339 time.
    when: str
    #: ``keep`` or ``build``.
    action: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a tier's last run ended."""

    #: RFC 3339 time.
    when: str
    #: Identifier of the run.
    run: str
    #: ``built``, ``kept``, ``failed``, or ``not reached`` where something below it failed.
    result: str
    #: Why it failed or was kept; empty where there is nothing to say.
    said: str
    #: ID of the image that it ended with.
    image: str | None
    #: What the tests found, as the journal's ``tested`` says it; ``None`` where none ran.
    tested: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one tier stands."""

    tier: str
    team: str
    parent: str | None
    #: The reference that users pull.
    release: str
    wanted: Wanted | None = None
    ended: Ended | None = None

    @property
    def state(self) -> str:
        """``failed``, ``not reached``, ``stale`` where a plan wants it built, else empty.

        A plan that is newer than the run and keeps the tier makes up for its failure.
        """
        builds = self.wanted is not None and self.wanted.action == _BUILD
        later = self.wanted is not None and (self.ended is None or self.wanted.when > self.ended.when)
        if self.ended is not None and self.ended.result in {FAILED, NOT_REACHED} and (builds or not later):
            return self.ended.result
        return "stale" if builds and later else ""


def noted_in(chain: str) -> Path:
    """The file that holds what is known of a chain's tiers."""
    return state_folder(chain) / "standing.json"


def read(chain: str) -> dict[str, Standing]:
    """What is known of a chain's tiers, by name, in the order of the last plan; nothing where none was made here.

    Raises:
        DamagedError: What was noted cannot be read.
    """
    path = noted_in(chain)
    try:
        return {name: _standing(told) for name, told in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise DamagedError(f"{path} cannot be read: {error}; remove it, and the next plan writes it anew") from error


def _standing(told: dict[str, Any]) -> Standing:
    wanted, ended = told["wanted"], told["ended"]
    made = {"wanted": wanted and Wanted(**wanted), "ended": ended and Ended(**ended)}
    return Standing(**(told | made))
