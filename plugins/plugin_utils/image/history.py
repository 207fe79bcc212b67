# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The history of an image: one entry for each tier, and what a pulled base brings along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import docker

from ..chain.tier import Tier
from ..engine.client import translated

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


def of(client: docker.DockerClient, image: str, layers: int) -> list[Entry]:
    """Read an image's history back from the engine, oldest first.

    The engine does not tell which entries made no layer, only each one's size. As many entries as there are
    ``layers`` are taken to have made one, the larger before the smaller.
    """
    with translated(f"reading the history of image {image}"):
        told = list(reversed(client.api.history(image)))
    made = _with_layers([int(each.get("Size") or 0) for each in told], layers)
    return [_entry(each, layer=index in made) for index, each in enumerate(told)]


def _with_layers(sizes: Sequence[int], layers: int) -> set[int]:
    by_size = sorted(range(len(sizes)), key=lambda index: sizes[index], reverse=True)
    return set(by_size[:layers])


def _entry(told: dict[str, Any], *, layer: bool) -> Entry:
    comment = told.get("Comment") or ""
    found = {
        "author": comment.removeprefix(_OWNER) if comment.startswith(_OWNER) else "",
        "comment": comment,
        "created": timestamp(int(told.get("Created") or 0)),
        "created_by": told.get("CreatedBy") or "",
        "empty_layer": not layer,
    }
    return {key: value for key, value in found.items() if value}


def timestamp(seconds: int) -> str:
    """RFC 3339 time of ``seconds`` since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
