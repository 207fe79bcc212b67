# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the tiers of a chain stand: what the last plan wants of each, and how its last run ended.

A journal is gone when its run has ended; this stays, in the chain's state, for whoever looks at the chain later. What a
run with ``--limit`` leaves out keeps what was noted of it before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import DamagedError, RunError
from .journal import Journal, state_folder
from .plan import Action, Decision
from .records import Planned, read_plans
from .turn import exclusively

#: Results of a run.
BUILT, KEPT, FAILED, NOT_REACHED = "built", "kept", "failed", "not reached"

_FILE = "standing.json"


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
        builds = self.wanted is not None and self.wanted.action == Action.BUILD
        later = self.wanted is not None and (self.ended is None or self.wanted.when > self.ended.when)
        if self.ended is not None and self.ended.result in {FAILED, NOT_REACHED} and (builds or not later):
            return self.ended.result
        return "stale" if builds and later else ""


def read(chain: str) -> dict[str, Standing]:
    """What is known of a chain's tiers, by name, in the order of the last plan; nothing where none was made here.

    Raises:
        DamagedError: What was noted cannot be read.
    """
    path = state_folder(chain) / _FILE
    try:
        return {name: _standing(told) for name, told in json.loads(path.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise DamagedError(f"{path} cannot be read: {error}; remove it, and the next plan writes it anew") from error


def note_plan(chain: str, decisions: Mapping[str, Decision], selected: Collection[str]) -> None:
    """Note what a plan wants; tiers that are no more in the chain are forgotten.

    Args:
        chain: The chain's name.
        decisions: One for each tier.
        selected: Names of the tiers that the plan is about.
    """
    now = _now()

    def change(known: Mapping[str, Standing]) -> Iterator[Standing]:
        for name, decision in decisions.items():
            old, tier = known.get(name), decision.tier
            wanted = old.wanted if old else None
            if name in selected:
                wanted = Wanted(now, str(decision.action), list(decision.reasons))
            yield Standing(name, tier.team, tier.parent, tier.release, wanted, old.ended if old else None)

    _change(chain, change)


def note_run(journal: Journal) -> None:
    """Note how a run over a chain ended.

    Raises:
        RunError: The run has no plan.
    """
    chain, planned = read_plans(journal)
    run = {name: each for name, each in planned.items() if each.action is not Action.LEAVE}
    now = _now()
    failed = {name for name, each in run.items() if _ended(journal, each, now).result == FAILED}

    def change(known: Mapping[str, Standing]) -> Iterator[Standing]:
        for name, old in known.items():
            if name not in run:
                yield old
            elif failed.isdisjoint(chain.ancestors(name)) or name not in failed:
                yield dataclasses.replace(old, ended=_ended(journal, run[name], now))
            else:
                ended = dataclasses.replace(_ended(journal, run[name], now), result=NOT_REACHED)
                yield dataclasses.replace(old, ended=ended)

    for each in {each.chain for each in run.values()}:
        _change(each, change)


def _ended(journal: Journal, planned: Planned, now: str) -> Ended:
    name, outcome = planned.tier.name, journal.outcome(planned.tier.name)
    tested = journal.read("tested", name)
    if planned.action is Action.KEEP:
        result, said, image = KEPT, "", planned.image
    elif outcome is None:
        result, said, image = NOT_REACHED, "", None
    else:
        said, image = outcome.reason, outcome.image
        result = FAILED if image is None else KEPT if said else BUILT
    if tested is not None and not tested["passed"]:
        result = FAILED
    return Ended(now, journal.run, result, said, image, tested)


def _change(chain: str, change: Callable[[Mapping[str, Standing]], Iterable[Standing]]) -> None:
    """Change what is known; nobody else does meanwhile.

    Where that cannot be written down, it is not: a run is worth more than what is told of it later.
    """
    with contextlib.suppress(OSError, RunError), exclusively(chain, "standing"):
        try:
            known = read(chain)
        except DamagedError:
            known = {}
        text = json.dumps({each.tier: dataclasses.asdict(each) for each in change(known)})
        folder = state_folder(chain)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", encoding="utf-8", delete=False) as file:
            file.write(text)
        Path(file.name).replace(folder / _FILE)


def _standing(told: dict[str, Any]) -> Standing:
    wanted, ended = told["wanted"], told["ended"]
    made = {"wanted": wanted and Wanted(**wanted), "ended": ended and Ended(**ended)}
    return Standing(**(told | made))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
