# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads which teams must accept a tier before it is published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..chain.names import is_repository, split_registry
from ..errors import ChainError
from ..publication.consumers import TIMEOUT, Consumers

_CONSUMERS, _VERDICTS, _TIMEOUT = "tier_consumers", "tier_verdicts", "tier_verdict_timeout"


def read_consumers(tier: str, variables: Mapping[str, Any]) -> Consumers | None:
    """Read the consumers of a tier.

    Args:
        tier: The tier.
        variables: Its variables.

    Returns:
        The consumers; ``None`` if the tier lists none.

    Raises:
        ChainError: A variable is wrong.
    """
    listed = variables.get(_CONSUMERS)
    if listed is None or listed == []:
        return None
    own = variables.get("tier_image")
    if isinstance(listed, str) or not isinstance(listed, list | tuple):
        raise ChainError(f"tier {tier!r}: {_CONSUMERS} is {listed!r}; expected a list of repositories")
    for name in listed:
        if not isinstance(name, str) or not is_repository(name) or split_registry(name) is None:
            raise ChainError(
                f"tier {tier!r}: {_CONSUMERS} has {name!r}; expected the tier_image of a tier of another team, without "
                "a tag: registry.example.org/development/wordpress"
            )
        if name == own:
            raise ChainError(f"tier {tier!r}: {_CONSUMERS} has {name!r}, which is this tier itself; it is no consumer")
    repositories = tuple(dict.fromkeys(listed))
    timeout = variables.get(_TIMEOUT, TIMEOUT)
    try:
        seconds = -1.0 if isinstance(timeout, bool) else float(timeout)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ChainError(f"tier {tier!r}: {_TIMEOUT} is {timeout!r}; expected seconds, or 0 to wait for nobody")
    return Consumers(repositories, _read_needed(tier, variables.get(_VERDICTS, "all"), len(repositories)), seconds)


def _read_needed(tier: str, value: Any, most: int) -> int:
    if value == "all":
        return most
    if value == "advisory":
        return 0
    needed = int(value) if isinstance(value, str) and value.isdecimal() else value
    if isinstance(needed, bool) or not isinstance(needed, int) or not 1 <= needed <= most:
        raise ChainError(
            f"tier {tier!r}: {_VERDICTS} is {value!r}; expected all, advisory, or how many of the {most} consumers "
            "must say yes"
        )
    return needed
