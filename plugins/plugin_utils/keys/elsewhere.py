# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that a role takes from elsewhere than its own folder, as parts of the build key.

Which ones is known only when the role has been applied, as a compiler knows its headers. So the image keeps their
names, ``elsewhere/<name>``, and the next plan looks at the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .files import digest_folder, digest_listing, digest_path
from .parts import Parts, digest_bytes

_PREFIX = "elsewhere/"
#: End of the name of a folder of which only the names in it were looked at.
LISTING = "/"
#: End of the name of another role's folder.
ROLE = "/**"
#: Digest of a file that changed while the role was applied; nothing that it holds later has it.
CHANGED = "changed while it was used"
#: What is at the top of a project.
_SIGNS = (".git", "ansible.cfg", "galaxy.yml", "roles")
#: ``inventories/<chain>/`` lies two below a project.
_DEPTH = 3


class Projects:
    """Folders that names are relative to, so that another clone gives the same ones."""

    def __init__(self, folders: Iterable[str | Path]) -> None:
        """Take the folders, the one that counts first before the others."""
        self.folders: Sequence[Path] = [Path(folder).resolve() for folder in folders]

    @classmethod
    def around(cls, folders: Iterable[Path]) -> Projects:
        """The projects that an inventory's and a playbook's folder are in: at most two above, or they themselves."""
        return cls(dict.fromkeys(_project(folder.resolve()) for folder in folders))

    def name(self, path: Path) -> str:
        """Name of a path: relative to a project that it is in, else absolute."""
        path = path.resolve()
        for folder in self.folders:
            if path != folder and path.is_relative_to(folder):
                name = path.relative_to(folder).as_posix()
                return name if self.path(name) == path else str(path)
        return str(path)

    def path(self, name: str) -> Path:
        """What a name means here: of several projects, the first that has such a file."""
        paths = [folder / name for folder in self.folders]
        return next((path for path in paths if path.exists()), paths[0] if paths else Path(name))


def names(parts: Parts) -> tuple[str, ...]:
    """Names of the files from elsewhere among a key's parts, sorted."""
    return tuple(sorted(name.removeprefix(_PREFIX) for name in parts if name.startswith(_PREFIX)))


def digest_elsewhere(taken: Iterable[str], projects: Projects) -> dict[str, str]:
    """Digest what names mean now: parts of a key.

    What cannot be read counts as another content than any that can.
    """
    return {_PREFIX + name: _digest(name, projects) for name in taken}


def part(name: str) -> str:
    """Name of the key's part for a file from elsewhere."""
    return _PREFIX + name


def _digest(name: str, projects: Projects) -> str:
    path = projects.path(name.removesuffix(ROLE).rstrip(LISTING) or LISTING)
    try:
        if name.endswith(ROLE):
            return digest_bytes(repr(digest_folder(path)).encode())
        return digest_listing(path) if name.endswith(LISTING) else digest_path(path)
    except OSError as error:
        return f"unreadable ({error.strerror})"


def _project(folder: Path) -> Path:
    for each in (folder, *folder.parents)[:_DEPTH]:
        if any((each / sign).exists() for sign in _SIGNS):
            return each
    return folder
