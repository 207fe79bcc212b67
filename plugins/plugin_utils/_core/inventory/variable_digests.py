# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tier's variables and image settings as digests.

A tier's variables after Ansible's precedence, as far as they can decide its content.

Makes sure that an image's settings are those that were planned.

What a module answers comes out of a build container, and Ansible lets a fact in it override the inventory and the
defaults of roles (https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html, precedence 11). So
the plan records what the inventory says, before any container runs, and sealing compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ..build_key.parts import digest_bytes, digest_value
from ..chain.tier_variables import RUN_VARIABLES, TIER_SPEC
from ..errors import ChainError
from .secrets import Secrets, leaves
from .value_sources import MAGIC, PREFIXES

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
