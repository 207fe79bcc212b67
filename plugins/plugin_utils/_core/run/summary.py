# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prints the summary of a run: a table of its tiers, and its failures."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..chain import tags
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..plan.decision import Action
from ..plan.outline import LIST_ALL_UP_TO, kept_lines
from ..release.promotion import is_held
from ..state.journal import Journal
from ..state.kept_builds import kept_build
from ..state.plan_records import Planned, read_plan, read_plans
from ..state.status import FAILED, ended_tiers, failed_outside_tiers
from ..state.tier_records import read_tested
from ..text import one_line, size
from ..tier_build.failure import last_failed_task, shown_failure
from ..tier_build.keeping import advice

_HEAD = ("TIER", "IMAGE", "TEAM", "SIZE", "LAYERS", "RESULT")

#: The largest length of a result in the table. The full explanation of a failure is printed below the table.
_MAX_RESULT = 70


def summary(engine: Engine, journal: Journal, *, everything: bool) -> Iterator[str]:
    """Yield the lines of the table, parents before children.

    Args:
        engine: The engine.
        journal: The journal of the run.
        everything: Whether unchanged tiers are listed even if the chain is large.

    Raises:
        EngineError: The engine does not answer.
    """
    chain, planned = read_plans(journal)
    selected = [planned[tier.name] for tier in chain if planned[tier.name].action is not Action.LEAVE]
    if not selected:
        return
    listed = selected if everything or len(selected) <= LIST_ALL_UP_TO else _select_changed(engine, selected)
    outcomes = {plan.tier.name: journal.outcome(plan.tier.name) for plan in selected if plan.runs}
    failed = frozenset(name for name, outcome in outcomes.items() if outcome is None or outcome.image is None)
    held = {name for name in chain.order if is_held(chain, name, failed)}
    rows = [_make_row(engine, journal, plan, held=plan.tier.name in held) for plan in listed]
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD) - 1)]
    yield ""
    for row in (_HEAD, *rows):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
    yield from kept_lines(len(selected) - len(listed))


def unbuilt(journal: Journal) -> list[str]:
    """Return the names of the tiers that the run had to build or test, and that have no image that passed."""
    planned = read_plans(journal)[1].values()
    outcomes = {plan.tier.name: journal.outcome(plan.tier.name) for plan in planned if plan.runs}
    return sorted(name for name, outcome in outcomes.items() if outcome is None or outcome.image is None)


def _select_changed(engine: Engine, selected: list[Planned]) -> list[Planned]:
    """Leave out the tiers that were kept without a test, and whose release tag did not move."""
    find = engine.images.snapshot().find
    return [
        plan
        for plan in selected
        if plan.runs or (released := find(plan.tier.release)) is None or released.id != plan.image
    ]


def failures(journal: Journal, repeat: str, hosts: Collection[str] = ()) -> Iterator[str]:
    """Yield the explanations of all failures, and how to continue: the last lines of a run.

    Tiers that were not reached, because an ancestor failed, are only in the table.

    Args:
        journal: The journal of the run.
        repeat: The command that continues the build of the chain.
        hosts: Names of the hosts that Ansible reports as failed or unreachable.

    Raises:
        RunError: The run has no plan.
    """
    others = failed_outside_tiers(journal, hosts)
    failed = [name for name, outcome in ended_tiers(journal, "").items() if outcome.result == FAILED]
    for name in failed:
        yield ""
        yield f"FAILED {name}"
        yield from (f"  {line}" for line in explain_failure(journal, name))
    for host in others:
        failure = last_failed_task(journal, host)
        yield ""
        yield f"FAILED outside the tiers, whose results are in the table (host {host})"
        yield from (f"  {line}" for line in (failure.lines if failure else ["see above"]))
    if failed or others:
        yield ""
        yield "after you have solved this, continue with:"
        yield f"  {repeat}"


def explain_failure(journal: Journal, tier: str) -> list[str]:
    """Return the explanation of a failed tier, line by line, and how to look into its container if that is kept."""
    kept = kept_build(read_plan(journal, tier).chain, tier)
    is_new = kept is not None and kept.run == journal.run
    return [*shown_failure(journal, tier), *(advice(kept) if kept and is_new else ())]


def explanations(journal: Journal) -> dict[str, list[str]]:
    """Return the explanations of all failed tiers of a run, by tier.

    Raises:
        RunError: The run has no plan.
    """
    ended = ended_tiers(journal, "")
    return {name: explain_failure(journal, name) for name, outcome in ended.items() if outcome.result == FAILED}


def _make_row(engine: Engine, journal: Journal, planned: Planned, *, held: bool) -> tuple[str, ...]:
    tier, outcome = planned.tier, journal.outcome(planned.tier.name)
    failed = outcome is not None and outcome.image is None
    tested = read_tested(journal, tier.name)
    image_id = outcome.image if outcome is not None and not failed else planned.image
    if failed and tested and not tested.passed:
        image_id = tested.image
    image = engine.images.find(image_id) if image_id else None
    result = "built" if planned.action is Action.BUILD else "kept"
    if outcome is None and planned.runs:
        result = "not reached"
    elif outcome is not None and outcome.reason:
        result = one_line(outcome.reason.splitlines()[0].removeprefix(f"tier {tier.name!r} is "), _MAX_RESULT)
    if image is None:
        return (tier.name, "-", tier.team, "-", "-", result)
    if tested and tested.passed:
        result += f", {tested.tests} {'test' if tested.tests == 1 else 'tests'} passed"
    released = image.is_named(tier.release)
    if not released and not failed:
        result += f", {tier.release} not moved" + (": its branch failed" if held else "")
    name = tier.release if released else _name_unreleased(image, failed=failed)
    return (tier.name, name, tier.team, size(image.size), str(len(image.layers)), result)


def _name_unreleased(image: Image, *, failed: bool) -> str:
    """Return a short ID of the image; for a failed image, its name with the tag ``failed-…``."""
    names = (name for name in image.tags if tags.is_failed(name.rpartition(":")[2])) if failed else iter(())
    return next(names, image.id[:19])
