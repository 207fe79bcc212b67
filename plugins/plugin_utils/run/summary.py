# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of each tier, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

import docker

from ..engine import images
from ..engine.snapshot import Snapshot
from .journal import Journal
from .outline import FEW, kept
from .plan import Action
from .promote import is_held
from .records import Planned, read_plans

_HEAD = ("TIER", "IMAGE", "TEAM", "SIZE", "LAYERS", "RESULT")


def summary(client: docker.DockerClient, journal: Journal, *, everything: bool) -> Iterator[str]:
    """Yield the lines of the table, parents before children.

    Args:
        client: The engine.
        journal: The run.
        everything: Whether tiers that stayed as they were are listed in a large chain too.

    Raises:
        EngineError: The engine does not answer.
    """
    chain, planned = read_plans(journal)
    run = [planned[tier.name] for tier in chain if planned[tier.name].action is not Action.LEAVE]
    if not run:
        return
    listed = run if everything or len(run) <= FEW else _changed(client, run)
    ends = {each.tier.name: journal.outcome(each.tier.name) for each in run if each.runs}
    failed = frozenset(name for name, end in ends.items() if end is None or end.image is None)
    stopped = {name for name in chain.order if is_held(chain, name, failed)}
    rows = [_row(client, journal, each, stopped=each.tier.name in stopped) for each in listed]
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD) - 1)]
    yield ""
    for row in (_HEAD, *rows):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
    yield from kept(len(run) - len(listed))


def unbuilt(journal: Journal) -> list[str]:
    """Names of the tiers that the run had to build or to test, and that have no image that passed."""
    planned = read_plans(journal)[1].values()
    ends = {each.tier.name: journal.outcome(each.tier.name) for each in planned if each.runs}
    return sorted(name for name, end in ends.items() if end is None or end.image is None)


def _changed(client: docker.DockerClient, run: list[Planned]) -> list[Planned]:
    """Leave out the tiers that were kept without a test, and whose release is the same as before."""
    release = Snapshot.take(client).find
    return [each for each in run if each.runs or (now := release(each.tier.release)) is None or now.id != each.image]


def _row(client: docker.DockerClient, journal: Journal, planned: Planned, *, stopped: bool) -> tuple[str, ...]:
    tier, outcome = planned.tier, journal.outcome(planned.tier.name)
    failed = outcome is not None and outcome.image is None
    made = planned.image if outcome is None or failed else outcome.image
    image = images.find(client, made) if made else None
    result = "built" if planned.action is Action.BUILD else "kept"
    if outcome is None and planned.runs:
        result = "not reached"
    elif outcome is not None and outcome.reason:
        result = outcome.reason.splitlines()[0].removeprefix(f"tier {tier.name!r} is ")
    if image is None:
        return (tier.name, "-", tier.team, "-", "-", result)
    tested = journal.read("tested", tier.name)
    if tested and tested["passed"]:
        result += f", {tested['tests']} tests passed"
    released = image.is_named(tier.release)
    if not released:
        result += f", {tier.release} not moved" + (": its branch failed" if stopped else "")
    shown = tier.release if released else image.id[:19]
    return (tier.name, shown, tier.team, _size(image.size), str(len(image.layers)), result)


def _size(count: int) -> str:
    return f"{count / 1_000_000:.0f} MB"
