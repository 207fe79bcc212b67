# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One watcher for each set of inventories, and what it finds of a predecessor that was killed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from ..errors import RunError
from ..local_files import lock, state
from .playbook_process import end_leftover
from .run_records import RunOutcome, end_run, open_runs, run_folder

#: Not the state folder of a chain: the names of those contain no plus sign.
_FOLDER = "+watch"


@contextmanager
def become_watcher(inventories: Sequence[str], say: Callable[[str], None]) -> Iterator[None]:
    """Be the only watcher of these inventories until the end of the ``with`` statement.

    Runs of a predecessor that did not end are noted as interrupted, after their playbooks have ended.

    Args:
        inventories: The inventories, as absolute paths.
        say: Called with a line for each of these runs.

    Raises:
        RunError: There is another watcher, a playbook cannot be ended, or the state folder cannot be written to.
    """
    with _lock_of(inventories):
        for run in open_runs(list(inventories)):
            was_running = end_leftover(run_folder(run.id))
            end_run(run, RunOutcome.INTERRUPTED, "its watcher ended before it")
            say(f"run {run.id} was interrupted" + (", and its playbook is ended now" if was_running else ""))
        yield


@contextmanager
def _lock_of(inventories: Sequence[str]) -> Iterator[IO[bytes]]:
    """Hold the lock of a watcher.

    Raises:
        RunError: Another watcher holds it, or the state folder cannot be written to.
    """
    folder = state() / _FOLDER
    name = hashlib.sha256("\n".join(inventories).encode()).hexdigest()[:16]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / f"{name}.lock").open("wb")
    except OSError as error:
        raise RunError(
            f"the folder {folder} cannot be written to ({error.strerror}); set XDG_STATE_HOME to a folder that can be "
            "written to"
        ) from error
    with file:
        try:
            lock(file, 0)
        except RunError as error:
            raise RunError(f"another watcher works with {', '.join(inventories)}: {error}") from error
        yield file
