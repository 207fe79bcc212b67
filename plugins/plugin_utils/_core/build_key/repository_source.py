# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the files of a role come from: the address of its Git repository, the branch, and whether files have changes.

Git is asked once for each repository, and once for each role. Addresses are stored without users, passwords and
queries, because these may be secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from .source_version import ask_git

_GIT = ".git"
_FILE = "file://"
_BRANCH = "refs/heads/"
_REMOTE_BRANCH = "refs/remotes/origin/"

#: ``user@host:path``, the short form for SSH. The host has at least two letters: one letter would be a drive.
_SHORT_ADDRESS = re.compile(r"(?:[^@/]+@)?(?P<host>[^@:/]{2,}):(?!//)(?P<path>.+)")
_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^@/]*@)?(?P<host>[^/:@?#]+)(?P<port>:[0-9]+)?(?P<path>/[^?#]*)(?:[?#].*)?",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"[\x00-\x20\x7f]")

#: Variables of services that check out a commit without a branch: the commit, and the branch it belongs to.
_SERVICES = (("GITHUB_SHA", "GITHUB_REF_NAME"), ("CI_COMMIT_SHA", "CI_COMMIT_BRANCH"))


class RepositorySource(msgspec.Struct, frozen=True):
    """The Git repository of a role, as its builder sees it."""

    #: Address of the remote ``origin`` without credentials; empty if there is none: ``https://git.example.org/ops.git``.
    repository: str
    #: The branch; empty if it is not known.
    branch: str
    #: Whether no file of the role, of its dependencies, or around it has uncommitted changes.
    clean: bool


class RepositorySources:
    """The repositories of many roles. Each repository is asked once."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[str, str]] = {}
        self._clean: dict[tuple[Path, tuple[Path, ...]], bool] = {}

    def describe(self, role: Path, others: Iterable[Path] = ()) -> RepositorySource | None:
        """Describe the repository of a role; ``None`` if the role is in no repository, or if Git is not installed.

        Args:
            role: The role's folder.
            others: Other files and folders that decide what the role does. Those without a repository do not count.
        """
        root = find_repository(role)
        if root is None:
            return None
        if root not in self._known:
            self._known[root] = _read_origin(root), _read_branch(root)
        repository, branch = self._known[root]
        paths: dict[Path, list[Path]] = {root: [role]}
        for path in others:
            if (home := find_repository(path)) is not None:
                paths.setdefault(home, []).append(path)
        clean = all(self._is_clean(home, within) for home, within in paths.items())
        return RepositorySource(repository, branch, clean)

    def _is_clean(self, root: Path, paths: Iterable[Path]) -> bool:
        key = root, tuple(dict.fromkeys(path.resolve() for path in paths))
        if key not in self._clean:
            # A pattern of Git could exclude files, so paths are taken literally.
            status = ("status", "--porcelain", "--untracked-files=normal", "--")
            output = ask_git(root, "--literal-pathspecs", *status, *map(str, key[1]))
            self._clean[key] = output == ""
        return self._clean[key]


def find_repository(path: Path) -> Path | None:
    """Return the folder of the Git repository that a path is in; ``None`` if there is none. Git is not asked."""
    path = path.resolve()
    return next((folder for folder in (path, *path.parents) if (folder / _GIT).exists()), None)


def clean_address(address: str, folder: Path) -> str:
    """Return the address of a repository without user, password and query; empty if they cannot be told apart.

    Args:
        address: As Git stores it: a URL, ``user@host:path``, or a path.
        folder: The folder that a path is relative to.
    """
    if not address or _HIDDEN.search(address):
        return ""
    match = _ADDRESS.fullmatch(address) or _SHORT_ADDRESS.fullmatch(address)
    if match is None:
        is_path = "://" not in address or address.startswith(_FILE)
        return f"{_FILE}{(folder / address.removeprefix(_FILE)).resolve()}" if is_path else ""
    # An @ after the host means that the password had a slash.
    if "@" in address[match.start("path") :]:
        return ""
    parts = match.groupdict()
    port = parts.get("port") or ""
    return f"{parts.get('scheme', 'ssh').lower()}://{parts['host'].lower()}{port}/{parts['path'].lstrip('/')}"


def _read_origin(root: Path) -> str:
    return clean_address((ask_git(root, "config", "--get", "remote.origin.url") or "").strip(), root)


def _read_branch(root: Path) -> str:
    """Return the branch that is checked out, or the only one whose newest commit is checked out."""
    output = ask_git(root, "rev-parse", "HEAD", "--symbolic-full-name", "HEAD")
    commit, _, name = (output or "").strip().partition("\n")
    if name.startswith(_BRANCH):
        return name.removeprefix(_BRANCH)
    if not commit:
        return ""
    for sha, branch in _SERVICES:
        if os.environ.get(sha) == commit and os.environ.get(branch):
            return os.environ[branch]
    names = ask_git(root, "for-each-ref", "--format=%(refname)", "--points-at", commit, _REMOTE_BRANCH) or ""
    branches = {line.removeprefix(_REMOTE_BRANCH) for line in names.splitlines()} - {"HEAD"}
    return branches.pop() if len(branches) == 1 else ""
