# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes sure that an image's settings are those that were planned.

What a module answers comes out of a build container, and Ansible lets a fact in it override the inventory and the
defaults of roles (https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html, precedence 11). So
the plan records what the inventory says, before any container runs, and sealing compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..errors import ChainError
from ..keys.parts import digest_bytes
from .hidden import leaves

#: Variables that decide what an image is like and are read again when it is sealed.
SETTINGS = ("tier_config", "tier_protects")

_PREFIX = "tier_"
_WORD = re.compile(r"\w+")
_REMEDY = (
    "Only the inventory may set it, or the role in {role}: see docs/variables.md#where-settings-come-from. Give the "
    "value there, or give what the task sets another name"
)


def digest_settings(variables: Mapping[str, Any]) -> dict[str, str]:
    """Digest what the inventory says of an image's settings.

    Args:
        variables: The host's variables, templated on access.

    Returns:
        By variable; those that are not set are left out.
    """
    return {name: _digest(variables[name]) for name in SETTINGS if variables.get(name) is not None}


def check_settings(
    tier: str,
    planned: Mapping[str, str],
    said: Mapping[str, Any],
    now: Mapping[str, Any],
    of_role: Mapping[str, str],
) -> None:
    """Compare the settings of an image with those that were planned.

    Args:
        tier: The tier.
        planned: What :func:`digest_settings` gave when the run was planned.
        said: What the image is to get, by variable of :data:`SETTINGS`.
        now: The host's variables as they are now, untemplated.
        of_role: By the same names, the variable in which the role says it.

    Raises:
        ChainError: Something set a variable while the role was applied.
    """
    for name, value in said.items():
        unchanged = _digest(value) == planned[name] if name in planned else now.get(name) is None
        if not unchanged:
            found = "another value than" if name in planned else "a value, and had none"
            raise ChainError(
                f"tier {tier!r}: {name} has {found} when the run was planned: a task of the role set it (set_fact, "
                f"include_vars, register), or a module's answer did. {_REMEDY.format(role=of_role[name])}"
            )


def check_facts(
    tier: str,
    facts: Mapping[str, Any],
    settings: Collection[str] = (),
    *,
    now: Mapping[str, Any] | None = None,
    said: Iterable[str] = (),
) -> None:
    """Refuse facts that override what decides how a tier is built, or what its image is like.

    Args:
        tier: The tier.
        facts: ``ansible_facts`` of its host: what modules answered, in this run or, where facts are cached, before.
        settings: Further variables that decide: the role's own settings of the image.
        now: The host's variables, untemplated, in which templates of the settings are followed.
        said: Names of the variables that the inventory or the defaults of the role set.

    Raises:
        ChainError: One of them is there.
    """
    decide = {name for name in facts if name.startswith(_PREFIX)} | (facts.keys() & set(settings))
    decide |= facts.keys() & set(said) & _referred({*SETTINGS, *settings}, now or {})
    if decide:
        raise ChainError(
            f"tier {tier!r}: a module's answer set {', '.join(sorted(decide))} as a fact (ansible_facts), which would "
            "override what the inventory or the role says. Answers come out of the build container, so they never "
            "decide this: give the fact another name in the module that returns it. Where facts are cached from "
            "earlier runs, ansible-playbook --flush-cache forgets them"
        )


def _referred(names: Iterable[str], variables: Mapping[str, Any]) -> set[str]:
    """Name the variables that templates of ``names`` refer to, those that these refer to, and so on, with ``names``."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= (_words(variables.get(name)) & variables.keys()) - found
    return found


def _words(value: object) -> set[str]:
    templates = (leaf for leaf in leaves(value) if isinstance(leaf, str) and ("{{" in leaf or "{%" in leaf))
    return {word for template in templates for word in _WORD.findall(template)}


def _digest(value: Any) -> str:
    return digest_bytes(json.dumps(value, sort_keys=True, default=str).encode())
