# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests of the files of a role, and of files outside its folder. They are the same on every machine.

The files from outside the folder are known only after the role was applied, like the headers of a C file. So the image
stores their names as key parts ``elsewhere/<name>``, and the next plan digests the same files.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath

from .parts import Parts, digest_bytes

#: Files and folders that tools leave behind.
_LEFTOVERS = frozenset({".git", "__pycache__", ".pytest_cache"})

#: Files in a role's folder that cannot affect a tier: its tests, and the README at the top.
_TESTS = frozenset({"molecule", "tests"})
_README = "README"

#: File that ansible-galaxy writes into a role's ``meta``. It contains the time of the installation.
INSTALL_INFO = ".galaxy_install_info"

#: Kinds of files that must not be read, because reading could block or never end.
_SPECIAL = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}

#: A link to it is allowed: it means "nothing", for example for a masked systemd unit.
_NOTHING = Path("/dev/null")

#: Digest of a file that does not exist.
MISSING = "missing"


def digest_folder(folder: Path) -> dict[str, str]:
    """Digest every file of the role in ``folder`` that can affect a tier.

    Of the mode of a file, only "executable" is included: the rest depends on the umask of the user.

    Returns:
        Path relative to ``folder`` (with ``/``) to a digest of mode and content. For a symbolic link, the digest is
        that of its target path.

    Raises:
        OSError: A file or folder cannot be read, or is a FIFO, a socket, a device, or a link to one of these.
    """
    return {
        path: digest
        for path, digest in _digest_all(folder, _LEFTOVERS | _TESTS).items()
        if is_digested(PurePosixPath(path))
    }


def is_digested(path: PurePath) -> bool:
    """Say whether :func:`digest_folder` includes a file of a role. ``path`` is relative to the role's folder."""
    return not (
        path.name.endswith(".pyc")
        or path.name == INSTALL_INFO
        or (len(path.parts) == 1 and path.name.upper().startswith(_README))
        or (_LEFTOVERS | _TESTS) & set(path.parts[:-1])
    )


def digest_path(path: Path) -> str:
    """Digest a file, or all files in a folder. If the path does not exist, the result is :data:`MISSING`.

    Raises:
        OSError: It exists and cannot be read.
    """
    if path.is_dir():
        return digest_bytes(repr(_digest_all(path, _LEFTOVERS)).encode())
    return digest_bytes(_read_content(path.resolve())) if path.is_file() else MISSING


def digest_tree(folder: Path) -> str:
    """Return the SHA-256 digest of all files in a folder, as anybody can compute it with ``sha256sum``.

    It is the digest of the lines that ``sha256sum`` writes for the files, sorted by their paths. Of a link, the target
    path counts. Folders that tools leave behind do not count.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in list_files(folder)):
        content = os.fsencode(path.readlink()) if path.is_symlink() else read_file(path)
        digest.update(hashlib.sha256(content).hexdigest().encode() + b"  ./" + os.fsencode(name) + b"\n")
    return digest.hexdigest()


def digest_listing(folder: Path) -> str:
    """Digest the names in a folder. If the folder does not exist, the result is :data:`MISSING`."""
    if not folder.is_dir():
        return MISSING
    names = sorted(os.fsencode(path.name) for path in folder.iterdir() if path.name not in _LEFTOVERS)
    return digest_bytes(b"\0".join(names))


def _digest_all(folder: Path, ignored: Collection[str]) -> dict[str, str]:
    paths = {path.relative_to(folder).as_posix(): path for path in list_files(folder, ignored)}
    return {name: digest_bytes(_read_content(paths[name])) for name in sorted(paths)}


def list_files(folder: Path, ignored: Collection[str] = _LEFTOVERS) -> Iterator[Path]:
    """Yield the files below a folder, and the links to folders, without byte code.

    Args:
        folder: The folder.
        ignored: Names of folders to leave out; by default those that tools leave behind.

    Raises:
        OSError: A folder cannot be read.
    """
    for parent, folders, files in os.walk(folder, onerror=_raise):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = [name for name in folders if name not in ignored and name not in linked]
        yield from (Path(parent, name) for name in [*files, *linked] if not name.endswith(".pyc"))


def _read_content(path: Path) -> bytes:
    """Return the content of a file with a prefix for its kind."""
    if path.is_symlink():
        if path.exists() and path.resolve() != _NOTHING:
            _reject_special(path, path.stat().st_mode)
        return b"link\0" + os.fsencode(path.readlink())
    kind = b"program\0" if path.stat().st_mode & stat.S_IXUSR else b"file\0"
    return kind + read_file(path)


def read_file(path: Path) -> bytes:
    """Read a file that may have been created by anybody. It never blocks.

    Raises:
        OSError: It cannot be read, or is a FIFO, a socket or a device.
    """
    _reject_special(path, path.stat().st_mode)
    with open(path, "rb", opener=_open_nonblocking) as file:  # Path.open has no opener
        _reject_special(path, os.fstat(file.fileno()).st_mode)
        return file.read()


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _reject_special(path: Path, mode: int) -> None:
    kind = _SPECIAL.get(stat.S_IFMT(mode))
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, expected a file", str(path))


def _raise(error: OSError) -> None:
    raise error


_PREFIX = "elsewhere/"
#: Suffix of the name of a folder of which only the list of names was read.
LISTING = "/"
#: Suffix of the name of a folder of a different role.
ROLE = "/**"
#: Used as the digest of a file that changed while the role was applied. No content has this digest.
CHANGED = "changed while it was used"
#: Files and folders at the top of a project.
_PROJECT_MARKERS = (".git", "ansible.cfg", "galaxy.yml", "roles")
#: Number of folders to search upwards: ``inventories/<chain>/`` is two levels below a project.
_DEPTH = 3


class Projects:
    """Project folders. Names are relative to them, so that they are the same in each clone."""

    def __init__(self, folders: Iterable[str | Path]) -> None:
        """Use these folders; the first has the highest precedence."""
        self.folders: Sequence[Path] = [Path(folder).resolve() for folder in folders]

    @classmethod
    def around(cls, folders: Iterable[Path]) -> Projects:
        """Find the projects of folders, such as those of an inventory and a playbook.

        A project is at most two levels above its folder. If none is found, the folder itself is used.
        """
        return cls(dict.fromkeys(_find_project(folder.resolve()) for folder in folders))

    def name(self, path: Path) -> str:
        """Return the name of a path: relative to its project, or absolute if it is not in a project."""
        path = path.resolve()
        for folder in self.folders:
            if path != folder and path.is_relative_to(folder):
                name = path.relative_to(folder).as_posix()
                return name if self.path(name) == path else str(path)
        return str(path)

    def path(self, name: str) -> Path:
        """Return the path for a name: in the first project in which it exists."""
        paths = [folder / name for folder in self.folders]
        return next((path for path in paths if path.exists()), paths[0] if paths else Path(name))


def elsewhere_names(parts: Parts) -> tuple[str, ...]:
    """Return the names of files outside the role in the parts of a key, sorted."""
    return tuple(sorted(name.removeprefix(_PREFIX) for name in parts if name.startswith(_PREFIX)))


def digest_elsewhere(names: Iterable[str], projects: Projects) -> dict[str, str]:
    """Digest the current content of files outside the role.

    Args:
        names: Names of the files, as in :meth:`Projects.name`, perhaps with :data:`LISTING` or :data:`ROLE`.
        projects: The projects.

    Returns:
        Parts of a build key. If a file cannot be read, its digest differs from that of any content.
    """
    return {_PREFIX + name: _digest(name, projects) for name in names}


def elsewhere_part(name: str) -> str:
    """Return the name of the key part for a file outside the role."""
    return _PREFIX + name


def _digest(name: str, projects: Projects) -> str:
    path = projects.path(name.removesuffix(ROLE).rstrip(LISTING) or LISTING)
    try:
        if name.endswith(ROLE):
            return digest_bytes(repr(digest_folder(path)).encode())
        return digest_listing(path) if name.endswith(LISTING) else digest_path(path)
    except OSError as error:
        return f"unreadable ({error.strerror})"


def _find_project(folder: Path) -> Path:
    for candidate in (folder, *folder.parents)[:_DEPTH]:
        if any((candidate / marker).exists() for marker in _PROJECT_MARKERS):
            return candidate
    return folder
