# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks the types of a tier's variables, and rejects unknown variables that begin with ``tier_``.

Types are checked before Ansible's validator runs. The validator converts nearly any value to a string: a list becomes
``"['web']"``, and ``true`` becomes ``"True"``. Its messages would then show a value that is not in the inventory.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ..chain.tier_variables import OWN_VARIABLES, RUN_VARIABLES, TIER_SPEC
from ..errors import ChainError

#: Variables whose value may be a number with a decimal point. For others, such as a tag, YAML reads 1.10 as 1.1.
_NUMBERS_AS_TEXT = frozenset({"tier_epoch", "tier_inputs_pin"})


def check_type(variable: str, option: Mapping[str, Any], value: Any) -> Iterator[str]:
    """Check whether a value, and each value in it, has the specified type.

    Args:
        variable: Name of the variable, for messages.
        option: Its option in Ansible's argument specification.
        value: The value.

    Yields:
        A line for each wrong value.
    """
    type_name = option["type"]
    is_valid, expected = _TYPES[type_name]
    if not is_valid(value) and not (variable in _NUMBERS_AS_TEXT and isinstance(value, float)):
        shown = f"a value of the type {type(value).__name__}" if option.get("no_log") else repr(value)
        yield f"{variable} is {shown}; expected {expected}"
    elif type_name == "list" and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from check_type(f"{variable}[{index}]", {**option, "type": option.get("elements", "str")}, item)
    elif type_name == "dict":
        for key, suboption in (option.get("options") or {}).items():
            if value.get(key) is not None:
                yield from check_type(f"{variable}.{key}", suboption, value[key])


def _is_string(value: Any) -> bool:
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
    return all(isinstance(item, str) and item.strip("!") for item in items)


_TYPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "str": (_is_string, "a string; put it in quotes"),
    "path": (lambda value: isinstance(value, str) and bool(value), "a path"),
    "int": (_is_whole, "a whole number"),
    "list": (lambda value: isinstance(value, str | list | tuple), "a list"),
    "dict": (lambda value: isinstance(value, Mapping), "a dictionary"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
}

#: Checks of the variables that control the run of one tier: whether a value is valid, and what is expected.
RUN_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "tier_gather_subset": (_is_subset, "a list of subsets of facts, such as [all] or ['!hardware', '!facter']"),
    "tier_python_interpreter": (_is_absolute, "an absolute path in the image, such as /usr/bin/python3"),
    "tier_test_timeout": (_is_seconds, "a number of seconds above 0"),
}


_PREFIX = "tier_"

#: Variables that the playbooks set for a tier.
_SET_BY_PLAYBOOKS = frozenset({"tier_build", "tier_container"})

KNOWN = frozenset({*TIER_SPEC, *RUN_VARIABLES})


def check_names(tier: str, variables: Mapping[str, Any]) -> None:
    """Reject unknown variables of a tier that begin with ``tier_``: they are probably misspelt.

    Two kinds of such variables are valid: those that begin with the name of the tier's role, if that begins with
    ``tier_``, and those that ``tier_own_variables`` lists.

    Args:
        tier: The tier.
        variables: Its variables.

    Raises:
        ChainError: With a line for each unknown variable, which suggests the most similar known one.
    """
    own_names = _read_own_names(tier, variables.get(OWN_VARIABLES))
    roles = variables.get("tier_roles") or [variables.get("tier_role") or tier.replace("-", "_")]
    roles = roles if isinstance(roles, list) else [roles]
    prefixes = tuple(prefix for role in roles if (prefix := f"{str(role).rpartition('.')[2]}_").startswith(_PREFIX))
    names = {name for name in variables if name.startswith(_PREFIX) and name not in own_names}
    names = {name for name in names if not name.startswith(prefixes)}
    problems = list(_check_unknown(tier, sorted(names)))
    if problems:
        raise ChainError("\n".join(problems))


def _check_unknown(tier: str, names: Collection[str]) -> Iterator[str]:
    for name in names:
        if name in KNOWN or name in _SET_BY_PLAYBOOKS:
            continue
        similar = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.6)
        suggestion = f"did you mean {similar[0]}? If not, " if similar else ""
        yield (
            f"tier {tier!r}: {name} is set, but Tierwright has no such variable; {suggestion}"
            f"rename it, or list it in {OWN_VARIABLES} if it is your own"
        )


def _read_own_names(tier: str, value: Any) -> Collection[str]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Collection) or not all(isinstance(name, str) for name in value):
        raise ChainError(f"tier {tier!r}: {OWN_VARIABLES} is {value!r}; expected a list of names: [tier_colour]")
    return frozenset(value)
