# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last commit that touched a folder: the same in every clone that has it, whatever else was committed since."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

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
