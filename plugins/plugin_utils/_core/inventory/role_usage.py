# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests the current state of the files, variables and other sources that a role uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..build_key import parts
from ..build_key.file_digests import MISSING, Projects, digest_elsewhere
from ..build_key.parts import ELSEWHERE, FETCHED, HOSTVARS, MAGIC, NOT_LOOKED_AT, UNSEEN, digest_value, part
from ..chain.tier_variables import SIGNING_VARIABLES
from ..errors import SealError
from .ansible_settings import digest_collection, digest_setting, setting
from .secrets import Secrets
from .template_usage import ALL
from .value_sources import PATHS
from .variable_digests import digest_variable, matters, secrets_of

#: The setting that is the default of the variable ``ansible_managed``.
_MANAGED, _MANAGED_SETTING = "ansible_managed", "DEFAULT_MANAGED_STR"
#: The variable with the facts of a host; it is empty before a run.
_FACTS = "ansible_facts"
#: Caches of Ansible's variable manager for the results of a run: facts, and variables that tasks set.
_CACHES = ("_nonpersistent_fact_cache", "_vars_cache", "_fact_cache")


class _EmptyCache(dict[str, Any]):
    """An empty cache. It works as a dictionary, and as a cache plugin, which raises ``KeyError``."""

    def get(self, name: str, *default: Any) -> Any:
        return default[0] if default else self[name]


class CurrentValues:
    """The current values of all sources: variables without results of a run, the environment, files, settings."""

    def __init__(self, hostvars: Any, projects: Projects) -> None:
        """Take Ansible's ``hostvars``, and the folders to which names of files are relative."""
        self._hostvars, self._projects = hostvars, projects
        self._hosts: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], Secrets]] = {}

    def digest(self, tier: str, names: Iterable[str]) -> dict[str, str]:
        """Digest the current values of some parts of a tier's key.

        Args:
            tier: The tier.
            names: Names of key parts, such as ``environment/HTTP_PROXY``.
        """
        return {name: self._digest(tier, *name.split("/", 1)) for name in names}

    def key_parts(self, tier: str, used: Iterable[tuple[str, str]], *, declared: bool) -> dict[str, str]:
        """Digest the sources that a role used, as parts of its tier's key.

        Facts and variables set by tasks get no part: they follow from the role and the parent. Those of other hosts are
        not known before these hosts run, so they are parts that are not looked at.

        Args:
            tier: The tier.
            used: Kind and name of each source.
            declared: Whether the tier declares its outside inputs (``tier_inputs``).

        Raises:
            SealError: The role read who signs for a team.
        """
        parts: dict[str, str] = {}
        for kind, name in used:
            if kind == FETCHED:
                if not declared:
                    parts[part(UNSEEN, f"what {name} fetches (tier_inputs declares it)")] = NOT_LOOKED_AT
                continue
            host, _, variable = name.partition("/") if kind == HOSTVARS else (tier, "", name)
            if kind in {HOSTVARS, MAGIC} and variable in SIGNING_VARIABLES and self._is_set(host, variable):
                raise SealError(
                    f"tier {tier!r}: its role read {variable} of {host}, which opens a private key, so no layer is "
                    "made; remove it from the role's templates, and from the variables that they print"
                )
            if kind in {HOSTVARS, MAGIC} and variable not in {ALL, _MANAGED} and not self._is_set(host, variable):
                if kind == HOSTVARS:
                    parts[part(UNSEEN, f"what tasks on host {host} set ({variable})")] = NOT_LOOKED_AT
                continue
            parts[part(kind, name)] = self._digest(tier, kind, name)
        return parts

    def _is_set(self, host: str, name: str) -> bool:
        return name != _FACTS and name in self._host(host)[1]

    def _digest(self, tier: str, kind: str, name: str) -> str:
        digests: Mapping[str, Callable[[], str]] = {
            parts.COLLECTION: lambda: digest_collection(name),
            ELSEWHERE: lambda: digest_elsewhere([name], self._projects)[part(ELSEWHERE, name)],
            parts.ENVIRONMENT: lambda: _digest_environment(name),
            HOSTVARS: lambda: self._variable(*name.split("/", 1)),
            MAGIC: lambda: self._variable(tier, name),
            parts.SETTING: lambda: digest_setting(name),
        }
        return digests[kind]() if kind in digests else NOT_LOOKED_AT

    def _variable(self, host: str, name: str) -> str:
        view, raw, secrets = self._host(host)
        if name == ALL:
            return digest_value(name, sorted(key for key in raw if matters(key)), secret=False)
        if name not in raw:
            return digest_value(name, str(setting(_MANAGED_SETTING)), secret=False) if name == _MANAGED else MISSING
        if name in PATHS:
            return digest_value(name, self._portable_name(Path(str(view[name]))), secret=False)
        return digest_variable(name, view, raw[name], secrets)

    def _portable_name(self, path: Path) -> str:
        """A name of a path that is the same in every clone of the project."""
        return "." if path.resolve() in self._projects.folders else self._projects.name(path)

    def _host(self, host: str) -> tuple[Mapping[str, Any], Mapping[str, Any], Secrets]:
        if host not in self._hosts:
            with run_results_ignored(self._hostvars):
                raw = self._hostvars.raw_get(host)
                exists = isinstance(raw, Mapping)  # else the inventory has no such host any more
                self._hosts[host] = (
                    (self._hostvars[host], raw, secrets_of(raw)) if exists else ({}, {}, Secrets({}, ()))
                )
        return self._hosts[host]


def _digest_environment(name: str) -> str:
    value = os.environ.get(name)
    return MISSING if value is None else digest_value(name, value, secret=True)


@contextmanager
def run_results_ignored(hostvars: Any) -> Iterator[None]:
    """Replace the caches of Ansible's variable manager by empty ones for a while."""
    manager = getattr(hostvars, "_variable_manager", None)
    caches = {name: getattr(manager, name) for name in _CACHES if hasattr(manager, name)}
    try:
        for name in caches:
            setattr(manager, name, _EmptyCache())
        yield
    finally:
        for name, cache in caches.items():
            setattr(manager, name, cache)
