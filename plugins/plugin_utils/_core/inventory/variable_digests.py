# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests a tier's variables for its build key, and checks that nothing changes its image settings during a run.

The result of a module comes from a build container, and Ansible lets facts in it override the inventory and role
defaults (https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_variables.html, precedence 11). Therefore the
plan records the settings from the inventory before any container runs, and sealing compares them.
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

#: Variables that have key parts of their own, or that do not decide the content.
_OTHER_KEY_PARTS = MAGIC | {
    "tier_after",
    "tier_before",
    "tier_epoch",
    "tier_inputs",
    "tier_inputs_pin",
    "tier_neighbours",
    "tier_parent",
    "tier_tag",
}

#: Those variables of a run that decide what a role sees.
_SEEN_BY_ROLES = frozenset({"tier_gather_subset", "tier_python_interpreter"})

#: Variables that are not in the key unless the role reads them.
LEFT_OUT = _OTHER_KEY_PARTS | (frozenset(RUN_VARIABLES) - _SEEN_BY_ROLES)


def digest_variables(
    variables: Mapping[str, Any], raw: Mapping[str, Any], hidden: Collection[str] = ()
) -> dict[str, str]:
    """Digest the variables that the inventory sets for the tier's role.

    Args:
        variables: The host's variables, templated on access.
        raw: The same, untemplated. If a value cannot be templated outside its role, its text is digested.
        hidden: Names of variables that the role marks as secret (``no_log``).

    Returns:
        Digests by ``variable/<name>``. The value of a secret cannot be guessed from its digest.
    """
    secrets = secrets_of(raw, hidden)
    names = sorted(name for name in raw if matters(name))
    return {f"variable/{name}": digest_variable(name, variables, raw[name], secrets) for name in names}


def digest_play(variables: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
    """Digest the variables of a play that imports a playbook of Tierwright (``vars``, ``vars_files`` and prompts).

    Args:
        variables: The play's variables, untemplated.
        raw: The host's variables. They override those of the play.

    Returns:
        Digests by ``variable/<name>``.

    Raises:
        ChainError: One of the play's variables describes a tier.
    """
    values = {name: value for name, value in variables.items() if name not in raw and matters(name)}
    for name in values:
        if name in TIER_SPEC:
            raise ChainError(
                f"{name} is set for a whole play; expected in the inventory, where the plan sees it: set it for a "
                "host, in group_vars/tiers.yml for all tiers, or with -e"
            )
    templar = Templar(DataLoader(), {**values, **raw})
    secrets, parts = secrets_of({**values, **raw}), {}
    for name, value in list(values.items()):
        with suppress(AnsibleError):
            values[name] = templar.template(value)
        parts[f"variable/{name}"] = digest_value(name, values[name], secret=secrets.are_in(name, values[name]))
    return parts


def secrets_of(raw: Mapping[str, Any], hidden: Collection[str] = ()) -> Secrets:
    """Find the secrets among a host's variables."""
    return Secrets({name: value for name, value in raw.items() if name not in MAGIC}, hidden)


def matters(name: str) -> bool:
    """Check whether a variable is in the key even if no role reads it."""
    return not (name in LEFT_OUT or name.startswith(PREFIXES))


def digest_variable(name: str, variables: Mapping[str, Any], raw: Any, secrets: Secrets) -> str:
    """Digest one variable; if it cannot be templated outside the role, digest its text."""
    try:
        value = variables[name]
        return digest_value(name, value, secret=secrets.are_in(name, value))
    except AnsibleError:
        return digest_value(name, str(raw), secret=True)


#: Variables with settings of an image. They are read again when the image is sealed.
SETTINGS = ("tier_config", "tier_protects")

_PREFIX = "tier_"
_WORD = re.compile(r"\w+")
_REMEDY = (
    "Only the inventory may set it, or the role in {role}: see docs/variables.md#where-settings-come-from. Set the "
    "value there, or rename the variable that the task sets"
)


def digest_settings(variables: Mapping[str, Any]) -> dict[str, str]:
    """Digest the image settings that the inventory sets.

    Args:
        variables: The host's variables, templated on access.

    Returns:
        Digests by variable, without variables that are not set.
    """
    return {name: _digest(variables[name]) for name in SETTINGS if variables.get(name) is not None}


def check_settings(
    tier: str,
    planned: Mapping[str, str],
    settings: Mapping[str, Any],
    now: Mapping[str, Any],
    role_variables: Mapping[str, str],
) -> None:
    """Compare the settings of an image with those that were planned.

    Args:
        tier: The tier.
        planned: The result of :func:`digest_settings` when the run was planned.
        settings: The settings that the image will get, by variable of :data:`SETTINGS`.
        now: The current variables of the host, untemplated.
        role_variables: By the same names, the variable in which the role sets the same.

    Raises:
        ChainError: Something set a variable while the role was applied.
    """
    for name, value in settings.items():
        unchanged = _digest(value) == planned[name] if name in planned else now.get(name) is None
        if not unchanged:
            problem = "changed since the run was planned" if name in planned else "was not set when the run was planned"
            raise ChainError(
                f"tier {tier!r}: {name} {problem}: a task of the role set it (set_fact, include_vars, register), or "
                f"the result of a module did. {_REMEDY.format(role=role_variables[name])}"
            )


def check_facts(
    tier: str,
    facts: Mapping[str, Any],
    settings: Collection[str] = (),
    *,
    now: Mapping[str, Any] | None = None,
    configured: Iterable[str] = (),
) -> None:
    """Reject facts that override how a tier is built, or the settings of its image.

    Args:
        tier: The tier.
        facts: ``ansible_facts`` of its host: results of modules in this run, or in earlier runs if facts are cached.
        settings: More variables that facts must not override: those in which the role sets its image's settings.
        now: The host's variables, untemplated. Templates of the settings are followed through them.
        configured: Names of the variables that the inventory or the defaults of the role set.

    Raises:
        ChainError: There is such a fact.
    """
    overriding = {name for name in facts if name.startswith(_PREFIX)} | (facts.keys() & set(settings))
    overriding |= facts.keys() & set(configured) & _with_references({*SETTINGS, *settings}, now or {})
    if overriding:
        raise ChainError(
            f"tier {tier!r}: the result of a module set {', '.join(sorted(overriding))} as a fact (ansible_facts), "
            "which would override the inventory or the role. Results come from the build container, so they must not "
            "decide this: rename the fact in the module that returns it. If the fact is cached from an earlier run, "
            "ansible-playbook --flush-cache removes it"
        )


def _with_references(names: Iterable[str], variables: Mapping[str, Any]) -> set[str]:
    """Return ``names`` and all variables to which their templates refer, directly or through other variables."""
    result: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        result.add(name)
        waiting |= (_referenced_words(variables.get(name)) & variables.keys()) - result
    return result


def _referenced_words(value: object) -> set[str]:
    templates = (leaf for leaf in leaves(value) if isinstance(leaf, str) and ("{{" in leaf or "{%" in leaf))
    return {word for template in templates for word in _WORD.findall(template)}


def _digest(value: Any) -> str:
    return digest_bytes(json.dumps(value, sort_keys=True, default=str).encode())
