# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal of one run: a private folder through which the tiers of a run tell each other how they fare.

A task that waits runs in a process with a snapshot of Ansible's variables, so it cannot see what became of another
host. Every fact is a small file that appears whole (written aside, then moved), and is never changed afterwards.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from .. import local_files
from ..chain.names import file_name
from ..errors import RunError, concerning
from ..local_files import lock, write_whole
from ..text import printable_lines
from .owner import Holder

_POLL_SECONDS = 0.1

#: Making an interpreter takes minutes where the way to the archive is slow.
_ALONE_SECONDS = 3600

#: What names of unfinished files begin with, and no quoted name does.
_ASIDE = "+"
_MOMENT = "%Y%m%dT%H%M%SZ"
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a tier's build ended."""

    #: ID of the tier's image; ``None`` if the tier failed.
    image: str | None
    #: Why it failed, or why the tier has the image that it had; empty if it was sealed anew.
    reason: str


class Journal:
    """The journal of a run, open in one process."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in ``folder``, which :meth:`begin` made."""
        self.folder = folder

    @property
    def run(self) -> str:
        """The run's identifier."""
        return self.folder.name

    @classmethod
    def begin(cls, chain: str, command: str = "ansible-playbook") -> Journal:
        """Start the journal of a new run over ``chain``, which lives and dies with the process we work for.

        Args:
            chain: The chain's name.
            command: What that process was started as, for whoever waits for the run.
        """
        folder = runs_folder(chain) / f"{datetime.now(UTC).strftime(_MOMENT)}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700, parents=True)
        (folder / "holder").write_text(json.dumps(Holder.employer(command).written()))
        return cls(folder)

    def hold(self) -> IO[bytes]:
        """Show that the run is alive for as long as the returned file is open in this process.

        The lock is a POSIX one: unlike ``flock`` it does not live on in forked workers, which outlast a killed
        ansible-playbook of 2.20 and later (they are sessions of their own).
        """
        file = (self.folder / "alive").open("wb")
        fcntl.lockf(file, fcntl.LOCK_EX)
        return file

    @property
    def holder(self) -> Holder | None:
        """Whom the run belongs to; ``None`` where it has ended, or was killed before it had said so."""
        try:
            return Holder.read(json.loads((self.folder / "holder").read_text()))
        except (FileNotFoundError, ValueError):
            return None

    def is_alive(self) -> bool:
        """Say whether the run goes on: another process holds it, or its own is about to.

        The lock is what counts, also from another machine with the same home. A worker makes the journal and the main
        process holds it a moment later; in between, that process is looked for.
        """
        try:
            with (self.folder / "alive").open("r+b") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        except FileNotFoundError:
            pass
        holder = self.holder
        return holder is not None and holder.lives()

    def write(self, kind: str, tier: str, content: dict[str, Any]) -> None:
        """Record one fact about a tier: its ``plan``, its ``build``, its ``outcome``."""
        write_whole(self._path(kind, tier), json.dumps(content))

    def read(self, kind: str, tier: str) -> dict[str, Any] | None:
        """Read what was recorded; ``None`` if nothing was."""
        path = self._path(kind, tier)
        try:
            text = path.read_text()
        except FileNotFoundError:
            return None
        with concerning(f"{path} of this run is damaged", RunError):
            content = json.loads(text)
        return content if isinstance(content, dict) else None

    def moment(self, kind: str, tier: str) -> float | None:
        """When something was recorded, in seconds since 1970; ``None`` if nothing was."""
        try:
            return self._path(kind, tier).stat().st_mtime
        except FileNotFoundError:
            return None

    def recorded(self, kind: str) -> list[str]:
        """Names of the tiers that have a record of ``kind``, sorted."""
        end = f".{kind}.json"
        return sorted(unquote(path.name.removesuffix(end)) for path in self.folder.glob(f"[!{_ASIDE}]*{end}"))

    def passed(self, tier: str, image: str, reason: str = "") -> None:
        """Record that ``tier`` has ``image`` in this run, and why it is the one that it had, where it is."""
        self.write("outcome", tier, {"image": image, "reason": reason})

    def failed(self, tier: str, reason: str) -> None:
        """Record that ``tier`` failed, unless its end is recorded already."""
        if self.read("outcome", tier) is None:
            self.write("outcome", tier, {"image": None, "reason": printable_lines(reason)})

    def outcome(self, tier: str) -> Outcome | None:
        """How ``tier``'s build ended; ``None`` while it has not."""
        content = self.read("outcome", tier)
        return None if content is None else Outcome(content["image"], content["reason"])

    def wait(self, tier: str) -> Outcome:
        """Wait for the end of ``tier``'s build.

        Raises:
            RunError: The process that this one works for has ended, or the journal is gone.
        """
        employer = os.getppid()
        while (outcome := self.outcome(tier)) is None:
            if os.getppid() != employer or not self.folder.is_dir():
                raise RunError(f"the run ended while tier {tier!r} was being waited for; start the playbook again")
            time.sleep(_POLL_SECONDS)
        return outcome

    @contextmanager
    def alone(self, doing: str) -> Iterator[None]:
        """Let one tier of this run at a time do what ``doing`` names; the others wait for it.

        Raises:
            RunError: It has taken another tier an hour.
        """
        with (self.folder / f"{doing}.lock").open("wb") as file:
            lock(file, _ALONE_SECONDS)
            yield

    def end(self) -> None:
        """Remove the journal."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, kind: str, tier: str) -> Path:
        return self.folder / f"{file_name(tier)}.{kind}.json"


def began(run: str) -> datetime:
    """When a run began, by its identifier; one of another form, as anybody may write on an engine, began now."""
    if _RUN.fullmatch(run) is None:
        return datetime.now(UTC)
    try:
        return datetime.strptime(run.partition("-")[0], _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC)


def state_folder(chain: str) -> Path:
    """Folder of what is known of ``chain`` here, below ``$XDG_STATE_HOME`` (by default ``~/.local/state``)."""
    return local_files.state() / file_name(chain)


def chains() -> list[str]:
    """Names of the chains that something is known of here, sorted."""
    folder = local_files.state()
    return sorted(unquote(each.name) for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def runs_folder(chain: str) -> Path:
    """Folder of the journals of ``chain``'s runs."""
    return state_folder(chain) / "runs"


def runs(chain: str) -> Iterator[Journal]:
    """Journals of ``chain``'s runs, the oldest first, of killed ones too."""
    folder = runs_folder(chain)
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        if each.is_dir():
            yield Journal(each)
