# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal of one run: a private folder through which the tasks of the run exchange results.

Each Ansible task runs in a process with a snapshot of the variables, so a waiting task cannot see the results of other
hosts there. Each record is a small file. It is written under a temporary name and then renamed, so readers never see
half a file.
"""

from __future__ import annotations

import fcntl
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import unquote

import msgspec

from .. import local_files
from ..chain.names import file_name
from ..errors import RunError, wrap_errors
from ..local_files import lock, write_atomically
from ..parent_process import ParentProcess
from ..records import decode, encode
from ..text import printable_lines
from .owner import Holder

_POLL_SECONDS = 0.1

#: Seconds to wait for a lock of the run. To make an interpreter takes minutes if the package archive is slow.
_LOCK_SECONDS = 3600

#: Names of unfinished files begin with this. No quoted tier name does.
_UNFINISHED = "+"
_MOMENT = "%Y%m%dT%H%M%SZ"
_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]+", re.ASCII)

RecordT = TypeVar("RecordT")
FoundT = TypeVar("FoundT")


class Outcome(msgspec.Struct, frozen=True):
    """How a tier's build ended."""

    #: ID of the tier's image; ``None`` if the tier failed.
    image: str | None
    #: Why the tier failed, or why it keeps an earlier image; empty if its image is new.
    reason: str


class Journal:
    """The journal of a run, open in one process."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in ``folder``, which :meth:`begin` created."""
        self.folder = folder

    @property
    def run(self) -> str:
        """The run's ID."""
        return self.folder.name

    @classmethod
    def begin(cls, chain: str, command: str = "ansible-playbook") -> Journal:
        """Create the journal of a new run over ``chain``. The run belongs to the parent of this process.

        Args:
            chain: The chain's name.
            command: The command of the parent process, which waiting runs print.
        """
        folder = runs_folder(chain) / f"{datetime.now(UTC).strftime(_MOMENT)}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700, parents=True)
        (folder / "holder").write_text(encode(Holder.of_parent_process(command)))
        return cls(folder)

    def hold(self) -> IO[bytes]:
        """Mark the run as alive, as long as the returned file is open in this process.

        The lock is a POSIX lock: forked workers do not inherit it, unlike a lock of ``flock``. Since ansible-core 2.20,
        workers are sessions of their own, and outlive a killed ansible-playbook.
        """
        file = (self.folder / "alive").open("wb")
        fcntl.lockf(file, fcntl.LOCK_EX)
        return file

    @property
    def holder(self) -> Holder | None:
        """The process that the run belongs to; ``None`` if the run has ended, or was killed before it recorded this."""
        try:
            return decode((self.folder / "holder").read_text(), Holder)
        except (FileNotFoundError, ValueError):
            return None

    def is_alive(self) -> bool:
        """Say whether the run is active: a different process holds its lock, or its process still runs.

        The lock also works between machines that share a home folder. A worker creates the journal, and the main
        process locks it a moment later. In between, the run is active as long as the main process runs.
        """
        try:
            with (self.folder / "alive").open("r+b") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        except FileNotFoundError:
            pass
        holder = self.holder
        return holder is not None and holder.is_running()

    def write(self, kind: str, tier: str, record: Any) -> None:
        """Write a record about a tier, of a kind such as ``plan``, ``build`` or ``outcome``."""
        write_atomically(self._path(kind, tier), encode(record))

    def read_record(self, kind: str, tier: str, form: type[RecordT]) -> RecordT | None:
        """Read a record, an instance of ``form``; ``None`` if there is none.

        Raises:
            RunError: The record is damaged.
        """
        path = self._path(kind, tier)
        try:
            text = path.read_text()
        except FileNotFoundError:
            return None
        with wrap_errors(f"{path} of this run is damaged", RunError):
            return decode(text, form)

    def moment(self, kind: str, tier: str) -> float | None:
        """Return when a record was written, in seconds since 1970; ``None`` if there is none."""
        try:
            return self._path(kind, tier).stat().st_mtime
        except FileNotFoundError:
            return None

    def recorded(self, kind: str) -> list[str]:
        """Return the sorted names of the tiers that have a record of ``kind``."""
        suffix = f".{kind}.json"
        return sorted(
            unquote(path.name.removesuffix(suffix)) for path in self.folder.glob(f"[!{_UNFINISHED}]*{suffix}")
        )

    def passed(self, tier: str, image: str, reason: str = "") -> None:
        """Record that ``tier`` has ``image`` after this run. ``reason`` says why it keeps an earlier image."""
        self.write("outcome", tier, Outcome(image, reason))

    def failed(self, tier: str, reason: str) -> None:
        """Record that ``tier`` failed, unless it has an outcome already."""
        if self.outcome(tier) is None:
            self.write("outcome", tier, Outcome(None, printable_lines(reason)))

    def outcome(self, tier: str) -> Outcome | None:
        """Return how ``tier``'s build ended; ``None`` if it has not ended."""
        return self.read_record("outcome", tier, Outcome)

    def wait(self, tier: str) -> Outcome:
        """Wait until ``tier``'s build ends.

        Raises:
            RunError: The parent process of this worker has ended, or the journal was removed.
        """
        return self.wait_for(tier, lambda: self.outcome(tier))

    def wait_for(self, tier: str, look: Callable[[], FoundT | None]) -> FoundT:
        """Wait until ``look``, which looks at the records about ``tier``, finds something, and return that.

        Raises:
            RunError: The parent process of this worker has ended, or the journal was removed.
        """
        parent = ParentProcess()
        while (found := look()) is None:
            if parent.has_ended() or not self.folder.is_dir():
                raise RunError(f"the run ended while a task waited for tier {tier!r}; start the playbook again")
            time.sleep(_POLL_SECONDS)
        return found

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock ``name`` of this run. Other tiers of the run wait for it.

        Raises:
            RunError: Another tier held the lock for an hour.
        """
        with (self.folder / f"{name}.lock").open("wb") as file:
            lock(file, _LOCK_SECONDS)
            yield

    def end(self) -> None:
        """Remove the journal."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, kind: str, tier: str) -> Path:
        return self.folder / f"{file_name(tier)}.{kind}.json"


def start_time(run: str) -> datetime:
    """Return when a run began, according to its ID. For an ID of a different form, return the current time.

    Labels and tags on an engine can contain any text in place of an ID.
    """
    if _RUN.fullmatch(run) is None:
        return datetime.now(UTC)
    try:
        return datetime.strptime(run.partition("-")[0], _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC)


def state_folder(chain: str) -> Path:
    """Return the state folder of ``chain``, below ``$XDG_STATE_HOME`` (by default ``~/.local/state``)."""
    return local_files.state() / file_name(chain)


def chains() -> list[str]:
    """Return the sorted names of the chains that have a state folder."""
    folder = local_files.state()
    return sorted(unquote(path.name) for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def runs_folder(chain: str) -> Path:
    """Return the folder of the journals of ``chain``'s runs."""
    return state_folder(chain) / "runs"


def runs(chain: str) -> Iterator[Journal]:
    """Yield the journals of ``chain``'s active and killed runs, the oldest first."""
    folder = runs_folder(chain)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir():
            yield Journal(path)
