# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tier's variables after Ansible's precedence, as far as they can decide its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultHelper

from ..chain.spec import RUN_VARIABLES
from ..keys.values import digest_value

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


def digest_variables(variables: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
    """Digest what the inventory says to the tier's role.

    Args:
        variables: The host's variables, templated on access.
        raw: The same, untemplated. A value that cannot be templated outside its role counts by its text.

    Returns:
        ``variable/<name>`` to digest. Values from a vault are digested so that they cannot be guessed.
    """
    names = sorted(name for name in raw if _matters(name))
    return {f"variable/{name}": _digest(name, variables, raw[name]) for name in names}


def _matters(name: str) -> bool:
    return not (name in _MAGIC or name in RUN_VARIABLES or name.startswith(("ansible_", "tier_tag", "tier_parent")))


def _digest(name: str, variables: Mapping[str, Any], raw: Any) -> str:
    try:
        value = variables[name]
        secret = any(_is_secret(leaf) for leaf in (*_leaves(value), *_leaves(raw)))
        return digest_value(name, value, secret=secret)
    except AnsibleError:
        return digest_value(name, str(raw), secret=True)


def _is_secret(value: object) -> bool:
    return VaultHelper.get_ciphertext(value, with_tags=False) is not None


def _leaves(value: object) -> Iterator[object]:
    match value:
        case Mapping():
            for each in value.values():
                yield from _leaves(each)
        case list() | tuple():
            for each in value:
                yield from _leaves(each)
        case _:
            yield value
