# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of each tier, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator

import docker

from ..engine import images
from .journal import Journal
from .plan import Action
from .records import Planned, read_plans

_HEAD = ("TIER", "IMAGE", "TEAM", "SIZE", "LAYERS", "RESULT")


def summary(client: docker.DockerClient, journal: Journal) -> Iterator[str]:
    """Yield the lines of the table, parents before children.

    Raises:
        EngineError: The engine does not answer.
    """
    chain, planned = read_plans(journal)
    rows = [
        _row(client, journal, planned[tier.name]) for tier in chain if planned[tier.name].action is not Action.LEAVE
    ]
    if not rows:
        return
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD) - 1)]
    yield ""
    for row in (_HEAD, *rows):
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])


def _row(client: docker.DockerClient, journal: Journal, planned: Planned) -> tuple[str, ...]:
    tier, outcome = planned.tier, journal.outcome(planned.tier.name)
    made = outcome.image if outcome is not None else planned.image
    image = images.find(client, made) if made else None
    if image is None:
        reason = "not reached" if outcome is None else (outcome.reason.splitlines() or ["failed"])[0]
        return (tier.name, "-", tier.team, "-", "-", reason.removeprefix(f"tier {tier.name!r} is "))
    result = "built" if planned.action is Action.BUILD else "kept"
    if outcome is not None and outcome.reason:
        result = outcome.reason
    released = image.is_named(tier.release)
    if not released:
        result += f", {tier.release} not moved: a tier above it failed"
    shown = tier.release if released else image.id[:19]
    return (tier.name, shown, tier.team, _size(image.size), str(len(image.layers)), result)


def _size(count: int) -> str:
    return f"{count / 1_000_000:.0f} MB"
