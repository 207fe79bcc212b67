# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of a role: its last Git commit, its Git repository, or the version that ``ansible-galaxy`` installed.

The last commit that changed the role's folder and the description of the repository are the same in every clone.

``ansible-galaxy`` stores the version of a role in ``meta/.galaxy_install_info``: a tag, a branch or a commit, as it was
requested. For a collection, the version is in ``MANIFEST.json``, and ``FILES.json`` has a checksum of each file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from .file_digests import INSTALL_INFO

_ID = re.compile(r"[0-9a-f]{40,64}")
_SHORT = 12
_TIMEOUT = 60


class Commit(msgspec.Struct, frozen=True):
    """The last commit of a folder, or the installed version."""

    #: ID of the commit, or the installed version.
    id: str
    #: Committer date in seconds since 1970; 0 if it is not known.
    date: int
    #: Whether the folder has no changes since the commit.
    clean: bool = True

    @property
    def name(self) -> str:
        """The version, or the first digits of the ID, for users; with ``-dirty`` if the folder has changes."""
        return (self.id[:_SHORT] if _ID.fullmatch(self.id) else self.id) + ("" if self.clean else "-dirty")


def last_commit(folder: Path) -> Commit | None:
    """Return the last commit that changed ``folder``; ``None`` if there is none, or if Git is not installed."""
    output = ask_git(folder, "log", "-1", "--format=%H %ct", "--", ".")
    if not output:
        return None
    commit, _, date = output.strip().partition(" ")
    return Commit(commit, int(date), clean=not ask_git(folder, "status", "--porcelain", "--", "."))


def ask_git(folder: Path, *arguments: str) -> str | None:
    """Run a Git command in ``folder`` and return its output; ``None`` if it fails, or if Git is not installed."""
    if shutil.which("git") is None or not folder.is_dir():
        return None
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        process = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return None
    return process.stdout if process.returncode == 0 else None


#: ``user@host:path``, the short form for SSH. The host has at least two letters: one letter would be a drive.
_SHORT_ADDRESS = re.compile(r"(?:[^@/]+@)?(?P<host>[^@:/]{2,}):(?!//)(?P<path>.+)")
#: ``scheme://user:password@host:port/path``. The part before the host is private, so it is not stored.
_ADDRESS = re.compile(r"[a-z0-9+.-]+://(?:[^@/]*@)?(?P<host>[^/:]+)(?::[0-9]+)?/(?P<path>.+)", re.IGNORECASE)


class Checkout(msgspec.Struct, frozen=True):
    """A folder in a Git repository."""

    #: Address of the remote ``origin`` as ``host/path``, without user and protocol; empty if there is none.
    origin: str
    #: Git folder of the repository. It is the same for all worktrees.
    repository: str
    #: Path of the folder in the repository; empty for its root.
    within: str
    #: Root commits of the repository. They are the same in every clone; empty for a shallow clone.
    roots: tuple[str, ...] = ()


def find_checkout(folder: Path) -> Checkout | None:
    """Return the Git repository of a folder; ``None`` if it is not in one, or if Git is not installed."""
    output = ask_git(folder, "rev-parse", "--show-prefix", "--git-common-dir", "--is-shallow-repository")
    if output is None:
        return None
    prefix, common, shallow = output.rstrip("\n").split("\n")
    roots = "" if shallow == "true" else ask_git(folder, "rev-list", "--max-parents=0", "HEAD") or ""
    repository = str((folder / common).resolve())
    origin = (ask_git(folder, "config", "--get", "remote.origin.url") or "").strip()
    return Checkout(_normalize(origin, folder), repository, prefix.rstrip("/"), tuple(sorted(roots.split())))


def _normalize(address: str, folder: Path) -> str:
    """Return an address without protocol, user and password."""
    if match := _ADDRESS.fullmatch(address) or _SHORT_ADDRESS.fullmatch(address):
        return f"{match['host'].lower()}/{match['path'].strip('/').removesuffix('.git')}"
    if not address:
        return ""
    path = (folder / address.removeprefix("file://")).resolve()
    return str(path / ".git" if (path / ".git").is_dir() else path)


_VERSION = re.compile(r"^version:[ \t]*(['\"]?)(?P<version>[^\s'\",]+)\1[ \t]*$", re.MULTILINE)
_ROLES = "roles"


def installed_version(role: Path) -> Commit | None:
    """Return the version of the installed role in a folder; ``None`` if it is not known.

    The date is always 0. For a role in a collection, ``clean`` says whether its files are unchanged. For a standalone
    role this is not known, and ``clean`` is true.
    """
    return _read_role_version(role) or _read_collection_version(role)


def _read_role_version(role: Path) -> Commit | None:
    try:
        match = _VERSION.search((role / "meta" / INSTALL_INFO).read_text())
    except (OSError, UnicodeDecodeError):
        return None
    return Commit(match["version"], date=0) if match and match["version"] != "null" else None


def _read_collection_version(role: Path) -> Commit | None:
    if role.parent.name != _ROLES:
        return None
    collection = role.parent.parent
    info = _read_json(collection / "MANIFEST.json").get("collection_info")
    version = info.get("version") if isinstance(info, dict) else None
    return Commit(version, date=0, clean=_is_clean(collection, role)) if isinstance(version, str) else None


def _is_clean(collection: Path, role: Path) -> bool:
    entries = _read_json(collection / "FILES.json").get("files")
    prefix = f"{_ROLES}/{role.name}/"
    return isinstance(entries, list) and all(
        _digest_file(collection / entry["name"]) == entry.get("chksum_sha256")
        for entry in entries
        if isinstance(entry, dict) and entry.get("ftype") == "file" and str(entry.get("name")).startswith(prefix)
    )


def _digest_file(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
