# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Enables, disables and masks units by links, with the same links as ``systemctl`` makes, but without systemd."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from ._unit_files import MASK, WANTS, Unit, UnitFiles, full_name, template_of


class UnitError(Exception):
    """A unit cannot be changed. The message is for users."""


class UnitLinks:
    """The links of units in one scope. If ``dry`` is true, nothing is changed (check mode)."""

    def __init__(self, files: UnitFiles, *, dry: bool = False) -> None:
        """Take the unit files."""
        self._files, self._dry = files, dry

    def is_enabled(self, unit: Unit) -> bool:
        """Check whether a unit is enabled. A static unit counts as enabled, as for ``systemctl is-enabled``."""
        if self._files.is_masked(unit.name):
            return False
        return unit.is_static or any(os.path.lexists(self._files.real(link)) for link, _target in self._wanted(unit))

    def enable(self, unit: Unit) -> bool:
        """Make the links of a unit, and of the units that it names in ``Also``.

        Returns:
            Whether a link was missing.

        Raises:
            UnitError: The unit is masked, or a file is in the way.
        """
        changed = False
        for each in self._with_others(unit):
            if self._files.is_masked(each.name):
                raise UnitError(f"unit {each.name} is masked, so it cannot be enabled; set masked: false")
            for link, target in self._wanted(each):
                changed |= self._link(link, target)
        return changed

    def disable(self, unit: Unit) -> bool:
        """Remove all links of a unit, and of the units that it names in ``Also``.

        Returns:
            Whether there was a link.
        """
        changed = False
        for each in self._with_others(unit):
            for link in self._links_of(each):
                changed = True
                self._remove(link)
        return changed

    def mask(self, name: str) -> bool:
        """Mask a unit, which need not exist.

        Returns:
            Whether it was not masked.

        Raises:
            UnitError: There is a unit file where the link would be.
        """
        return not self._files.is_masked(name) and self._link(f"/{self._files.own}/{name}", MASK)

    def unmask(self, name: str) -> bool:
        """Make a unit start again.

        Returns:
            Whether it was masked by a link.
        """
        link = f"/{self._files.own}/{name}"
        if _target(self._files.real(link)) != MASK:
            return False
        self._remove(link)
        return True

    def _with_others(self, unit: Unit) -> Iterator[Unit]:
        seen, waiting = set(), [unit]
        while waiting:
            each = waiting.pop(0)
            if each.name in seen:
                continue
            seen.add(each.name)
            yield each
            for name in each.install.get("Also", []):
                other = self._files.find(full_name(_expand(name, each.name)))
                if other is not None:
                    waiting.append(other)

    def _wanted(self, unit: Unit) -> Iterator[tuple[str, str]]:
        """Yield the links that enable a unit, with their targets."""
        name = _default_instance(unit)
        for alias in unit.install.get("Alias", []):
            yield f"/{self._files.own}/{_expand(alias, unit.name)}", unit.path
        for key, ending in WANTS.items():
            for other in unit.install.get(key, []):
                if name:
                    yield f"/{self._files.own}/{_expand(other, name)}.{ending}/{name}", unit.path

    def _links_of(self, unit: Unit) -> list[str]:
        names = {unit.name, _default_instance(unit)} if template_of(unit.name) else {unit.name}
        found = []
        for link in self._files.links():
            target, name = os.readlink(self._files.real(link)), os.path.basename(link)
            is_own = name in names or (not template_of(unit.name) and template_of(name) == unit.name)
            in_folder = link.count("/") > self._files.own.count("/") + 2
            if target == MASK or link == unit.path:
                continue
            if (in_folder and is_own) or os.path.basename(target) == unit.name:
                found.append(link)
        return found

    def _link(self, link: str, target: str) -> bool:
        real = self._files.real(link)
        present = _target(real)
        if present is not None and self._same(present, target):
            return False
        if os.path.lexists(real) and (present is None or target == MASK):
            raise UnitError(f"{link} is in the way: it is not a link that systemctl made; remove it first")
        if not self._dry:
            os.makedirs(os.path.dirname(real), mode=0o755, exist_ok=True)
            with suppress(FileNotFoundError):
                os.unlink(real)
            os.symlink(target, real)
        return True

    def _same(self, present: str, target: str) -> bool:
        """Check whether two targets are one file; ``/lib`` may be a link to ``/usr/lib``."""
        if MASK in (present, target):
            return present == target
        return os.path.realpath(self._files.real(present)) == os.path.realpath(self._files.real(target))

    def _remove(self, link: str) -> None:
        real = self._files.real(link)
        if not self._dry:
            os.unlink(real)
            if os.path.dirname(link) != f"/{self._files.own}":
                with suppress(OSError):  # other links are in it
                    os.rmdir(os.path.dirname(real))


def _target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _default_instance(unit: Unit) -> str:
    """Return the name in links: that of the unit, or of a template's default instance; empty if it has none."""
    stem, suffix = os.path.splitext(unit.name)
    if not stem.endswith("@"):
        return unit.name
    instance = unit.install.get("DefaultInstance", [])
    return f"{stem}{instance[0]}{suffix}" if instance else ""


def _expand(text: str, name: str) -> str:
    """Replace the specifiers that [Install] may contain (systemd.unit(5)): %n, %N, %p, %i, %j and %%."""
    stem = os.path.splitext(name)[0]
    prefix, _, instance = stem.partition("@")
    values = {"n": name, "N": stem, "p": prefix, "i": instance, "j": prefix.rpartition("-")[2], "%": "%"}
    return re.sub("%(.)", lambda match: values.get(match[1], match[0]), text)
