# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out from an object in a cluster what we applied there last.

A cluster keeps, for each manager, the set of fields that it applied (``managedFields``, in the form ``FieldsV1``:
https://kubernetes.io/docs/reference/using-api/server-side-apply/). Our fields with their current values are therefore a
manifest that can be applied again. Everything else in the object has a default value, or belongs to others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .cluster import MANAGER
from .kubernetes import KubeObject

#: Fields that every manifest has, and that no manager owns.
_NAMES = ("name", "namespace")


def applied_manifest(live: KubeObject) -> KubeObject | None:
    """Return the manifest that we applied last, with the values that its fields have now.

    Args:
        live: An object, as the cluster returns it.

    Returns:
        The manifest; ``None`` if we have not applied this object.
    """
    entries = (live.get("metadata") or {}).get("managedFields") or []
    ours = [
        each
        for each in entries
        if (each.get("manager"), each.get("operation")) == (MANAGER, "Apply") and not each.get("subresource")
    ]
    if not ours:
        return None
    manifest: KubeObject = _extract(live, ours[0].get("fieldsV1") or {})
    metadata = {name: live["metadata"][name] for name in _NAMES if name in live["metadata"]}
    return {
        **manifest,
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {**manifest.get("metadata", {}), **metadata},
    }


def _extract(value: Any, fields: Mapping[str, Any]) -> Any:
    """Return the part of a value that a set of fields names. A field without fields of its own is taken as a whole."""
    if not fields:
        return value
    if isinstance(value, dict):
        return {
            name.removeprefix("f:"): _extract(value[name.removeprefix("f:")], inner)
            for name, inner in fields.items()
            if name.startswith("f:") and name.removeprefix("f:") in value
        }
    if isinstance(value, list):
        return [_extract(item, inner) for item in value for name, inner in fields.items() if _is_named(item, name)]
    return value


def _is_named(item: Any, name: str) -> bool:
    """Say whether an item of a list has a name of a field set: ``k:`` with its keys, or ``v:`` with its value."""
    kind, _, text = name.partition(":")
    if kind == "k" and isinstance(item, dict):
        keys = json.loads(text)
        return all(item.get(key) == wanted for key, wanted in keys.items())
    return kind == "v" and bool(item == json.loads(text))
