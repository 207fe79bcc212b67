# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of each tier, as a table for people."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..chain import tags
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..plan.decision import Action
from ..plan.outline import FEW, kept_lines
from ..release.promotion import is_held
from ..state.journal import Journal
from ..state.plan_records import Planned, read_plans
from ..state.status import FAILED, ends, failed_otherwise
from ..text import one_line, size
from ..tier_build.failure import failing, shown_failure

_HEAD = ("TIER", "IMAGE", "TEAM", "SIZE", "LAYERS", "RESULT")

#: Letters that a result may have; all that is to be told of a failure is told below the table.
_WIDEST = 70


def summary(engine: Engine, journal: Journal, *, everything: bool) -> Iterator[str]:
    """Yield the lines of the table, parents before children.

    Args:
        engine: The engine.
        journal: The run.
        everything: Whether tiers that stayed as they were are listed in a large chain too.

    Raises:
        EngineError: The engine does not answer.
    """
    chain, planned = read_plans(journal)
    run = [planned[tier.name] for tier in chain if planned[tier.name].action is not Action.LEAVE]
    if not run:
        return
    listed = run if everything or len(run) <= FEW else _changed(engine, run)
    ends = {each.tier.name: journal.outcome(each.tier.name) for each in run if each.runs}
    failed = frozenset(name for name, end in ends.items() if end is None or end.image is None)
    stopped = {name for name in chain.order if is_held(chain, name, failed)}
    rows = [_row(engine, journal, each, stopped=each.tier.name in stopped) for each in listed]
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD) - 1)]
    yield ""
    for row in (_HEAD, *rows):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
    yield from kept_lines(len(run) - len(listed))


def unbuilt(journal: Journal) -> list[str]:
    """Names of the tiers that the run had to build or to test, and that have no image that passed."""
    planned = read_plans(journal)[1].values()
    ends = {each.tier.name: journal.outcome(each.tier.name) for each in planned if each.runs}
    return sorted(name for name, end in ends.items() if end is None or end.image is None)


def _changed(engine: Engine, run: list[Planned]) -> list[Planned]:
    """Leave out the tiers that were kept without a test, and whose release is the same as before."""
    release = engine.images.snapshot().find
    return [each for each in run if each.runs or (now := release(each.tier.release)) is None or now.id != each.image]


def failures(journal: Journal, repeat: str, hosts: Collection[str] = ()) -> Iterator[str]:
    """Yield all that is to be told of the tiers that failed, and how to go on: the last lines of a run.

    Those that were not reached, because what they stand on failed, are in the table only.

    Args:
        journal: The run.
        repeat: The command that goes on with the chain.
        hosts: Names of the hosts that Ansible says failed.

    Raises:
        RunError: The run has no plan.
    """
    others = failed_otherwise(journal, hosts)
    failed = [name for name, end in ends(journal, "").items() if end.result == FAILED]
    for name in failed:
        yield ""
        yield f"FAILED {name}"
        yield from (f"  {line}" for line in shown_failure(journal, name))
    for host in others:
        said = failing(journal, host)
        yield ""
        yield f"FAILED, with the tiers as they are in the table (host {host})"
        yield from (f"  {line}" for line in (said.lines if said else ["see above"]))
    if failed or others:
        yield ""
        yield "to go on, once that is mended:"
        yield f"  {repeat}"


def _row(engine: Engine, journal: Journal, planned: Planned, *, stopped: bool) -> tuple[str, ...]:
    tier, outcome = planned.tier, journal.outcome(planned.tier.name)
    failed = outcome is not None and outcome.image is None
    tested = journal.read("tested", tier.name)
    made = outcome.image if outcome is not None and not failed else planned.image
    if failed and tested and not tested["passed"]:
        made = tested["image"]
    image = engine.images.find(made) if made else None
    result = "built" if planned.action is Action.BUILD else "kept"
    if outcome is None and planned.runs:
        result = "not reached"
    elif outcome is not None and outcome.reason:
        result = one_line(outcome.reason.splitlines()[0].removeprefix(f"tier {tier.name!r} is "), _WIDEST)
    if image is None:
        return (tier.name, "-", tier.team, "-", "-", result)
    if tested and tested["passed"]:
        result += f", {tested['tests']} {'test' if tested['tests'] == 1 else 'tests'} passed"
    released = image.is_named(tier.release)
    if not released and not failed:
        result += f", {tier.release} not moved" + (": its branch failed" if stopped else "")
    shown = tier.release if released else _name(image, failed=failed)
    return (tier.name, shown, tier.team, size(image.size), str(len(image.layers)), result)


def _name(image: Image, *, failed: bool) -> str:
    """What to look at an image by: of one that failed its tests, the name that it got for that."""
    named = (each for each in image.tags if tags.is_failed(each.rpartition(":")[2])) if failed else iter(())
    return next(named, image.id[:19])
