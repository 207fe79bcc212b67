# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Noting how the tiers of a chain stand, after each plan and at the end of each run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from ..errors import DamagedError, RunError
from ..whole_file import set_aside, write_whole
from .ends import ends
from .journal import Journal
from .plan import Decision
from .records import read_plans
from .standing import Standing, Wanted, noted_in, read
from .turn import exclusively


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
        noted = read(former)
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
            known = read(chain)
        except DamagedError as error:
            warn(set_aside(noted_in(chain), error.__cause__ or error))
            known = {}
        text = json.dumps({each.tier: dataclasses.asdict(each) for each in change(known)})
        write_whole(noted_in(chain), text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
