# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history of an image: one entry for each tier, and what a pulled base brings along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..chain.tier import Tier
from ..engine.engine import Engine
from ..engine.image import HistoryEntry

Entry = dict[str, Any]

_OWNER = "team "
_MAKER = "tierwright: tier {}: "

#: Time of what has none of its own: the year 2000. What is older than 1980 has no place in a zip archive.
EARLIEST = 946_684_800


def entry(tier: Tier, created: str, doing: str) -> Entry:
    """The entry of ``tier``'s own layer: who made it, and how.

    The owner stands in ``author`` and, because engines do not show authors, in ``comment`` as well. What the tier's
    build container was allowed beyond the usual stands in ``created_by``.
    """
    return {
        "author": tier.team,
        "comment": _OWNER + tier.team,
        "created": created,
        "created_by": _MAKER.format(tier.name) + doing + _asked(tier),
    }


def is_of(created_by: str, tier: str) -> bool:
    """Say whether an entry, by what it says made it, is that of ``tier``'s own layer."""
    return created_by.startswith(_MAKER.format(tier))


def _asked(tier: Tier) -> str:
    return f", with {tier.cage.asked}" if tier.role and tier.cage.asked else ""


def of(engine: Engine, image: str, layers: int) -> list[Entry]:
    """Read an image's history back from the engine, oldest first.

    The engine does not tell which entries made no layer, only each one's size. As many entries as there are
    ``layers`` are taken to have made one, the larger before the smaller.
    """
    steps = engine.images.history(image)[::-1]
    made = _with_layers([each.size for each in steps], layers)
    return [_entry(each, layer=index in made) for index, each in enumerate(steps)]


def _with_layers(sizes: Sequence[int], layers: int) -> set[int]:
    by_size = sorted(range(len(sizes)), key=lambda index: sizes[index], reverse=True)
    return set(by_size[:layers])


def _entry(step: HistoryEntry, *, layer: bool) -> Entry:
    found = {
        "author": step.comment.removeprefix(_OWNER) if step.comment.startswith(_OWNER) else "",
        "comment": step.comment,
        "created": timestamp(step.created),
        "created_by": step.created_by,
        "empty_layer": not layer,
    }
    return {key: value for key, value in found.items() if value}


def timestamp(seconds: int) -> str:
    """RFC 3339 time of ``seconds`` since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
