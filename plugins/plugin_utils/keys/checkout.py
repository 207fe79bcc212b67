# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Git repository a folder is of, told in a way that is the same in every clone of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .commit import ask_git

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
