# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs in a container, listed from outside where the engine can, and else by a shell in it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ..errors import EngineError, concerning
from .exec import Exec
from .refusal import RefusedError, translated
from .session import Session
from .stream import Output

#: Prints a mark, number, effective user and command line of each process but its own shell, after a mark each time.
_LOOK = """
for each in /proc/[0-9]*; do
    [ "$each" = "/proc/$$" ] && continue
    while read -r name _ user _; do [ "$name" = Uid: ] && break; done 2>/dev/null <"$each/status" || continue
    printf '%s%s %s ' "$1" "${each#/proc/}" "$user"
    cat "$each/cmdline" 2>/dev/null
done
:
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A process in a container."""

    pid: int
    #: Number of the user that it runs as, as the container has it.
    user: int
    command: str


def of(session: Session, container: str) -> list[Process]:
    """List the processes of a container that runs.

    Docker runs its machine's ``ps`` for that and asks cgroups, which a rootless one may not have; Podman 4 runs the
    ``ps`` of the image. Where there is none, a shell and ``cat`` of the image are asked.

    Raises:
        RefusedError: The container does not run, or neither way leads to its processes.
        EngineError: The same, or the engine does not answer.
    """
    try:
        return _told(session, container)
    except RefusedError:
        found = _seen_inside(session, container)
        if found is None:
            raise
        return found


def _told(session: Session, container: str) -> list[Process]:
    doing = f"listing the processes of container {container}"
    with translated(doing):
        try:
            found = session.api.top(container, ps_args="-eo pid,uid,args")
        except ValueError as error:  # Podman 4 answers nothing
            raise RefusedError(f"{doing}: the engine answers nothing, and the image has no ps, shell or cat") from error
        processes = found["Processes"] or ()
        if len(found["Titles"]) == 1:  # Podman 4 gives out whole lines of what `ps` wrote
            processes = [str(line).split(None, 2) for line, *_nothing in processes]
        with concerning(f"{doing}: the engine's answer cannot be understood", EngineError):
            return [Process(int(pid), int(user), command) for pid, user, command in processes]


def _seen_inside(session: Session, container: str) -> list[Process] | None:
    """What a shell in a container sees; ``None`` where there is no such shell, or the container has ended."""
    output, mark = Output(), secrets.token_hex(16)
    try:
        code = Exec(session).run(container, ["/bin/sh", "-c", _LOOK, "sh", mark], take=output.take)
    except EngineError:
        return None
    if code != 0:
        return None
    lines = [text.split(" ", 2) for text in output.stdout.decode(errors="replace").split(mark)[1:]]
    try:
        return [Process(int(pid), int(user), words.rstrip("\0").replace("\0", " ")) for pid, user, words in lines]
    except ValueError:  # its shell is not one
        return None
