# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Repository, last commit, or ansible-galaxy's version of a role.

The last commit that touched a folder: the same in every clone that has it, whatever else was committed since.

Which Git repository a folder is of, told in a way that is the same in every clone of it.

Which version of a role ``ansible-galaxy`` installed, by what it left beside it.

Of a role that is ``meta/.galaxy_install_info``, with the version that was asked for: a tag, a branch or a commit. Of a
collection it is ``MANIFEST.json``, and ``FILES.json`` with a checksum of each file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .file_digests import INSTALL_INFO

_ID = re.compile(r"[0-9a-f]{40,64}")
_SHORT = 12
_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a folder, or what was installed in its stead."""

    #: Its ID; of what was installed, the version.
    id: str
    #: Its committer's date, in seconds since 1970; 0 where it is not known.
    date: int
    #: Whether the folder is as the commit has it.
    clean: bool = True

    @property
    def name(self) -> str:
        """What people read: the version or the ID's first digits, and ``-dirty`` where the folder was changed since."""
        return (self.id[:_SHORT] if _ID.fullmatch(self.id) else self.id) + ("" if self.clean else "-dirty")


def last_commit(folder: Path) -> Commit | None:
    """Ask Git for the last commit that touched ``folder``; ``None`` where there is none, or no Git."""
    told = ask_git(folder, "log", "-1", "--format=%H %ct", "--", ".")
    if not told:
        return None
    commit, _, date = told.strip().partition(" ")
    return Commit(commit, int(date), clean=not ask_git(folder, "status", "--porcelain", "--", "."))


def ask_git(folder: Path, *arguments: str) -> str | None:
    """Ask Git about ``folder``; ``None`` where it has no answer, or there is no Git."""
    if shutil.which("git") is None or not folder.is_dir():
        return None
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None


#: ``user@host:path``, as ssh writes addresses; one letter before the colon would be a drive.
_SHORT_ADDRESS = re.compile(r"(?:[^@/]+@)?(?P<host>[^@:/]{2,}):(?!//)(?P<path>.+)")
#: ``scheme://user:password@host:port/path``; what stands before the host is nobody's business.
_ADDRESS = re.compile(r"[a-z0-9+.-]+://(?:[^@/]*@)?(?P<host>[^/:]+)(?::[0-9]+)?/(?P<path>.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder in a Git repository."""

    #: Where the repository was cloned from, ``host/path`` without user and protocol; empty where from nowhere.
    origin: str
    #: Folder of the repository itself, the same for all its worktrees.
    repository: str
    #: The folder's path in it; empty for its root.
    within: str
    #: Its first commits, which clones from whatever address have; none where the clone has not the whole history.
    roots: tuple[str, ...] = ()


def find_checkout(folder: Path) -> Checkout | None:
    """Say which repository a folder is in; ``None`` where it is in none, or there is no Git."""
    told = ask_git(folder, "rev-parse", "--show-prefix", "--git-common-dir", "--is-shallow-repository")
    if told is None:
        return None
    prefix, common, shallow = told.rstrip("\n").split("\n")
    roots = "" if shallow == "true" else ask_git(folder, "rev-list", "--max-parents=0", "HEAD") or ""
    repository = str((folder / common).resolve())
    origin = (ask_git(folder, "config", "--get", "remote.origin.url") or "").strip()
    return Checkout(_normal(origin, folder), repository, prefix.rstrip("/"), tuple(sorted(roots.split())))


def _normal(address: str, folder: Path) -> str:
    """Write an address without protocol, user and password."""
    if found := _ADDRESS.fullmatch(address) or _SHORT_ADDRESS.fullmatch(address):
        return f"{found['host'].lower()}/{found['path'].strip('/').removesuffix('.git')}"
    if not address:
        return ""
    path = (folder / address.removeprefix("file://")).resolve()
    return str(path / ".git" if (path / ".git").is_dir() else path)


_VERSION = re.compile(r"^version:[ \t]*(['\"]?)(?P<version>[^\s'\",]+)\1[ \t]*$", re.MULTILINE)
_ROLES = "roles"


def installed_version(role: Path) -> Commit | None:
    """Say which version of the role in a folder is installed; ``None`` where nothing says so.

    It has no date. Where a file of a collection's role is not as it was installed, it is not clean; of a role by itself
    that is not known.
    """
    return _of_role(role) or _of_collection(role)


def _of_role(role: Path) -> Commit | None:
    try:
        found = _VERSION.search((role / "meta" / INSTALL_INFO).read_text())
    except (OSError, UnicodeDecodeError):
        return None
    return Commit(found["version"], date=0) if found and found["version"] != "null" else None


def _of_collection(role: Path) -> Commit | None:
    if role.parent.name != _ROLES:
        return None
    collection = role.parent.parent
    said = _read(collection / "MANIFEST.json").get("collection_info")
    version = said.get("version") if isinstance(said, dict) else None
    return Commit(version, date=0, clean=_is_clean(collection, role)) if isinstance(version, str) else None


def _is_clean(collection: Path, role: Path) -> bool:
    listed = _read(collection / "FILES.json").get("files")
    prefix = f"{_ROLES}/{role.name}/"
    return isinstance(listed, list) and all(
        _digest(collection / each["name"]) == each.get("chksum_sha256")
        for each in listed
        if isinstance(each, dict) and each.get("ftype") == "file" and str(each.get("name")).startswith(prefix)
    )


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
