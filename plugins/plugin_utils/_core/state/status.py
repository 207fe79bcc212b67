# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How each tier of a chain stands: read, derived, written.

How the tiers of a chain stand: what the last plan wants of each, and how its last run ended.

A journal is gone when its run has ended; this stays, in the chain's state, for whoever looks at the chain later. What a
run with ``--limit`` leaves out keeps what was noted of it before. :mod:`.status` writes it.

How each tier of a run ended, from the journal.

Noting how the tiers of a chain stand, after each plan and at the end of each run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import DamagedError, RunError
from ..local_files import set_aside, write_whole
from ..plan.decision import Action, Decision
from .journal import Journal, state_folder
from .lock import exclusively
from .plan_records import Planned, read_plans

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
class FailedTestRecord:
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
    failures: list[FailedTestRecord]


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


def read_status(chain: str) -> dict[str, Standing]:
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
        failures = [FailedTestRecord(**each) for each in told["ended"]["failures"]]
        ended = Ended(**(told["ended"] | {"failures": failures}))
    for when in ([wanted.when] if wanted else []) + ([ended.when] if ended else []):
        datetime.fromisoformat(when)
    return Standing(**(told | {"wanted": wanted, "ended": ended}))


def ends(journal: Journal, now: str) -> dict[str, Ended]:
    """Say how the tiers of a run ended, parents before children; those that ``--limit`` left out are not among them.

    A tier that stands on one that failed, and came to no image, was not reached, whatever became of it.

    Args:
        journal: The run.
        now: RFC 3339 time.

    Raises:
        RunError: The run has no plan.
    """
    chain, planned = read_plans(journal)
    found = {
        name: _ended(journal, planned[name], now) for name in chain.order if planned[name].action is not Action.LEAVE
    }
    failed = {name for name, each in found.items() if each.result == FAILED}
    return {
        name: dataclasses.replace(each, result=NOT_REACHED)
        if name in failed and not failed.isdisjoint(chain.ancestors(name))
        else each
        for name, each in found.items()
    }


def failed_otherwise(journal: Journal, hosts: Iterable[str]) -> list[str]:
    """Choose the hosts that failed although their tiers did not: promotion failed, or something that no tier is about.

    Args:
        journal: The run.
        hosts: Names of those that Ansible says failed, or could not be reached.
    """
    told = {name for name, each in ends(journal, "").items() if each.result in {FAILED, NOT_REACHED}}
    return [host for host in hosts if host not in told]


def _ended(journal: Journal, planned: Planned, now: str) -> Ended:
    name, outcome = planned.tier.name, journal.outcome(planned.tier.name)
    tested = journal.read("tested", name) or {}
    if outcome is None:
        result, said, image = KEPT if planned.action is Action.KEEP else NOT_REACHED, "", planned.image
    else:
        said, image = outcome.reason, outcome.image
        result = FAILED if image is None else KEPT if said else BUILT
    if not tested.get("passed", True):
        result = FAILED
    failures = [FailedTestRecord(each["test"], each["owner"], each["message"]) for each in tested.get("failed", ())]
    return Ended(now, journal.run, str(planned.action), result, said, image, tested.get("tests"), failures)


def _ignore(_line: str) -> None:
    """Take a line that nobody wants."""


def note_plan(
    chain: str, decisions: Mapping[str, Decision], selected: Collection[str], warn: Callable[[str], None] = _ignore
) -> None:
    """Note what a plan wants; tiers that are no more in the chain are forgotten.

    Args:
        chain: The chain's name.
        decisions: One for each tier.
        selected: Names of the tiers that the plan is about.
        warn: Takes a line about notes that are damaged and were set aside.
    """
    now = _now()

    def change(known: Mapping[str, Standing]) -> Iterator[Standing]:
        for name, decision in decisions.items():
            old, tier = known.get(name), decision.tier
            wanted = old.wanted if old else None
            if name in selected:
                wanted = Wanted(now, str(decision.action), list(decision.reasons))
            yield Standing(name, tier.team, tier.parent, tier.release, wanted, old.ended if old else None)

    _change(chain, change, warn)


def note_run(journal: Journal, warn: Callable[[str], None] = _ignore) -> None:
    """Note how a run over a chain ended; ``warn`` is that of :func:`note_plan`.

    Raises:
        RunError: The run has no plan.
    """
    ended, chains = ends(journal, _now()), {each.chain for each in read_plans(journal)[1].values()}

    def change(known: Mapping[str, Standing]) -> Iterator[Standing]:
        for name, old in known.items():
            yield dataclasses.replace(old, ended=ended[name]) if name in ended else old

    for each in chains:
        _change(each, change, warn)


def take_over(former: str, chain: str, tiers: Mapping[str, str], warn: Callable[[str], None]) -> None:
    """Move what is noted of some tiers from one chain to another, which knows nothing of them yet.

    Args:
        former: The chain that they were noted for.
        chain: The chain that they are of.
        tiers: Repository of each one's images.
        warn: Called with what cannot be read or written.
    """
    with contextlib.suppress(DamagedError):
        noted = read_status(former)
        mine = {name: each for name, each in noted.items() if tiers.get(name) == each.release.rpartition(":")[0]}
        if mine:
            _change(chain, lambda known: ({**mine, **known}).values(), warn)
            _change(former, lambda known: (each for name, each in known.items() if name not in mine), warn)


def _change(
    chain: str, change: Callable[[Mapping[str, Standing]], Iterable[Standing]], warn: Callable[[str], None]
) -> None:
    """Change what is known; nobody else does meanwhile.

    Where that cannot be written down, it is not: a run is worth more than what is told of it later.
    """
    with contextlib.suppress(OSError, RunError), exclusively(chain, "standing"):
        try:
            known = read_status(chain)
        except DamagedError as error:
            warn(set_aside(noted_in(chain), error.__cause__ or error))
            known = {}
        text = json.dumps({each.tier: dataclasses.asdict(each) for each in change(known)})
        write_whole(noted_in(chain), text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
