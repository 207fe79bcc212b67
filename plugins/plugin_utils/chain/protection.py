# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Paths that only one tier may write: those that its descendants get from it as they are (``tier_protects``)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from ..errors import ChainError


@dataclass(frozen=True, slots=True)
class Protection:
    """What one tier keeps for itself."""

    #: The tier.
    tier: str
    #: The team that owns it.
    team: str
    #: Patterns of paths, without a slash at either end.
    paths: tuple[str, ...]


def read_paths(name: str, variable: str, said: Iterable[str]) -> tuple[str, ...]:
    """Read the patterns of a tier.

    Args:
        name: The tier, for messages.
        variable: Where they come from, for messages.
        said: The patterns; a slash at either end has no meaning.

    Returns:
        Each pattern once, sorted.

    Raises:
        ChainError: One names no path below the root, or names it by a detour: it would protect nothing.
    """
    found = set()
    for pattern in said:
        parts = pattern.strip("/").split("/")
        if "\0" in pattern or {"", ".", ".."} & set(parts):
            raise ChainError(
                f"tier {name!r}: {variable} has {pattern!r}; expected a path below the root, or a pattern of paths, "
                "without '.', '..' and double slashes: /etc/ssl, /etc/cron.*"
            )
        found.add("/".join(parts))
    return tuple(sorted(found))


def to_text(protections: Iterable[Protection]) -> str:
    """Write protections for a label; empty where there is none."""
    listed = [asdict(each) for each in protections if each.paths]
    return json.dumps(listed, sort_keys=True, separators=(",", ":")) if listed else ""


def from_text(text: str) -> tuple[Protection, ...]:
    """Read what :func:`to_text` wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        listed = [(each["tier"], each["team"], each["paths"]) for each in json.loads(text)] if text else []
        return tuple(Protection(str(tier), str(team), tuple(map(str, paths))) for tier, team, paths in listed)
    except (KeyError, TypeError) as error:
        raise ValueError(text) from error
