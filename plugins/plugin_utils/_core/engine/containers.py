# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Containers of the engine, and the processes in them.

All containers can be inspected, require_list, paused, ended and removed. Build containers are started here.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from ..errors import EngineError, wrap_errors
from .api_errors import MissingError, RefusedError, require_list, translate_errors
from .confinement import Confinement, host_config
from .container_info import inspect_container
from .exec import Exec
from .image_ids import ImageNames
from .inspection import ContainerInfo, read_container
from .session import EngineSession
from .streams import Output

#: Shell script. For each process except its own shell it prints the marker ``$1``, process ID, effective user ID, and
#: command line.
_LIST_PROCESSES = """
for folder in /proc/[0-9]*; do
    [ "$folder" = "/proc/$$" ] && continue
    while read -r name _ user _; do [ "$name" = Uid: ] && break; done 2>/dev/null <"$folder/status" || continue
    printf '%s%s %s ' "$1" "${folder#/proc/}" "$user"
    cat "$folder/cmdline" 2>/dev/null
done
:
"""


class ProcessInfo(msgspec.Struct, frozen=True):
    """A process in a container."""

    pid: int
    #: ID of the user that it runs as, in the container.
    user: int
    command: str


def processes_of(session: EngineSession, container: str) -> list[ProcessInfo]:
    """List the processes of a running container.

    Docker runs the ``ps`` of its machine and reads cgroups, which a rootless Docker may not have. Podman 4 runs the
    ``ps`` of the image. If the engine cannot list them, a shell and ``cat`` of the image are used.

    Raises:
        RefusedError: The container is not running, or both methods failed.
        EngineError: The engine does not answer, or its response cannot be understood.
    """
    try:
        return _list_by_engine(session, container)
    except RefusedError:
        processes = _list_by_shell(session, container)
        if processes is None:
            raise
        return processes


def _list_by_engine(session: EngineSession, container: str) -> list[ProcessInfo]:
    action = f"listing the processes of container {container}"
    with translate_errors(action):
        try:
            answer = session.api.top(container, ps_args="-eo pid,uid,args")
        except ValueError as error:  # Podman 4 sends an empty response
            raise RefusedError(
                f"{action}: the engine sent an empty answer, and the image has no ps, shell or cat"
            ) from error
        processes = answer["Processes"] or ()
        if len(answer["Titles"]) == 1:  # Podman 4 returns whole lines of the output of `ps`
            processes = [str(line).split(None, 2) for line, *_rest in processes]
        with wrap_errors(f"{action}: the engine's answer cannot be understood", EngineError):
            return [ProcessInfo(int(pid), int(user), command) for pid, user, command in processes]


def _list_by_shell(session: EngineSession, container: str) -> list[ProcessInfo] | None:
    """List processes with a shell in the container; ``None`` if it has no working shell, or if it has ended."""
    output, marker = Output(), secrets.token_hex(16)
    try:
        code = Exec(session).run(container, ["/bin/sh", "-c", _LIST_PROCESSES, "sh", marker], take=output.take)
    except EngineError:
        return None
    if code != 0:
        return None
    lines = [text.split(" ", 2) for text in output.stdout.decode(errors="replace").split(marker)[1:]]
    try:
        return [ProcessInfo(int(pid), int(user), words.rstrip("\0").replace("\0", " ")) for pid, user, words in lines]
    except ValueError:  # its /bin/sh is not a real shell
        return None


#: Shell script that waits. Every image that a role can be applied to has a shell. It reaps orphans and ends on SIGTERM.
IDLE_SCRIPT = "trap 'exit 0' TERM; while :; do sleep 86400 & wait $!; done"

#: File that the first process of a build container creates, on a tmpfs. Older files existed before the build started.
#: The start time that the engine reports cannot be used: Docker 26 and later writes ``/etc/hosts`` after that time.
START_MARKER = "/dev/tierwright-begun"

#: The process that :data:`IDLE_SCRIPT` waits for.
IDLE_COMMAND = "sleep 86400"

# Without a package list, the folder of the lists must look old: Ansible's apt module uses its time
# (``cache_valid_time``).
_IDLE_COMMAND = [
    "/bin/sh",
    "-c",
    f": >{START_MARKER}; touch -cd @0 /var/lib/apt/lists 2>/dev/null; {IDLE_SCRIPT}",
]

#: Environment of every build container; images do not contain it.
_BUILD_ENVIRONMENT = {
    # Modules replace files, which is impossible for mounted files. With this setting they write into such files
    # (``unsafe_writes``). If an image cannot contain such a change, sealing reports it.
    "ANSIBLE_UNSAFE_WRITES": "1",
    "DEBIAN_FRONTEND": "noninteractive",
    # No syncs: if the machine crashes, the build is discarded anyway. The other two are the defaults of dpkg, which
    # this variable would otherwise remove (dpkg(1)).
    "DPKG_FORCE": "security-mac,downgrade,unsafe-io",
    "PYTHONDONTWRITEBYTECODE": "1",
    # The systemctl of an image makes links, and ignores requests to start something (systemctl(1)).
    "SYSTEMD_OFFLINE": "1",
}

#: Variable with the time that many programs use in place of the current time
#: (https://reproducible-builds.org/specs/source-date-epoch/).
EPOCH = "SOURCE_DATE_EPOCH"


class BuildContainer(msgspec.Struct, frozen=True):
    """A container in which the role of a tier is applied."""

    #: Container ID.
    id: str
    #: Container name.
    name: str


class Containers:
    """The containers of one engine."""

    def __init__(self, session: EngineSession, image_names: ImageNames) -> None:
        """Use this session and these image names."""
        self._session, self._image_names = session, image_names

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
        """Start a build container. It runs as root, is confined, and does nothing.

        Args:
            name: Name of the container.
            image: ID of a stage image: without entrypoint, user, health check and volumes.
            tier: Name of the tier, for messages and as host name.
            labels: Labels of the container.
            confined: Limits and mounts, from :func:`.confinement.confined`.
            environment: Additional environment variables.

        Raises:
            EngineError: The engine rejected the request.
        """
        action, api = f"tier {tier!r}: starting build container {name}", self._session.api
        with translate_errors(action):
            created = api.create_container(
                self._image_names.engine_name(image),
                command=_IDLE_COMMAND,
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
            container = BuildContainer(created["Id"], name)
        try:
            with translate_errors(action):
                api.start(container.id)
        except RefusedError:
            self.remove(container.id)
            raise
        return container

    def inspect(self, container: str) -> ContainerInfo:
        """Inspect a container, running or not.

        Args:
            container: Its name or ID.

        Raises:
            EngineError: The container does not exist, or the engine does not answer.
        """
        info = inspect_container(self._session, container)
        with translate_errors(f"looking at container {container}"):
            return read_container(info, self._image(info["Image"], info["Config"].get("Labels")))

    def commands(self, container: str) -> list[str]:
        """List the command lines of the processes in a container.

        Raises:
            EngineError: The container is not running, or the engine does not answer.
        """
        return [process.command for process in processes_of(self._session, container)]

    def processes_inside(self, container: str) -> list[ProcessInfo]:
        """List the processes of a build container with the IDs that they and their users have inside of it.

        Raises:
            EngineError: The container is not running, or its image has no working shell.
        """
        processes = _list_by_shell(self._session, container)
        if processes is None:
            raise EngineError(f"listing the processes of container {container}: its /bin/sh or cat does not work")
        return processes

    def pause(self, container: str) -> bool:
        """Pause all processes in a container.

        Returns:
            ``False`` if it has ended, or if the engine cannot pause it (without the freezer of cgroups).

        Raises:
            EngineError: The container does not exist, or the engine does not answer.
        """
        try:
            with translate_errors(f"pausing container {container}"):
                self._session.api.pause(container)
        except RefusedError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR}:
                raise
            return False
        return True

    def exists(self, container: str) -> bool:
        """Say whether a container exists, running or not.

        Args:
            container: Its name or ID.

        Raises:
            EngineError: The engine does not answer.
        """
        try:
            inspect_container(self._session, container)
        except MissingError:
            return False
        return True

    def wake(self, container: str) -> None:
        """Start a container that has ended. It may run already.

        Raises:
            EngineError: The container does not exist, or the engine cannot start it.
        """
        with translate_errors(f"starting container {container}"):
            self._session.api.start(container)

    def end(self, container: str) -> None:
        """Kill all processes in a container and wait for their end. The container may have ended already.

        Raises:
            EngineError: The engine rejected the request.
        """
        action = f"ending container {container}"
        try:
            with translate_errors(action):
                self._session.api.kill(container)
        except RefusedError as error:
            # Podman 4 sends a generic error status if the container is not running.
            if error.status != HTTPStatus.CONFLICT and not self._has_ended(container):
                raise
        with translate_errors(action):
            self._session.api.wait(container)

    def remove(self, container: str) -> None:
        """Remove a container and its anonymous volumes. It need not exist.

        Raises:
            EngineError: The engine rejected the request.
        """
        try:
            with translate_errors(f"removing container {container}"):
                self._session.api.remove_container(container, v=True, force=True)
        except RefusedError as error:
            if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # conflict: it is being removed already
                raise

    def find(self, label: str, *, except_images: Collection[str] = ()) -> list[tuple[str, dict[str, str]]]:
        """List containers that carry ``label`` (``key`` or ``key=value``), running or not.

        Args:
            label: The label.
            except_images: IDs of images whose containers are omitted: these containers inherited the label.

        Returns:
            Pairs of container ID and labels.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing containers"):
            entries = require_list(self._session.get("/containers/json", all="1", filters={"label": [label]}))
            kept = [entry for entry in entries if self._source(entry) not in except_images]
            return [(entry["Id"], entry.get("Labels") or {}) for entry in kept]

    def sources(self) -> set[str]:
        """List the IDs of the images that containers (running or not) were made from.

        Raises:
            EngineError: The engine rejected the request.
        """
        with translate_errors("listing containers"):
            return {self._source(entry) for entry in require_list(self._session.get("/containers/json", all="1"))}

    def _has_ended(self, container: str) -> bool:
        try:
            return not self.inspect(container).running
        except EngineError:
            return False

    def _source(self, entry: Mapping[str, Any]) -> str:
        return self._image(entry["ImageID"], entry.get("Labels"))

    def _image(self, engine_name: Any, labels: Mapping[str, str] | None) -> str:
        return self._image_names.listed_id(str(engine_name), labels)
