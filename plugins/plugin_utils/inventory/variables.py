# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tier's variables after Ansible's precedence, as far as they can decide its content."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ..chain.spec import RUN_VARIABLES, TIER_SPEC
from ..errors import ChainError
from ..keys.values import digest_value
from .hidden import Secrets
from .sources import MAGIC, PREFIXES

#: Parts of the key by themselves, or no matter of the content.
_ELSEWHERE_IN_KEY = MAGIC | {
    "tier_after",
    "tier_before",
    "tier_epoch",
    "tier_inputs",
    "tier_inputs_pin",
    "tier_neighbours",
    "tier_parent",
    "tier_tag",
}

#: Of the variables that steer a run, those that decide what a role sees.
_SEEN_BY_ROLES = frozenset({"tier_gather_subset", "tier_python_interpreter"})

#: Variables that are no part of the key unless the role reads them.
LEFT_OUT = _ELSEWHERE_IN_KEY | (frozenset(RUN_VARIABLES) - _SEEN_BY_ROLES)


def digest_variables(
    variables: Mapping[str, Any], raw: Mapping[str, Any], hidden: Collection[str] = ()
) -> dict[str, str]:
    """Digest what the inventory says to the tier's role.

    Args:
        variables: The host's variables, templated on access.
        raw: The same, untemplated. A value that cannot be templated outside its role counts by its text.
        hidden: Names of variables that the role says must not be shown (``no_log``).

    Returns:
        ``variable/<name>`` to digest. What a vault protects or the role hides cannot be guessed from it.
    """
    secrets = secrets_of(raw, hidden)
    names = sorted(name for name in raw if matters(name))
    return {f"variable/{name}": digest_variable(name, variables, raw[name], secrets) for name in names}


def digest_play(variables: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
    """Digest what a playbook that imports ours says for all tiers (``vars``, ``vars_files`` and prompts of a play).

    Args:
        variables: The play's variables, untemplated.
        raw: A host's own, which go before these.

    Returns:
        ``variable/<name>`` to digest.

    Raises:
        ChainError: One of them describes a tier.
    """
    said = {name: value for name, value in variables.items() if name not in raw and matters(name)}
    for name in said:
        if name in TIER_SPEC:
            raise ChainError(
                f"{name} is set for a whole play; expected in the inventory, where the plan sees it: set it for a "
                "host, in group_vars/tiers.yml for all tiers, or with -e"
            )
    templar = Templar(DataLoader(), {**said, **raw})
    secrets, parts = secrets_of({**said, **raw}), {}
    for name, value in list(said.items()):
        with suppress(AnsibleError):
            said[name] = templar.template(value)
        parts[f"variable/{name}"] = digest_value(name, said[name], secret=secrets.hold(name, said[name]))
    return parts


def secrets_of(raw: Mapping[str, Any], hidden: Collection[str] = ()) -> Secrets:
    """Find the secrets among a host's variables."""
    return Secrets({name: value for name, value in raw.items() if name not in MAGIC}, hidden)


def matters(name: str) -> bool:
    """Say whether a variable counts even if no role reads it."""
    return not (name in LEFT_OUT or name.startswith(PREFIXES))


def digest_variable(name: str, variables: Mapping[str, Any], raw: Any, secrets: Secrets) -> str:
    """Digest one variable; where it cannot be templated outside of the role, by its text."""
    try:
        value = variables[name]
        return digest_value(name, value, secret=secrets.hold(name, value))
    except AnsibleError:
        return digest_value(name, str(raw), secret=True)
