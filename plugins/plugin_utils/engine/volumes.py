# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named volumes: made, looked up, removed. What they are for stands in their labels, which never change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus

import docker
import docker.errors

from .client import translated


def find(client: docker.DockerClient, name: str) -> dict[str, str] | None:
    """Look a volume up.

    Returns:
        Its labels; ``None`` where there is no such volume.
    """
    with translated(f"looking for volume {name}"):
        try:
            found = client.api.inspect_volume(name)
        except docker.errors.NotFound:
            return None
        return found.get("Labels") or {}


def create(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Make a volume, unless there is one of that name: the first of several makers wins.

    Returns:
        The labels that the volume has, which are another maker's where that one was first.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"making volume {name}"):
        made = client.api.create_volume(name, labels=dict(labels))
        return made.get("Labels") or {}


def remove(client: docker.DockerClient, name: str) -> None:
    """Remove a volume; it may be gone already, or be needed by a container.

    Raises:
        EngineError: The engine refused for another reason.
    """
    with translated(f"removing volume {name}"):
        try:
            client.api.remove_volume(name)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise


def sizes(client: docker.DockerClient, names: Collection[str]) -> int:
    """Bytes in some volumes, as far as the engine tells.

    Raises:
        EngineError: The engine refused.
    """
    if not names:
        return 0
    with translated("asking for the sizes of volumes"):
        told = client.api.df().get("Volumes") or ()
        usage = {each["Name"]: (each.get("UsageData") or {}).get("Size", 0) for each in told}
        return sum(max(int(usage.get(name, 0)), 0) for name in names)


def labelled(client: docker.DockerClient, label: str) -> dict[str, dict[str, str]]:
    """List volumes that carry ``label`` (``key`` or ``key=value``).

    Returns:
        Each one's labels, by name.
    """
    with translated("listing volumes"):
        found = client.api.volumes(filters={"label": label})["Volumes"] or ()
        return {each["Name"]: each.get("Labels") or {} for each in found}
