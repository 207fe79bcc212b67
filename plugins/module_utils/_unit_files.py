# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds unit files of systemd in an image, and reads how they are enabled, without systemd (systemd.unit(5))."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass

#: Folders of units by scope, below the root: first the one for links of the administrator, then the others to search.
FOLDERS = {
    "system": (
        "etc/systemd/system",
        "run/systemd/system",
        "usr/local/lib/systemd/system",
        "usr/lib/systemd/system",
        "lib/systemd/system",
    ),
    "global": (
        "etc/systemd/user",
        "run/systemd/user",
        "usr/local/lib/systemd/user",
        "usr/lib/systemd/user",
        "lib/systemd/user",
    ),
}

_SUFFIX = re.compile(
    r"\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$",
)
_SECTION = re.compile(r"\[(.+)\]$")

#: Keys of the section [Install], each with the ending of the folder for its links. ``Alias`` has no folder.
WANTS = {"WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds"}

#: The content of a link that masks a unit.
MASK = "/dev/null"

#: A link to a link to a unit is followed this often.
_MAX_LINKS = 8


@dataclass(frozen=True)
class Unit:
    """A unit file."""

    #: The name by which it is enabled: ``nginx.service``, or ``getty@tty1.service`` for an instance.
    name: str
    #: Its file, as an absolute path in the image. For an instance, it is the file of the template.
    path: str
    #: The values of [Install], by key.
    install: dict[str, list[str]]

    @property
    def is_static(self) -> bool:
        """Whether it cannot be enabled, because it has no links: other units start it."""
        return not any(self.install.get(key) for key in (*WANTS, "Alias", "Also"))


def full_name(name: str) -> str:
    """Return the name of a unit with its suffix: ``nginx.service`` for ``nginx``."""
    return name if _SUFFIX.search(name) else name + ".service"


def template_of(name: str) -> str:
    """Return the name of the template of an instance: ``getty@.service`` for ``getty@tty1.service``; else empty."""
    stem, suffix = os.path.splitext(name)
    prefix, at, instance = stem.partition("@")
    return f"{prefix}@{suffix}" if at and instance else ""


def is_of_absent_systemd(unit_name: str, root: str) -> bool:
    """Say whether a unit is a part of systemd itself, which the image below ``root`` does not have."""
    programs = (os.path.join(root, folder, "systemd/systemd") for folder in ("usr/lib", "lib"))
    return unit_name.startswith("systemd-") and not any(os.path.lexists(program) for program in programs)


class UnitFiles:
    """The unit files of one scope in a root file system."""

    def __init__(self, root: str = "/", scope: str = "system") -> None:
        """Take the root, which is ``/`` in a build container, and the scope: ``system`` or ``global``."""
        self.root = root
        self.own, *self._others = FOLDERS[scope]

    def real(self, path: str) -> str:
        """Return the place of a path of the image on this machine."""
        return os.path.join(self.root, path.lstrip("/"))

    def is_masked(self, name: str) -> bool:
        """Check whether a unit is masked, so that nothing can start it."""
        return self._masked_by(f"{self.own}/{name}") or self._masked_by(f"{self._others[0]}/{name}")

    def _masked_by(self, path: str) -> bool:
        try:
            return os.readlink(self.real(path)) == MASK
        except OSError:
            # An empty file also masks a unit.
            real = self.real(path)
            return os.path.isfile(real) and not os.path.islink(real) and os.path.getsize(real) == 0

    def find(self, name: str) -> Unit | None:
        """Find a unit by its full name, also by the name of an alias; ``None`` if there is no such file."""
        for _count in range(_MAX_LINKS):
            path = self._locate(name) or self._locate(template_of(name))
            if path is None:
                return None
            target = self._linked(path)
            if target == MASK:
                return Unit(name, path, {})
            if target is None or os.path.basename(target) in (name, template_of(name)):
                path = os.path.normpath(os.path.join(os.path.dirname(path), target or path))
                try:
                    return Unit(name, path, self._read_install(path, name))
                except FileNotFoundError:
                    return None
            name = os.path.basename(target)
        return None

    def _linked(self, path: str) -> str | None:
        try:
            return os.readlink(self.real(path))
        except OSError:
            return None

    def _locate(self, name: str) -> str | None:
        if not name:
            return None
        for folder in (self.own, *self._others[:2], *self._package_folders()):
            if os.path.lexists(self.real(f"{folder}/{name}")):
                return f"/{folder}/{name}"
        return None

    def _package_folders(self) -> list[str]:
        """Return the folders of packages, first the one that links of this image lead to.

        ``/lib`` is a link to ``/usr/lib`` today. Which of both names systemd and packages write into links depends on
        the release of the distribution.
        """
        usr, lib = self._others[2:]
        if self._count_targets()[lib] > self._count_targets()[usr]:
            return [lib, usr]
        return [usr, lib]

    def _count_targets(self) -> Counter[str]:
        targets = Counter()  # type: Counter[str]
        for link in self.links():
            targets[os.path.dirname(os.readlink(self.real(link))).lstrip("/")] += 1
        return targets

    def links(self) -> list[str]:
        """List the links below the folder of the administrator, as absolute paths in the image, sorted."""
        found = []
        for folder, names, files in os.walk(self.real(self.own)):
            names.sort()
            for name in (*names, *files):
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    found.append("/" + os.path.relpath(path, self.root))
        return sorted(found)

    def _read_install(self, path: str, name: str) -> dict[str, list[str]]:
        install = {}  # type: dict[str, list[str]]
        for file in (path, *self._drop_ins(name)):
            with open(self.real(file), encoding="utf-8", errors="replace") as lines:
                _read_section(lines.read(), install)
        return install

    def _drop_ins(self, name: str) -> list[str]:
        found = {}  # type: dict[str, str]
        for folder in (*reversed(self._package_folders()), *reversed(self._others[:2]), self.own):
            for unit in (template_of(name), name):
                drop_ins = self.real(f"{folder}/{unit}.d")
                if unit and os.path.isdir(drop_ins):
                    for file in os.listdir(drop_ins):
                        if file.endswith(".conf"):
                            found[file] = f"/{folder}/{unit}.d/{file}"
        return [found[file] for file in sorted(found)]


def _read_section(text: str, install: dict[str, list[str]]) -> None:
    """Add the values of [Install] in a unit file to ``install``. An empty value removes earlier ones."""
    inside = False
    for line in map(str.strip, text.replace("\\\n", " ").splitlines()):
        section = _SECTION.match(line)
        if section:
            inside = section[1] == "Install"
        elif inside and "=" in line and line[0] not in "#;":
            key, _, value = line.partition("=")
            words = value.split()
            install[key.strip()] = [*install.get(key.strip(), []), *words] if words else []
