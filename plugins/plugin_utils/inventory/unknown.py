# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables that nobody reads: a name that begins with ``tier_`` and is none of ours was meant to be one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..chain.spec import OWN_VARIABLES, RUN_VARIABLES, TIER_SPEC
from ..errors import ChainError

_PREFIX = "tier_"

#: What the playbooks set for a tier in a run.
_SET = frozenset({"tier_build", "tier_container"})

KNOWN = frozenset({*TIER_SPEC, *RUN_VARIABLES})


def check_names(tier: str, variables: Mapping[str, Any]) -> None:
    """Refuse variables of a tier that look like ours and are not.

    Those of a role whose name begins with ``tier_`` are the role's, and those that ``tier_own_variables`` lists are the
    user's.

    Args:
        tier: The tier.
        variables: Its variables.

    Raises:
        ChainError: With a line for each, which names the nearest that there is.
    """
    mine = _own(tier, variables.get(OWN_VARIABLES))
    role = variables.get("tier_role") or tier.replace("-", "_")
    prefix = f"{str(role).rpartition('.')[2]}_"
    names = {name for name in variables if name.startswith(_PREFIX) and name not in mine}
    if prefix.startswith(_PREFIX):
        names = {name for name in names if not name.startswith(prefix)}
    problems = list(_unknown(tier, sorted(names)))
    if problems:
        raise ChainError("\n".join(problems))


def _unknown(tier: str, names: Collection[str]) -> Iterator[str]:
    for name in names:
        if name in KNOWN or name in _SET:
            continue
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.6)
        meant = f"did you mean {near[0]}? If not, " if near else ""
        yield (
            f"tier {tier!r}: {name} is set, and Tierwright knows no such variable; {meant}"
            f"rename it, or list it in {OWN_VARIABLES} if it is your own"
        )


def _own(tier: str, said: Any) -> Collection[str]:
    if said is None:
        return ()
    if isinstance(said, str) or not isinstance(said, Collection) or not all(isinstance(each, str) for each in said):
        raise ChainError(f"tier {tier!r}: {OWN_VARIABLES} is {said!r}; expected a list of names: [tier_colour]")
    return frozenset(said)
