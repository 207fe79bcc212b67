# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares two images, and groups the differences by the tier that causes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..layer_index.entries import FileState, differences, state
from ..layer_index.merged_files import ChangeKind
from ..transports.image import LayerInfo, PackageChange, Stack, package_changes
from ..transports.image_document import Document


class FileChange(msgspec.Struct, frozen=True):
    """A path that differs."""

    path: str
    #: ``added``, ``changed`` or ``removed``.
    change: str
    #: What differs: ``type``, ``content``, ``target``, ``mode``, ``owner``.
    what: list[str]
    #: ``null`` where the first or the second image has no such path.
    before: FileState | None
    after: FileState | None


class TierDiff(msgspec.Struct, frozen=True):
    """The differences that one tier causes; in images without tiers, the differences that one command causes."""

    #: Name for output: the tier, otherwise the number of the layer with the command that made it.
    called: str
    tier: str | None
    team: str | None
    packages: list[PackageChange] = msgspec.field(default_factory=list)
    files: list[FileChange] = msgspec.field(default_factory=list)


class SettingChange(msgspec.Struct, frozen=True):
    """A setting that differs."""

    name: str
    #: The values as JSON; ``null`` if the image does not set it.
    before: Any
    after: Any


class Side(msgspec.Struct, frozen=True):
    """One of the two images."""

    id: str
    names: list[str]


class Diff(msgspec.Struct, frozen=True):
    """The answer to ``tierwright diff``."""

    before: Side
    after: Side
    #: Only tiers with a difference: first those of the second image, the lowest first; then those only in the first.
    tiers: list[TierDiff]
    #: ``Entrypoint``, ``User`` … and ``Platform``.
    config: list[SettingChange]
    environment: list[SettingChange]
    labels: list[SettingChange]
    #: One sentence for each package database that could not be read.
    unread: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether the two images do not differ."""
        return not (self.tiers or self.config or self.environment or self.labels)


def compare(before: Stack, after: Stack) -> Diff:
    """Compare two images."""
    groups = _Groups(before, after)
    old, new = _MergedImage(before), _MergedImage(after)
    for change in _files(old, new):
        groups.of(new.owner.get(change.path) or old.owner[change.path]).files.append(change)
    for package in package_changes(old.packages, new.packages):
        key = f"{package.name}:{package.architecture}"
        groups.of(new.package_owner.get(key) or old.package_owner[key]).packages.append(package)
    return Diff(
        before=_side(before),
        after=_side(after),
        tiers=[group for group in groups.all() if group.files or group.packages],
        config=_settings(_config(before.document), _config(after.document)),
        environment=_settings(_environment(before.document), _environment(after.document)),
        labels=_settings(before.document.labels, after.document.labels),
        unread=sorted({sentence for stack in (before, after) for index in stack.indexes for sentence in index.unread}),
    )


class _MergedImage:
    """The files and packages of an image, and the layer that last changed or removed each of them."""

    def __init__(self, stack: Stack) -> None:
        self.owner: dict[str, LayerInfo] = {}
        self.packages: dict[str, str] = {}
        self.package_owner: dict[str, LayerInfo] = {}
        for layer, _index, changes, so_far in stack.merge_layers():
            self.owner |= {change.path: layer for change in changes if change.kind != ChangeKind.REPEATED}
            packages = so_far.packages
            for change in package_changes(self.packages, packages):
                self.package_owner[f"{change.name}:{change.architecture}"] = layer
            self.packages = packages
        self.files = {owned.entry.path: owned for owned in stack.file_system().files()}


class _Groups:
    """The differences by tier, in the order of :attr:`Diff.tiers`."""

    def __init__(self, before: Stack, after: Stack) -> None:
        self._groups = {
            _key(layer): TierDiff(layer.called, layer.tier, layer.team) for layer in (*after.layers, *before.layers)
        }

    def of(self, layer: LayerInfo) -> TierDiff:
        return self._groups[_key(layer)]

    def all(self) -> list[TierDiff]:
        return list(self._groups.values())


def _key(layer: LayerInfo) -> str:
    return layer.tier or layer.created_by or layer.digest


def _files(old: _MergedImage, new: _MergedImage) -> Iterator[FileChange]:
    for path in sorted(old.files.keys() | new.files.keys()):
        before, after = old.files.get(path), new.files.get(path)
        if before and after:
            if not before.entry.same_as(after.entry):
                what = differences(before.entry, after.entry)
                yield FileChange(path, ChangeKind.CHANGED, what, state(before.entry), state(after.entry))
        elif after:
            yield FileChange(path, ChangeKind.ADDED, [], None, state(after.entry))
        elif before:
            yield FileChange(path, ChangeKind.REMOVED, [], state(before.entry), None)


def _side(stack: Stack) -> Side:
    return Side(stack.document.id, list(stack.document.names))


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[SettingChange]:
    names = sorted(before.keys() | after.keys())
    changes = (SettingChange(name, before.get(name), after.get(name)) for name in names)
    return [change for change in changes if change.before != change.after]


def _config(document: Document) -> dict[str, Any]:
    plain = {key: value for key, value in document.config.items() if key not in {"Env", "Labels"} and value}
    return {**plain, "Platform": document.platform}


def _environment(document: Document) -> dict[str, str]:
    return dict(str(variable).partition("=")[::2] for variable in document.config.get("Env") or ())
