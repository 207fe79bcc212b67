# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests of files and folders, and of files outside the role.

Digests of files and folders, the same on every machine that holds the same files.

Files that a role takes from elsewhere than its own folder, as parts of the build key.

Which ones is known only when the role has been applied, as a compiler knows its headers. So the image keeps their
names, ``elsewhere/<name>``, and the next plan looks at the same ones.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath

from .parts import Parts, digest_bytes

#: What tools leave in a folder.
_LEFTOVERS = frozenset({".git", "__pycache__", ".pytest_cache"})

#: What else is in a role's folder and reaches no tier: its tests, and at the top its README.
_TESTS = frozenset({"molecule", "tests"})
_README = "README"

#: What ansible-galaxy writes into a role's ``meta``, with the time of the installation.
INSTALL_INFO = ".galaxy_install_info"

#: What is no file, and what reading it would do to us: wait for ever, or never end.
_SPECIAL = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}

#: A link to it is how one says "nothing" (a unit of systemd's that is masked).
_NOTHING = Path("/dev/null")

#: Digest of a file that does not exist.
MISSING = "missing"


def digest_folder(folder: Path) -> dict[str, str]:
    """Digest every file of the role in ``folder`` that can reach a tier.

    Of a file's mode only "may be executed" counts: the rest follows the umask of whoever made the checkout.

    Returns:
        Path relative to ``folder`` (with ``/``) to a digest over mode and bytes; a symbolic link counts by its target.

    Raises:
        OSError: A file or folder cannot be read, or is something else: a FIFO, a socket, a device, or a link to one.
    """
    return {
        path: digest for path, digest in _digest_all(folder, _LEFTOVERS | _TESTS).items() if counts(PurePosixPath(path))
    }


def counts(path: PurePath) -> bool:
    """Say whether :func:`digest_folder` counts a file of a role, given by its path relative to the role's folder."""
    return not (
        path.name.endswith(".pyc")
        or path.name == INSTALL_INFO
        or (len(path.parts) == 1 and path.name.upper().startswith(_README))
        or (_LEFTOVERS | _TESTS) & set(path.parts[:-1])
    )


def digest_path(path: Path) -> str:
    """Digest what a path names: a file, all that is in a folder, or nothing (:data:`MISSING`).

    Raises:
        OSError: It is there and cannot be read.
    """
    if path.is_dir():
        return digest_bytes(repr(_digest_all(path, _LEFTOVERS)).encode())
    return digest_bytes(_content(path.resolve())) if path.is_file() else MISSING


def digest_listing(folder: Path) -> str:
    """Digest the names in a folder, or that there is none (:data:`MISSING`)."""
    if not folder.is_dir():
        return MISSING
    names = sorted(os.fsencode(each.name) for each in folder.iterdir() if each.name not in _LEFTOVERS)
    return digest_bytes(b"\0".join(names))


def _digest_all(folder: Path, passed_over: Collection[str]) -> dict[str, str]:
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder, passed_over)}
    return {name: digest_bytes(_content(found[name])) for name in sorted(found)}


def _files(folder: Path, passed_over: Collection[str]) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=_raise):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = [name for name in folders if name not in passed_over and name not in linked]
        yield from (Path(parent, name) for name in [*files, *linked] if not name.endswith(".pyc"))


def _content(path: Path) -> bytes:
    if path.is_symlink():
        if path.exists() and path.resolve() != _NOTHING:
            _refuse_special(path, path.stat().st_mode)
        return b"link\0" + os.fsencode(path.readlink())
    kind = b"program\0" if path.stat().st_mode & stat.S_IXUSR else b"file\0"
    return kind + read_file(path)


def read_file(path: Path) -> bytes:
    """Read a file that somebody else put there.

    Raises:
        OSError: It cannot be read, or is something else than a file, which reading might wait for.
    """
    _refuse_special(path, path.stat().st_mode)
    with open(path, "rb", opener=_without_waiting) as file:  # Path.open has no opener
        _refuse_special(path, os.fstat(file.fileno()).st_mode)
        return file.read()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _refuse_special(path: Path, mode: int) -> None:
    kind = _SPECIAL.get(stat.S_IFMT(mode))
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, expected a file", str(path))


def _raise(error: OSError) -> None:
    raise error


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
