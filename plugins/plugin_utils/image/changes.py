# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A build container's changes, read in the fastest way that is sure to give what the container sees.

Where the engine is on this machine and its storage may be read, that is the overlay's own directories; anywhere else,
two exports through the engine's API are compared, of the container and of what it was started from. Both give the same
layer, but for access control lists: Docker's and Podman's exports leave those out.
"""

from __future__ import annotations

import io
import os
import secrets
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from ..engine import containers
from ..engine.client import translated
from . import exported, overlay
from .entry import Change
from .overlay import NotReadableError, Overlay

_DRIVERS = frozenset({"overlay", "overlay2"})

#: A file that is written into the container, which is not used again, and is no change of the build's.
_PROOF = ".tierwright-proof"


@contextmanager
def read(client: docker.DockerClient, container: str) -> Iterator[list[Change]]:
    """Read what was changed in a container since it was made.

    The container must not run: files that are being written have no content that could be sealed.

    Args:
        client: The engine.
        container: ID of a container that has ended.

    Yields:
        The changes. Their content can be read until the ``with`` statement ends.

    Raises:
        EngineError: The engine refused.
    """
    with translated(f"looking at container {container}"):
        told = client.api.inspect_container(container)
    found = _in_directories(client, told)
    if found is not None:
        yield _without_proof(found)
        return
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        yield _without_proof(_in_exports(client, told, Path(folder, "content")))


def _without_proof(changes: Iterable[Change]) -> list[Change]:
    return [each for each in changes if each.now is None or each.now.path != os.fsencode(_PROOF)]


def _in_directories(client: docker.DockerClient, told: Mapping[str, Any]) -> list[Change] | None:
    here = _directories(told)
    if here is None or not overlay.sees_all_attributes() or not Path(os.fsdecode(here.upper)).is_dir():
        return None
    if not _is_proven(client, told["Id"], here):
        return None
    try:
        return list(overlay.changes(here))
    except NotReadableError:
        return None


def _directories(told: Mapping[str, Any]) -> Overlay | None:
    driver = told.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    if driver.get("Name") not in _DRIVERS or not data.get("UpperDir") or not data.get("LowerDir"):
        return None
    return Overlay(os.fsencode(data["UpperDir"]), tuple(map(os.fsencode, data["LowerDir"].split(":"))))


def _is_proven(client: docker.DockerClient, container: str, here: Overlay) -> bool:
    """Prove that a directory of this machine is the container's: what the engine puts into that turns up here.

    An engine behind a local socket may be another machine's, which has the same paths, or store files with shifted
    owners.
    """
    content = secrets.token_bytes(32)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(_PROOF)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    with translated(f"writing into container {container}"):
        client.api.put_archive(container, "/", archive.getvalue())
    place = Path(os.fsdecode(here.upper), _PROOF)
    try:
        return place.read_bytes() == content and place.stat().st_uid == 0
    except OSError:
        return False


def _in_exports(client: docker.DockerClient, told: Mapping[str, Any], spool: Path) -> Iterator[Change]:
    with translated(f"reading container {told['Id']}"):
        labels = told["Config"].get("Labels") or {}
        before = client.api.create_container(told["Image"], command=["-"], labels=labels)["Id"]
        try:
            yield from exported.changes(client.api.export(before), client.api.export(told["Id"]), spool)
        finally:
            containers.remove(client, before)
