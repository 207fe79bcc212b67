# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the packages of an image that a scanner's finding is about, and the part of the image that they come from."""

from __future__ import annotations

import msgspec

from ..layer_index.merged_files import ChangeKind, FileSystem
from ..text import printable
from ..transports.image import Stack
from .components import Component, ImageComponents, Owner, Part
from .scanned_finding import ScannedFinding, ScannedPackage


class FoundPackages(msgspec.Struct, frozen=True):
    """A package, or the files of one part, that a finding is about."""

    part: Part
    #: ``libssl3:amd64``, or paths of files: ``/usr/lib/python3/dist-packages/…``.
    names: tuple[str, ...]
    #: Version of the package in the image; ``None`` for files.
    version: str | None


class PackageFinder:
    """Finds packages of one image."""

    def __init__(self, stack: Stack, image: ImageComponents) -> None:
        self._stack = stack
        self._files: FileSystem | None = None
        self._by_owner = {part.owner: part for part in image.parts}
        self._by_layer = {layer: part for part in image.parts for layer in part.layers}
        self._by_name: dict[str, list[Component]] = {}
        self._by_source: dict[str, list[Component]] = {}
        for component in image.installed:
            self._by_name.setdefault(component.package.name.lower(), []).append(component)
            self._by_source.setdefault(component.package.source.lower(), []).append(component)
        #: What layers changed or removed, the newest first.
        self._earlier: dict[str, list[Component]] = {}
        for part in reversed(image.parts):
            for component in (*part.removed, *part.components):
                self._earlier.setdefault(component.package.name.lower(), []).append(component)

    def find(self, finding: ScannedFinding) -> list[FoundPackages]:
        """Find what a finding is about. Empty if the image does not have it; :meth:`explain` says why."""
        package = finding.package
        if package.is_system and package.name:
            found = self._system_packages(package)
            if found or package.kind:
                return found
        return self._by_path(finding) or self._by_layer_alone(finding)

    def explain(self, finding: ScannedFinding) -> str:
        """Say why :meth:`find` found nothing."""
        package = finding.package
        if not package.name:
            return "the report does not name a package"
        if package.is_system and (sentence := self._explain_system(package)):
            return sentence
        if finding.paths:
            return printable(f"the image has no /{finding.paths[0]}")
        return f"the image has no layer {finding.layer}" if finding.layer else "the image has no such package"

    def _explain_system(self, package: ScannedPackage) -> str:
        for component in self._earlier.get(package.name.lower(), ()):
            if sentence := _earlier_change(component, package):
                return sentence
        if others := self._by_name.get(package.name.lower()):
            versions = ", ".join(dict.fromkeys(each.package.version for each in others))
            return f"the image has version {versions}"
        return "the image has no such package" if package.kind else ""

    def _system_packages(self, package: ScannedPackage) -> list[FoundPackages]:
        name = package.name.lower()
        named = [
            each
            for each in self._by_name.get(name, ())
            if _same_version(package.version, each.package.version)
            and package.architecture in {"", each.package.architecture}
        ]
        # Some scanners report a source package, with its own version.
        of_source = [
            each
            for each in self._by_source.get(name, ())
            if package.architecture in {"", "source"} and _same_version(package.version, each.package.source_version)
        ]
        return [
            FoundPackages(self._by_owner[each.owner], (each.package.key,), each.package.version)
            for each in named or of_source
        ]

    def _by_path(self, finding: ScannedFinding) -> list[FoundPackages]:
        groups: dict[Owner, list[str]] = {}
        for path in finding.paths:
            files = self._merged()
            owned = files.find(files.resolved(path))
            if owned is not None:
                part = self._by_layer[self._stack.layers[owned.layer].digest]
                groups.setdefault(part.owner, []).append(printable(f"/{owned.entry.path}"))
        return [
            FoundPackages(self._by_owner[owner], tuple(dict.fromkeys(names)), None) for owner, names in groups.items()
        ]

    def _by_layer_alone(self, finding: ScannedFinding) -> list[FoundPackages]:
        """A layer is enough if the report names no file. Otherwise, a file that is gone would count as present."""
        part = None if finding.paths else self._by_layer.get(finding.layer)
        return [FoundPackages(part, (finding.package.name,), None)] if part else []

    def _merged(self) -> FileSystem:
        if self._files is None:
            self._files = self._stack.file_system()
        return self._files


def _earlier_change(component: Component, package: ScannedPackage) -> str:
    """Say what a part did to this version of a package; empty if nothing."""
    installed, owner = component.package, component.owner
    if package.architecture not in {"", installed.architecture}:
        return ""
    if component.change is ChangeKind.REMOVED and _same_version(package.version, installed.version):
        return f"{owner.called} removed it"
    if component.before and _same_version(package.version, component.before):
        return f"{owner.called} replaced it by version {installed.version}"
    return ""


def _same_version(reported: str, installed: str) -> bool:
    """Compare versions. A report may leave out the version, or the epoch."""
    return reported in {"", installed, installed.partition(":")[2]}
