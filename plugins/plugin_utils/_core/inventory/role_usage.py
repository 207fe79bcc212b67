# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests what a role was found to use, as it is now."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..build_key import parts
from ..build_key.file_digests import MISSING, Projects, digest_elsewhere
from ..build_key.parts import ELSEWHERE, FETCHED, HOSTVARS, MAGIC, NOT_LOOKED_AT, UNSEEN, digest_value, part
from .secrets import Secrets
from .surroundings import digest_collection, digest_setting, setting
from .template_usage import ALL
from .value_sources import PATHS
from .variable_digests import digest_variable, matters, secrets_of

#: What the variable ``ansible_managed`` is where nobody sets it.
_MANAGED, _MANAGED_SETTING = "ansible_managed", "DEFAULT_MANAGED_STR"
#: What a run found out about a host; empty before it.
_FACTS = "ansible_facts"
#: Caches of Ansible's variable manager that hold what a run found out: facts, and what tasks set.
_CACHES = ("_nonpersistent_fact_cache", "_vars_cache", "_fact_cache")


class _Forgotten(dict[str, Any]):
    """A cache without anything: as a dictionary, and as a cache plugin, which raises ``KeyError``."""

    def get(self, name: str, *default: Any) -> Any:
        return default[0] if default else self[name]


class Present:
    """What can be asked now: hosts' variables without what a run found out, the environment, files, settings."""

    def __init__(self, hostvars: Any, projects: Projects) -> None:
        """Take Ansible's ``hostvars``, and the folders that names of files are relative to."""
        self._hostvars, self._projects = hostvars, projects
        self._hosts: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], Secrets]] = {}

    def digest(self, tier: str, names: Iterable[str]) -> dict[str, str]:
        """Digest what ``names``, parts of ``tier``'s key, mean now."""
        return {name: self._digest(tier, *name.split("/", 1)) for name in names}

    def settle(self, tier: str, used: Iterable[tuple[str, str]], *, declared: bool) -> dict[str, str]:
        """Make parts of a key out of what a role used.

        Facts, and what tasks set, follow from the role and its parent; other hosts' are not known before they run.

        Args:
            tier: The tier.
            used: Kind and name of each.
            declared: Whether the tier says what it takes from outside (``tier_inputs``).
        """
        parts: dict[str, str] = {}
        for kind, name in used:
            if kind == FETCHED:
                if not declared:
                    parts[part(UNSEEN, f"what {name} fetches (tier_inputs declares it)")] = NOT_LOOKED_AT
                continue
            host, _, variable = name.partition("/") if kind == HOSTVARS else (tier, "", name)
            if kind in {HOSTVARS, MAGIC} and variable not in {ALL, _MANAGED} and not self._has(host, variable):
                if kind == HOSTVARS:
                    parts[part(UNSEEN, f"what host {host} found out ({variable})")] = NOT_LOOKED_AT
                continue
            parts[part(kind, name)] = self._digest(tier, kind, name)
        return parts

    def _has(self, host: str, name: str) -> bool:
        return name != _FACTS and name in self._of(host)[1]

    def _digest(self, tier: str, kind: str, name: str) -> str:
        ask: Mapping[str, Callable[[], str]] = {
            parts.COLLECTION: lambda: digest_collection(name),
            ELSEWHERE: lambda: digest_elsewhere([name], self._projects)[part(ELSEWHERE, name)],
            parts.ENVIRONMENT: lambda: _digest_environment(name),
            HOSTVARS: lambda: self._variable(*name.split("/", 1)),
            MAGIC: lambda: self._variable(tier, name),
            parts.SETTING: lambda: digest_setting(name),
        }
        return ask[kind]() if kind in ask else NOT_LOOKED_AT

    def _variable(self, host: str, name: str) -> str:
        view, raw, secrets = self._of(host)
        if name == ALL:
            return digest_value(name, sorted(each for each in raw if matters(each)), secret=False)
        if name not in raw:
            return digest_value(name, str(setting(_MANAGED_SETTING)), secret=False) if name == _MANAGED else MISSING
        if name in PATHS:
            return digest_value(name, self._place(Path(str(view[name]))), secret=False)
        return digest_variable(name, view, raw[name], secrets)

    def _place(self, path: Path) -> str:
        """Name of a path that another clone gives as well."""
        return "." if path.resolve() in self._projects.folders else self._projects.name(path)

    def _of(self, host: str) -> tuple[Mapping[str, Any], Mapping[str, Any], Secrets]:
        if host not in self._hosts:
            with _without_findings(self._hostvars):
                raw = self._hostvars.raw_get(host)
                known = isinstance(raw, Mapping)  # else there is no such host any more
                self._hosts[host] = (self._hostvars[host], raw, secrets_of(raw)) if known else ({}, {}, Secrets({}, ()))
        return self._hosts[host]


def _digest_environment(name: str) -> str:
    value = os.environ.get(name)
    return MISSING if value is None else digest_value(name, value, secret=True)


@contextmanager
def _without_findings(hostvars: Any) -> Iterator[None]:
    """Let Ansible's variable manager forget for a while what the run found out."""
    manager = getattr(hostvars, "_variable_manager", None)
    kept = {name: getattr(manager, name) for name in _CACHES if hasattr(manager, name)}
    try:
        for name in kept:
            setattr(manager, name, _Forgotten())
        yield
    finally:
        for name, value in kept.items():
            setattr(manager, name, value)
