"""Server-side apply in a few lines: field sets in the form ``FieldsV1``, and merging by owner.

It follows https://kubernetes.io/docs/reference/using-api/server-side-apply/ for the kinds that we render. The real
server reads from its schemas which lists are maps with keys, and which objects are atomic; here it is a table.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

#: The elements of a path: ``f:name``, ``k:{"name":"web"}``, or ``.`` for the object or item itself.
Path = tuple[str, ...]

_KEYS = dict.fromkeys(("containers", "env", "initContainers", "volumes"), ("name",)) | {"volumeMounts": ("mountPath",)}
_ATOMIC = {"labelSelector", "podSelector", "selector"}
_NOT_OWNED = {("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}


def keys_of(name: str, items: list[Any]) -> tuple[str, ...]:
    """The fields that identify an item of a list; empty if the list is atomic."""
    if name == "ports" and all(isinstance(item, dict) and "containerPort" in item for item in items):
        return ("containerPort", "protocol")
    if name == "ports" and all(isinstance(item, dict) and "targetPort" in item for item in items):
        return ("port", "protocol")
    return _KEYS.get(name, ())


def item_key(item: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The name of an item: the protocol of a port has a default value."""
    found = {key: item.get(key, "TCP") if key == "protocol" else item[key] for key in keys}
    return "k:" + json.dumps(found, separators=(",", ":"))


def field_set(manifest: dict[str, Any]) -> set[Path]:
    """The fields of a manifest."""
    return {path for path in _fields(manifest, (), "") if path not in _NOT_OWNED}


def _fields(value: Any, path: Path, name: str) -> Iterator[Path]:
    if isinstance(value, dict) and value and name not in _ATOMIC:
        for key, inner in value.items():
            yield from _fields(inner, (*path, f"f:{key}"), key)
    elif isinstance(value, list) and value and (keys := keys_of(name, value)):
        for item in value:
            here = (*path, item_key(item, keys))
            yield (*here, ".")
            yield from _fields(item, here, "")
    else:
        yield path


def as_fields_v1(paths: set[Path]) -> dict[str, Any]:
    """The form in ``managedFields``."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    return tree


def from_fields_v1(tree: dict[str, Any]) -> set[Path]:
    """The fields of ``managedFields``."""
    return set(_leaves(tree, ()))


def _leaves(tree: dict[str, Any], path: Path) -> Iterator[Path]:
    if not tree:
        yield path
    for element, inner in tree.items():
        yield from _leaves(inner, (*path, element))


def value_at(value: Any, path: Path) -> Any:
    """The value of a field; ``None`` if there is none."""
    for element in path:
        if element == ".":
            return value
        if element.startswith("f:"):
            value = value.get(element[2:]) if isinstance(value, dict) else None
        else:
            value = next((item for item in value or () if _has_key(item, element)), None)
    return value


def _has_key(item: Any, element: str) -> bool:
    return all(item.get(key) == wanted for key, wanted in json.loads(element[2:]).items())


def merge(live: Any, manifest: Any, name: str = "") -> Any:
    """Put the fields of a manifest into an object."""
    if isinstance(live, dict) and isinstance(manifest, dict) and name not in _ATOMIC:
        return {**live, **{key: merge(live.get(key), value, key) for key, value in manifest.items()}}
    if isinstance(live, list) and isinstance(manifest, list) and (keys := keys_of(name, manifest)):
        old = {item_key(item, keys): item for item in live}
        new = {item_key(item, keys): item for item in manifest}
        return [merge(old.get(key), new.get(key, old.get(key))) for key in [*new, *(set(old) - set(new))]]
    return copy.deepcopy(manifest)


def remove(live: Any, path: Path) -> None:
    """Remove a field, or an item of a list."""
    *above, last = path[:-1] if path[-1] == "." else path
    holder = value_at(live, tuple(above))
    if isinstance(holder, dict):
        holder.pop(last[2:], None)
    elif isinstance(holder, list):
        holder[:] = [item for item in holder if not _has_key(item, last)]
