# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tier's variables after Ansible's precedence, as far as they can decide its content."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible.errors import AnsibleError

from ..chain.spec import RUN_VARIABLES
from ..keys.values import digest_value
from .hidden import Secrets

#: What only says how Ansible connects, and what Molecule puts into its inventories.
_PREFIXES = ("ansible_", "molecule_")

#: Set by Ansible itself; anything that begins with ``ansible_`` is, too, or says how to connect.
_MAGIC = frozenset(
    {
        "environment",
        "group_names",
        "groups",
        "hostvars",
        "inventory_dir",
        "inventory_file",
        "inventory_hostname",
        "inventory_hostname_short",
        "omit",
        "play_hosts",
        "playbook_dir",
        "role_names",
        "vars",
    }
)

#: Parts of the key by themselves, or no matter of the content.
_ELSEWHERE_IN_KEY = _MAGIC | {
    "tier_after",
    "tier_before",
    "tier_epoch",
    "tier_inputs",
    "tier_inputs_pin",
    "tier_neighbours",
    "tier_parent",
    "tier_tag",
}


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
    secrets = Secrets({name: value for name, value in raw.items() if name not in _MAGIC}, hidden)
    names = sorted(name for name in raw if _matters(name))
    return {f"variable/{name}": _digest(name, variables, raw[name], secrets) for name in names}


def _matters(name: str) -> bool:
    return not (name in _ELSEWHERE_IN_KEY or name in RUN_VARIABLES or name.startswith(_PREFIXES))


def _digest(name: str, variables: Mapping[str, Any], raw: Any, secrets: Secrets) -> str:
    try:
        value = variables[name]
        return digest_value(name, value, secret=secrets.hold(name, value))
    except AnsibleError:
        return digest_value(name, str(raw), secret=True)
