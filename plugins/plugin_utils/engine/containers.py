# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build containers: made, found and removed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import docker
import docker.errors

from ..errors import EngineError
from .client import listed, translated

#: A shell that waits is there in every image that a role can be applied to, collects orphans, and ends on SIGTERM.
WAITING = "trap 'exit 0' TERM; while :; do sleep 86400 & wait $!; done"

# An empty folder of lists must not look as if they had just been fetched (``cache_valid_time`` of Ansible's apt).
_IDLE = [
    "/bin/sh",
    "-c",
    f"touch -cd @0 /var/lib/apt/lists 2>/dev/null; {WAITING}",
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


def start(
    client: docker.DockerClient,
    *,
    name: str,
    image: str,
    tier: str,
    labels: Mapping[str, str],
    confined: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
) -> BuildContainer:
    """Start a build container: root, confined, idle.

    Args:
        client: The engine.
        name: Name for the container.
        image: ID of an image whose own entrypoint, user, health check and volumes are out of the way.
        tier: The tier, for messages and as host name.
        labels: Labels for the container.
        confined: How, from :func:`.cage.confined`.
        environment: What is in its environment besides.

    Raises:
        EngineError: The engine refused.
    """
    doing = f"tier {tier!r}: starting build container {name}"
    with translated(doing):
        made = client.api.create_container(
            image,
            command=_IDLE,
            entrypoint=[],
            user="0:0",
            working_dir="/",
            name=name,
            hostname=tier[:63],
            environment={**_BUILD_ENVIRONMENT, **(environment or {})},
            labels=dict(labels),
            stop_signal="SIGTERM",
            host_config=client.api.create_host_config(**confined),
        )
        try:
            client.api.start(made["Id"])
        except docker.errors.APIError as error:
            remove(client, made["Id"])
            raise EngineError(f"{doing}: the engine says: {error.explanation or error}") from error
    return BuildContainer(made["Id"], name)


def end(client: docker.DockerClient, container: str) -> None:
    """End all that runs in a container, at once, so that nothing in it is written any more; it may have ended.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"ending container {container}"):
        try:
            client.api.kill(container)
        except docker.errors.APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:  # it does not run
                raise
        client.api.wait(container)


def remove(client: docker.DockerClient, container: str) -> None:
    """Remove a container and its nameless volumes; it may be gone already.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"removing container {container}"):
        try:
            client.api.remove_container(container, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:  # a removal is under way
                raise


def find(client: docker.DockerClient, label: str, *, but_of: Collection[str] = ()) -> list[tuple[str, dict[str, str]]]:
    """List containers that carry ``label`` (``key`` or ``key=value``), running or not.

    Args:
        client: The engine.
        label: The label.
        but_of: IDs of images whose containers are left out: they have inherited it.

    Returns:
        Pairs of container ID and its labels.
    """
    with translated("listing containers"):
        found = listed(client.api.containers(all=True, filters={"label": label}))
        return [(each["Id"], each.get("Labels") or {}) for each in found if each.get("ImageID") not in but_of]


def sources(client: docker.DockerClient) -> set[str]:
    """List the IDs of the images that containers, running or not, were made from.

    Raises:
        EngineError: The engine refused.
    """
    with translated("listing containers"):
        return {str(each["ImageID"]) for each in listed(client.api.containers(all=True))}


def holds(client: docker.DockerClient, image: str, path: str) -> bool:
    """Say whether ``image`` has something at ``path``, without starting anything of it.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"looking into image {image}"):
        made = client.api.create_container(image, command=["-"], labels={})["Id"]
        try:
            pieces, _stat = client.api.get_archive(made, path)
        except docker.errors.NotFound:
            return False
        else:
            pieces.close()
            return True
        finally:
            remove(client, made)
