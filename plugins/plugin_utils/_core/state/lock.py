# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time over a chain: whoever comes second waits for its turn, and is told for whom."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import RunError
from ..local_files import lock
from .journal import Journal, runs, state_folder

#: Seconds to wait for another run, unless the user says otherwise.
PATIENCE = 3600

#: No process holds one of the chain's locks for so long, unless it is stopped.
_LOCK_SECONDS = 300

_POLL_SECONDS = 0.5
_SAY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a run waits for its turn."""

    #: Seconds; 0 fails at once.
    patience: float
    #: Called with a line when there is something to say.
    say: Callable[[str], None]
    #: Called once before the waiting: what can be known to fail should not wait.
    first: Callable[[], object] = lambda: None


def take_turn(chain: str, command: str, waiting: Waiting) -> Journal:
    """Begin the next run over ``chain``, when no other one goes on in this user's state folder.

    Args:
        chain: The chain's name.
        command: What this run was started as, for those that will wait for it.
        waiting: What to do where another run goes on.

    Raises:
        RunError: Another run goes on for longer than the user wants to wait.
    """
    until, say_again, waited = time.monotonic() + waiting.patience, 0.0, False
    employer = os.getppid()
    while True:
        with exclusively(chain, "turn"):
            other = _other(chain)
            if other is None:
                return Journal.begin(chain, command)
        now = time.monotonic()
        if now >= until:
            raise RunError(
                f"another run over chain {chain!r} goes on: run {other}; waited {waiting.patience:.0f} s "
                "(tier_lock_timeout) for it. Start the playbook again when it has ended"
            )
        if not waited:
            waiting.first()
            waited = True
        if now >= say_again:
            waiting.say(f"waiting for another run over chain {chain!r}: run {other}")
            say_again = now + _SAY_SECONDS
        time.sleep(min(_POLL_SECONDS, max(until - now, 0)))
        if os.getppid() != employer:
            raise RunError("the playbook has ended")


@contextmanager
def exclusively(chain: str, doing: str) -> Iterator[None]:
    """Let one process of this user at a time do what ``doing`` names to ``chain``; the others wait for it.

    Raises:
        RunError: The state folder cannot be written to, or another process has not let go for minutes: it is stopped.
    """
    folder = state_folder(chain)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = (folder / f"{doing}.lock").open("wb")
    except OSError as error:
        raise RunError(
            f"the chain's folder {folder} cannot be written to ({error.strerror}); let XDG_STATE_HOME name another"
        ) from error
    with opened as file:
        lock(file, _LOCK_SECONDS)
        yield


def _other(chain: str) -> str | None:
    """Tell another run that goes on; an earlier one of the same ansible-playbook is none."""
    for journal in runs(chain):
        holder = journal.holder
        if journal.is_alive() and not (holder is not None and holder.is_employer()):
            return journal.run if holder is None else f"{journal.run}, {holder}"
    return None
