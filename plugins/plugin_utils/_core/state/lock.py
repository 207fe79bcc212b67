# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lock of a chain: one run at a time; a second run waits and prints which run holds the lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from ..errors import RunError
from ..local_files import lock
from ..parent_process import ParentProcess
from .journal import Journal, runs, state_folder

#: Seconds that a run waits for another run by default.
LOCK_TIMEOUT = 3600

#: Seconds that a process waits for a lock file of the chain. Only a stopped process holds one this long.
_LOCK_SECONDS = 300

_POLL_SECONDS = 0.5
_SAY_SECONDS = 60


class Waiting(msgspec.Struct, frozen=True):
    """How a run waits for another run over the same chain."""

    #: Seconds; 0 fails at once.
    timeout: float
    #: Called with each line to print.
    say: Callable[[str], None]
    #: Called once before the run waits, so that a predictable failure comes at once.
    first: Callable[[], object] = lambda: None


def begin_exclusive_run(chain: str, command: str, waiting: Waiting) -> Journal:
    """Begin a run over ``chain`` as soon as no other run is active in this user's state folder.

    Args:
        chain: The chain's name.
        command: The command of this run, which waiting runs print.
        waiting: How to wait for an active run.

    Returns:
        The journal of the new run.

    Raises:
        RunError: The other run was still active after the timeout, or this playbook has ended meanwhile.
    """
    deadline, say_again, waited = time.monotonic() + waiting.timeout, 0.0, False
    parent = ParentProcess()
    while True:
        with chain_lock(chain, "turn"):
            other = _find_active_run(chain)
            if other is None:
                return Journal.begin(chain, command)
        now = time.monotonic()
        if now >= deadline:
            raise RunError(
                f"another run over chain {chain!r} is active: run {other}; waited {waiting.timeout:.0f} s "
                "(tier_lock_timeout) for it. Start the playbook again when it has ended"
            )
        if not waited:
            waiting.first()
            waited = True
        if now >= say_again:
            waiting.say(f"waiting for another run over chain {chain!r}: run {other}")
            say_again = now + _SAY_SECONDS
        time.sleep(min(_POLL_SECONDS, max(deadline - now, 0)))
        if parent.has_ended():
            raise RunError("the playbook has ended")


@contextmanager
def chain_lock(chain: str, name: str) -> Iterator[None]:
    """Hold the lock ``name`` of ``chain``. Other processes of this user wait for it.

    Raises:
        RunError: The state folder cannot be written to, or another process held the lock for minutes, because it is
            stopped.
    """
    folder = state_folder(chain)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_file = (folder / f"{name}.lock").open("wb")
    except OSError as error:
        raise RunError(
            f"the chain's folder {folder} cannot be written to ({error.strerror}); "
            "set XDG_STATE_HOME to a folder that can be written to"
        ) from error
    with lock_file:
        lock(lock_file, _LOCK_SECONDS)
        yield


def _find_active_run(chain: str) -> str | None:
    """Describe an active run over ``chain``; an earlier run of the same ansible-playbook does not count."""
    for journal in runs(chain):
        holder = journal.holder
        if journal.is_alive() and not (holder is not None and holder.is_parent_process()):
            return journal.run if holder is None else f"{journal.run}, {holder}"
    return None
