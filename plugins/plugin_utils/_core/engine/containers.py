# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Containers and their processes.

What runs in a container, listed from outside where the engine can, and else by a shell in it.

Containers, whatever they are for: looked at, found, ended and removed; and build containers started.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ..errors import EngineError, concerning
from .api_errors import RefusedError, listed, translated
from .confinement import Confinement, host_config
from .exec import Exec
from .image_ids import Naming
from .inspection import ContainerInfo, read_container
from .session import EngineSession
from .streams import Output

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
class ProcessInfo:
    """A process in a container."""

    pid: int
    #: Number of the user that it runs as, as the container has it.
    user: int
    command: str


def processes_of(session: EngineSession, container: str) -> list[ProcessInfo]:
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


def _told(session: EngineSession, container: str) -> list[ProcessInfo]:
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
            return [ProcessInfo(int(pid), int(user), command) for pid, user, command in processes]


def _seen_inside(session: EngineSession, container: str) -> list[ProcessInfo] | None:
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
        return [ProcessInfo(int(pid), int(user), words.rstrip("\0").replace("\0", " ")) for pid, user, words in lines]
    except ValueError:  # its shell is not one
        return None


#: A shell that waits is there in every image that a role can be applied to, collects orphans, and ends on SIGTERM.
WAITING = "trap 'exit 0' TERM; while :; do sleep 86400 & wait $!; done"

#: Made in a build container when its first process runs, in a memory of its own: what is older was there before.
#: Docker from 26 on writes ``/etc/hosts`` after the time at which it says that the container was started.
BEGUN = "/dev/tierwright-begun"

# An empty folder of lists must not look as if they had just been fetched (``cache_valid_time`` of Ansible's apt).
_IDLE = [
    "/bin/sh",
    "-c",
    f": >{BEGUN}; touch -cd @0 /var/lib/apt/lists 2>/dev/null; {WAITING}",
]

#: Set in every build container and in no image.
_BUILD_ENVIRONMENT = {
    # A file that is mounted cannot be replaced, as modules do; then they write into it (``unsafe_writes``). What no
    # image can hold is told when the layer is sealed.
    "ANSIBLE_UNSAFE_WRITES": "1",
    "DEBIAN_FRONTEND": "noninteractive",
    # No syncs: a build that the machine does not survive is not used. The others are dpkg's defaults, which go where
    # this is set (dpkg(1)).
    "DPKG_FORCE": "security-mac,downgrade,unsafe-io",
    "PYTHONDONTWRITEBYTECODE": "1",
}

#: What many programs write instead of the time (https://reproducible-builds.org/specs/source-date-epoch/).
EPOCH = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True, slots=True)
class BuildContainer:
    """A container that a tier's role is applied in."""

    #: Container ID.
    id: str
    #: Container name.
    name: str


class Containers:
    """The containers of one engine."""

    def __init__(self, session: EngineSession, naming: Naming) -> None:
        """Take the way to the engine, and what it calls images."""
        self._session, self._naming = session, naming

    def start(
        self,
        *,
        name: str,
        image: str,
        tier: str,
        labels: Mapping[str, str],
        confined: Confinement,
        environment: Mapping[str, str] | None = None,
    ) -> BuildContainer:
        """Start a build container: root, confined, idle.

        Args:
            name: Name for the container.
            image: ID of an image whose own entrypoint, user, health check and volumes are out of the way.
            tier: The tier, for messages and as host name.
            labels: Labels for the container.
            confined: How, from :func:`.confinement.confined`.
            environment: What is in its environment besides.

        Raises:
            EngineError: The engine refused.
        """
        doing, api = f"tier {tier!r}: starting build container {name}", self._session.api
        with translated(doing):
            made = api.create_container(
                self._naming.theirs(image),
                command=_IDLE,
                entrypoint=[],
                user="0:0",
                working_dir="/",
                name=name,
                hostname=tier[:63],
                environment={**_BUILD_ENVIRONMENT, **(environment or {})},
                labels=dict(labels),
                stop_signal="SIGTERM",
                host_config=api.create_host_config(**host_config(confined)),
            )
            container = BuildContainer(made["Id"], name)
        try:
            with translated(doing):
                api.start(container.id)
        except RefusedError:
            self.remove(container.id)
            raise
        return container

    def inspect(self, container: str) -> ContainerInfo:
        """Look at a container, running or not.

        Args:
            container: Its name or ID.

        Raises:
            EngineError: It is gone, or the engine does not answer.
        """
        with translated(f"looking at container {container}"):
            found = self._session.api.inspect_container(container)
            return read_container(found, self._image(found["Image"], found["Config"].get("Labels")))

    def commands(self, container: str) -> list[str]:
        """List what runs in a container, as its engine's machine shows it.

        Returns:
            A line for each process, with its command line.

        Raises:
            EngineError: It does not run, or the engine does not answer.
        """
        return [each.command for each in processes_of(self._session, container)]

    def pause(self, container: str) -> bool:
        """Let nothing in a container run any more.

        Returns:
            ``False`` where it has ended, or the engine cannot (without the freezer of cgroups).

        Raises:
            EngineError: It is gone, or the engine does not answer.
        """
        try:
            with translated(f"pausing container {container}"):
                self._session.api.pause(container)
        except RefusedError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR}:
                raise
            return False
        return True

    def end(self, container: str) -> None:
        """End all that runs in a container, at once, so that nothing in it is written any more; it may have ended.

        Raises:
            EngineError: The engine refused.
        """
        doing = f"ending container {container}"
        try:
            with translated(doing):
                self._session.api.kill(container)
        except RefusedError as error:
            # It does not run, which Podman 4 tells with the status of an error.
            if error.status != HTTPStatus.CONFLICT and not self._has_ended(container):
                raise
        with translated(doing):
            self._session.api.wait(container)

    def remove(self, container: str) -> None:
        """Remove a container and its nameless volumes; it may be gone already.

        Raises:
            EngineError: The engine refused.
        """
        try:
            with translated(f"removing container {container}"):
                self._session.api.remove_container(container, v=True, force=True)
        except RefusedError as error:
            if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # a removal is under way
                raise

    def find(self, label: str, *, but_of: Collection[str] = ()) -> list[tuple[str, dict[str, str]]]:
        """List containers that carry ``label`` (``key`` or ``key=value``), running or not.

        Args:
            label: The label.
            but_of: IDs of images whose containers are left out: they have inherited it.

        Returns:
            Pairs of container ID and its labels.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing containers"):
            found = listed(self._session.api.containers(all=True, filters={"label": label}))
            return [(each["Id"], each.get("Labels") or {}) for each in found if self._source(each) not in but_of]

    def sources(self) -> set[str]:
        """List the IDs of the images that containers, running or not, were made from.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing containers"):
            return {self._source(each) for each in listed(self._session.api.containers(all=True))}

    def _has_ended(self, container: str) -> bool:
        try:
            return not self.inspect(container).running
        except EngineError:
            return False

    def _source(self, found: Mapping[str, Any]) -> str:
        return self._image(found["ImageID"], found.get("Labels"))

    def _image(self, called: Any, labels: Mapping[str, str] | None) -> str:
        return self._naming.listed(str(called), labels)
