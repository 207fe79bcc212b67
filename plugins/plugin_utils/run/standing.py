# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the tiers of a chain stand: what the last plan wants of each, and how its last run ended.

A journal is gone when its run has ended; this stays, in the chain's state, for whoever looks at the chain later. What a
run with ``--limit`` leaves out keeps what was noted of it before. :mod:`.noting` writes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import DamagedError
from .journal import state_folder

#: Results of a run.
BUILT, KEPT, FAILED, NOT_REACHED = "built", "kept", "failed", "not reached"

#: What a plan calls it (``plan.Action``, which stands on the engine's SDK).
_BUILD, _KEEP = "build", "keep"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan wants of a tier."""

    #: RFC 3339 time.
    when: str
    #: ``keep`` or ``build``.
    action: str
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed."""

    test: str | None
    #: The team whose test it is; ``None`` where that is not known.
    owner: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a tier's last run ended."""

    #: RFC 3339 time.
    when: str
    #: Identifier of the run.
    run: str
    #: What it was to do with the tier: ``keep`` or ``build``.
    action: str
    #: ``built``, ``kept``, ``failed``, or ``not reached`` where something below it failed.
    result: str
    #: Why it failed or was kept; empty where there is nothing to say.
    said: str
    #: ID of the image that it ended with.
    image: str | None
    #: How many tests ran; ``None`` where none did.
    tests: int | None
    failures: list[Failure]


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

        A newer plan that keeps the tier makes up for its failure. A run that keeps what a plan wants built, because it
        only tests what there is, does not make it less stale.
        """
        wanted, ended = self.wanted, self.ended
        open_ = wanted is not None and (
            ended is None or wanted.when > ended.when or (wanted.action, ended.action) == (_BUILD, _KEEP)
        )
        builds = wanted is not None and wanted.action == _BUILD
        if ended is not None and ended.result in {FAILED, NOT_REACHED} and (builds or not open_):
            return ended.result
        return "stale" if builds and open_ else ""


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
    wanted = None if told["wanted"] is None else Wanted(**told["wanted"])
    ended = None
    if told["ended"] is not None:
        failures = [Failure(**each) for each in told["ended"]["failures"]]
        ended = Ended(**(told["ended"] | {"failures": failures}))
    for when in ([wanted.when] if wanted else []) + ([ended.when] if ended else []):
        datetime.fromisoformat(when)
    return Standing(**(told | {"wanted": wanted, "ended": ended}))
