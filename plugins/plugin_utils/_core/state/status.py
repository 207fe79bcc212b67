# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status of each tier of a chain: what the last plan wants, and how its last run ended.

A journal is removed when its run ends. The status stays in the chain's state folder, for later reports. It is written
after each plan and at the end of each run. Tiers that ``--limit`` excludes keep their earlier status.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import msgspec

from ..chain.tier import Cage
from ..errors import DamagedError, RunError
from ..local_files import set_aside, write_atomically
from ..plan.decision import Action, Decision
from ..records import decode, encode
from .journal import Journal, state_folder
from .lock import chain_lock
from .plan_records import Planned, read_plans
from .tier_records import read_tested

#: Results of a run.
BUILT, KEPT, FAILED, NOT_REACHED = "built", "kept", "failed", "not reached"

#: Values of ``Action`` as the status file stores them.
_BUILD, _KEEP = "build", "keep"

_DEFAULT_CAGE = Cage()


class Wanted(msgspec.Struct, frozen=True):
    """What a plan decided for a tier."""

    #: RFC 3339 time.
    when: str
    #: ``keep`` or ``build``.
    action: str
    reasons: list[str]


class FailedTestRecord(msgspec.Struct, frozen=True):
    """A test that failed."""

    test: str | None
    #: The team that owns the test; ``None`` if it is not known.
    owner: str | None
    message: str


class Ended(msgspec.Struct, frozen=True):
    """How a tier's last run ended."""

    #: RFC 3339 time.
    when: str
    #: ID of the run.
    run: str
    #: What the plan decided: ``keep`` or ``build``.
    action: str
    #: ``built``, ``kept``, ``failed``, or ``not reached`` because an ancestor failed or the run ended before.
    result: str
    #: Why the tier failed or was kept; can be empty.
    said: str
    #: ID of the tier's image after the run; ``None`` if it has none.
    image: str | None
    #: How many tests ran; ``None`` if there were no tests.
    tests: int | None
    failures: list[FailedTestRecord]


class Followed(msgspec.Struct, frozen=True):
    """Where the image of a followed tier comes from."""

    #: Host and repository, and the tag: ``registry.example.org/operations/corebuild:stable``.
    reference: str
    #: Digest of the locked manifest.
    digest: str
    #: ID of the locked image.
    image: str


class Standing(msgspec.Struct, frozen=True):
    """The status of one tier."""

    tier: str
    team: str
    parent: str | None
    #: The reference that users pull.
    release: str
    wanted: Wanted | None = None
    ended: Ended | None = None
    #: ``None`` if the tier does not follow an image of another team.
    follows: Followed | None = None
    #: The limits of its build container.
    cage: Cage = _DEFAULT_CAGE

    @property
    def state(self) -> str:
        """``failed``, ``not reached``, ``stale`` if a plan wants to build the tier, else empty.

        A newer plan that keeps the tier clears its failure. If a run only tests the released images, a tier that the
        plan wants to build stays stale.
        """
        wanted, ended = self.wanted, self.ended
        pending = wanted is not None and (
            ended is None or wanted.when > ended.when or (wanted.action, ended.action) == (_BUILD, _KEEP)
        )
        builds = wanted is not None and wanted.action == _BUILD
        if ended is not None and ended.result in {FAILED, NOT_REACHED} and (builds or not pending):
            return ended.result
        return "stale" if builds and pending else ""


def status_file(chain: str) -> Path:
    """Return the path of the file that contains the status of a chain's tiers."""
    return state_folder(chain) / "standing.json"


def read_status(chain: str) -> dict[str, Standing]:
    """Read the status of a chain's tiers, by name, in the order of the last plan; empty if there is no status.

    Raises:
        DamagedError: The status file cannot be read.
    """
    path = status_file(chain)
    try:
        status = decode(path.read_text(), dict[str, Standing], exact=True)
        for standing in status.values():
            for each in (standing.wanted, standing.ended):
                if each is not None:
                    datetime.fromisoformat(each.when)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} cannot be read: {error}; remove it, and the next plan writes it again") from error
    return status


def ended_tiers(journal: Journal, now: str) -> dict[str, Ended]:
    """Return how the tiers of a run ended, parents before children, without the tiers that ``--limit`` excludes.

    A tier that has no image after the run, and an ancestor of which failed, counts as not reached.

    Args:
        journal: The run.
        now: RFC 3339 time.

    Raises:
        RunError: The run has no plan.
    """
    chain, planned = read_plans(journal)
    results = {
        name: _ended(journal, planned[name], now) for name in chain.order if planned[name].action is not Action.LEAVE
    }
    failed = {name for name, ended in results.items() if ended.result == FAILED}
    return {
        name: msgspec.structs.replace(ended, result=NOT_REACHED)
        if name in failed and not failed.isdisjoint(chain.ancestors(name))
        else ended
        for name, ended in results.items()
    }


def failed_outside_tiers(journal: Journal, hosts: Iterable[str]) -> list[str]:
    """Choose the hosts that failed although their tiers did not: for example, promotion failed.

    Args:
        journal: The run.
        hosts: Names of the hosts that Ansible reports as failed or unreachable.
    """
    results = ended_tiers(journal, "")
    explained = {name for name, ended in results.items() if ended.result in {FAILED, NOT_REACHED}}
    return [host for host in hosts if host not in explained]


def _ended(journal: Journal, planned: Planned, now: str) -> Ended:
    name, outcome = planned.tier.name, journal.outcome(planned.tier.name)
    tested = read_tested(journal, name)
    if outcome is None:
        result, reason, image_id = KEPT if planned.action is Action.KEEP else NOT_REACHED, "", planned.image
    else:
        reason, image_id = outcome.reason, outcome.image
        result = FAILED if image_id is None else KEPT if reason else BUILT
    if tested is not None and not tested.passed:
        result = FAILED
    failures = [FailedTestRecord(test.test, test.owner, test.message) for test in (tested.failed if tested else ())]
    tests = tested.tests if tested else None
    return Ended(now, journal.run, str(planned.action), result, reason, image_id, tests, failures)


def _ignore(_line: str) -> None:
    """Ignore a warning."""


def note_plan(
    chain: str,
    decisions: Mapping[str, Decision],
    selected: Collection[str],
    warn: Callable[[str], None] = _ignore,
    followed: Mapping[str, Followed] = MappingProxyType({}),
) -> None:
    """Record the plan in the status. Tiers that left the chain are removed from the status.

    Args:
        chain: The chain's name.
        decisions: One decision for each tier.
        selected: Names of the tiers that the run selects.
        warn: Called with a line if the status file is damaged and was set aside.
        followed: Where the images of followed tiers come from, by tier.
    """
    now = _now()

    def change(status: Mapping[str, Standing]) -> Iterator[Standing]:
        for name, decision in decisions.items():
            old, tier = status.get(name), decision.tier
            wanted = old.wanted if old else None
            if name in selected:
                wanted = Wanted(now, str(decision.action), list(decision.reasons))
            ended = old.ended if old else None
            yield Standing(name, tier.team, tier.parent, tier.release, wanted, ended, followed.get(name), tier.cage)

    _change(chain, change, warn)


def note_run(journal: Journal, warn: Callable[[str], None] = _ignore) -> None:
    """Record in the status how a run over a chain ended; ``warn`` is the same as for :func:`note_plan`.

    Raises:
        RunError: The run has no plan.
    """
    ended, chains = ended_tiers(journal, _now()), {planned.chain for planned in read_plans(journal)[1].values()}

    def change(status: Mapping[str, Standing]) -> Iterator[Standing]:
        for name, old in status.items():
            yield msgspec.structs.replace(old, ended=ended[name]) if name in ended else old

    for chain in chains:
        _change(chain, change, warn)


def take_over(former: str, chain: str, tiers: Mapping[str, str], warn: Callable[[str], None]) -> None:
    """Move the status of some tiers from one chain to another, unless the other chain has a status for them.

    Args:
        former: Name of the chain that has the status.
        chain: Name of the chain that the tiers belong to now.
        tiers: By tier, the repository of its images. The status of a tier with a different repository stays.
        warn: Called with a line if a status file is damaged and was set aside.
    """
    with contextlib.suppress(DamagedError):
        moving = {
            name: standing
            for name, standing in read_status(former).items()
            if tiers.get(name) == standing.release.rpartition(":")[0]
        }
        if moving:
            _change(chain, lambda status: ({**moving, **status}).values(), warn)
            _change(former, lambda status: (standing for name, standing in status.items() if name not in moving), warn)


def _change(
    chain: str, change: Callable[[Mapping[str, Standing]], Iterable[Standing]], warn: Callable[[str], None]
) -> None:
    """Change the status of a chain under a lock.

    If the status cannot be written, the change is lost silently: a run must not fail because of its status.
    """
    with contextlib.suppress(OSError, RunError), chain_lock(chain, "standing"):
        try:
            status = read_status(chain)
        except DamagedError as error:
            warn(set_aside(status_file(chain), error.__cause__ or error))
            status = {}
        write_atomically(status_file(chain), encode({standing.tier: standing for standing in change(status)}))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
