# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds of values, and misspelt variables.

Of what kind a variable's value has to be.

Ansible's own validator turns nearly anything into a text: a list becomes ``"['web']"``, ``true`` becomes ``"True"``,
and the message that follows speaks of something that nobody wrote.

Variables that nobody reads: a name that begins with ``tier_`` and is none of ours was meant to be one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ..chain.tier_variables import OWN_VARIABLES, RUN_VARIABLES, TIER_SPEC
from ..errors import ChainError

#: A version that is written without quotes has lost a zero: 1.10.
_NUMBERS_ARE_TEXTS = frozenset({"tier_epoch", "tier_inputs_pin"})


def wrong_kinds(variable: str, option: Mapping[str, Any], value: Any) -> Iterator[str]:
    """Say what of a value is of another kind than its specification says.

    Args:
        variable: Its name, for the message.
        option: What Ansible's argument specification says of it.
        value: The value.

    Yields:
        A line for each.
    """
    kind = option["type"]
    is_right, expected = _KINDS[kind]
    if not is_right(value) and not (variable in _NUMBERS_ARE_TEXTS and isinstance(value, float)):
        yield f"{variable} is {value!r}; expected {expected}"
    elif kind == "list" and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from wrong_kinds(f"{variable}[{index}]", {**option, "type": option.get("elements", "str")}, item)
    elif kind == "dict":
        for key, below in (option.get("options") or {}).items():
            if value.get(key) is not None:
                yield from wrong_kinds(f"{variable}.{key}", below, value[key])


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and "\0" not in str(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip().lstrip("-").isdecimal()


def _is_seconds(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value)) and float(value) > 0
    except (TypeError, ValueError):
        return False


def _is_absolute(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/")


def _is_subset(value: Any) -> bool:
    items = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(each, str) and each.strip("!") for each in items)


_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "str": (_is_text, "a text; put it in quotes"),
    "path": (lambda value: isinstance(value, str) and bool(value), "a path"),
    "int": (_is_whole, "a whole number"),
    "list": (lambda value: isinstance(value, str | list | tuple), "a list"),
    "dict": (lambda value: isinstance(value, Mapping), "a dictionary"),
}

#: What steers the run of one tier: whether a value is right, and what is expected.
RUN_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "tier_gather_subset": (_is_subset, "a list of subsets of facts, such as [all] or ['!hardware', '!facter']"),
    "tier_python_interpreter": (_is_absolute, "an absolute path in the image, such as /usr/bin/python3"),
    "tier_test_timeout": (_is_seconds, "seconds, more than 0"),
}


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
