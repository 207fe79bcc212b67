# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The volumes of build containers: the mounted Python, with which modules run, and the package cache.

The mounted Python is a copy of the distribution's Python, with its package-manager bindings and all libraries that it
needs. Build containers mount it read-only, so images need no Python. ``inside/install_python.sh`` makes it in a
temporary container with the base's layers, once for each base and version of the script.

It consists of two volumes. The first contains the Python, and has a random name, so that two runs never write to the
same volume. The second is an empty marker, which is created after the first has been verified; its label has the name
of the first. An engine creates a volume of one name only once. Therefore this is an atomic step, even with several
controllers.

The package cache contains packages and archive lists. Build containers share it, one for each family of distributions.
Every build container can write to this volume, so its content is not trusted: its only reader,
``inside/apt_method.py``, verifies each file.
"""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..chain.tier import Cage
from ..engine import streams
from ..engine.confinement import confined
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import SourceError
from ..image import labels

#: Mount point of the cache. /dev is a tmpfs of the container, so the mount point is never in the layer.
CACHE_MOUNT = "/dev/tierwright-cache"


def cache_mount(engine: Engine, parent_image: Image) -> dict[str, Any]:
    """Return the mount of the cache for a build container on ``parent_image``. Create the volume if it is missing.

    Raises:
        EngineError: The engine rejected a request.
    """
    family = parent_image.labels.get(labels.FAMILY, "none")
    name = f"tierwright-cache-{family}"
    engine.volumes.create(name, {labels.CACHE: family})
    return {"Type": "volume", "Source": name, "Target": CACHE_MOUNT, "VolumeOptions": {"NoCopy": True}}


def unused_caches(engine: Engine, without: Collection[str] = ()) -> list[str]:
    """List the caches for families of distributions of which the engine has no image.

    Args:
        engine: The engine.
        without: IDs of images that are treated as removed.

    Returns:
        Names of volumes, sorted.

    Raises:
        EngineError: The engine rejected a request.
    """
    caches = engine.volumes.labelled(labels.CACHE)
    return sorted(
        name
        for name, volume_labels in caches.items()
        if not engine.images.labelled(f"{labels.FAMILY}={volume_labels[labels.CACHE]}").keys() - set(without)
    )


#: File in which apt and dpkg note the times of their phases. It is on a tmpfs of the container.
EVENTS = "/dev/tierwright/apt-events"

#: Mount point of the Python. /dev is a tmpfs of the container, so the mount point is never in the layer.
MOUNT = "/dev/tierwright-python"

#: Families of distributions for which the script can install Python, with the package manager that it needs.
_MANAGERS = {"debian": "/usr/bin/apt-get"}

#: Number of output lines in a message.
_MESSAGE_LINES = 15
_ADVICE = "or set tier_python_interpreter to a Python that the image has"


class Interpreter(msgspec.Struct, frozen=True):
    """A mounted Python that is ready for use."""

    #: Name of the volume that contains it.
    volume: str

    @property
    def python(self) -> str:
        """Path of the program in a build container."""
        return f"{MOUNT}/bin/python3"

    def environment(self, *, measured: bool = False) -> dict[str, str]:
        """Return the environment variables that a build container needs in addition to the mount.

        Args:
            measured: Whether apt and dpkg note the times of their phases in :data:`EVENTS`.
        """
        return {"APT_CONFIG": f"{MOUNT}/apt/{'measured' if measured else 'apt'}.conf"}

    @property
    def mount(self) -> dict[str, Any]:
        """The mount that a build container needs."""
        return _mount(self.volume, read_only=True)


def ensure(
    engine: Engine, *, tier: str, parent_image: Image, run: str, say: Callable[[str], None]
) -> Interpreter | None:
    """Find the mounted Python for build containers on ``parent_image``, or make it.

    Args:
        engine: The engine.
        tier: The tier to build, for messages.
        parent_image: The image that its build container starts from.
        run: The run, for the labels of temporary objects.
        say: Called with a line before a step that takes time.

    Returns:
        The mounted Python; ``None`` if the script does not support the family of the distribution.

    Raises:
        SourceError: The base has no package manager, or its packages cannot be installed.
        EngineError: The engine rejected a request.
    """
    manager = _MANAGERS.get(parent_image.labels.get(labels.FAMILY, ""))
    if manager is None:
        return None
    sources = list(python_sources(parent_image))
    for source in sources:
        if interpreter := _find(engine, volume_name(source)):
            return interpreter
    for source in sources:
        from ..sealing.stage_image import stage  # noqa: PLC0415 - slow import; most runs build no interpreter

        stage_id = stage(engine, source, run, tier)
        try:
            if engine.files.holds(stage_id, manager):
                say(f"making the mounted Python for base {source.layers[0][:19]}: once per base")
                return _make(engine, tier, source, stage_id, run, say)
        finally:
            engine.images.remove(stage_id)
    raise SourceError(
        f"tier {tier!r}: its base is of the Debian family, but it does not contain {manager}, which is needed to "
        f"install the Python that modules run with. Use a base with apt, {_ADVICE}"
    )


def clear(engine: Engine, run: str) -> None:
    """Remove the incomplete volumes of ``run``.

    Raises:
        EngineError: The engine rejected a request.
    """
    complete = {volume_labels.get(labels.VOLUME) for volume_labels in engine.volumes.labelled(labels.PYTHON).values()}
    for name in engine.volumes.labelled(f"{labels.RUN}={run}").keys() - complete:
        engine.volumes.remove(name)


def unused_interpreters(engine: Engine, without: Collection[str] = ()) -> list[str]:
    """List the volumes of mounted Pythons that no image on the engine needs.

    Args:
        engine: The engine.
        without: IDs of images that are treated as removed.

    Returns:
        Names of volumes, sorted.

    Raises:
        EngineError: The engine rejected a request.
    """
    volumes = engine.volumes.labelled(labels.PYTHON)
    if not volumes:
        return []
    image_ids = [identifier for identifier in engine.images.labelled(labels.FAMILY) if identifier not in without]
    images = filter(None, map(engine.images.find, image_ids))
    needed = {volume_name(source) for image in images for source in python_sources(image)}
    return sorted(name for name, volume_labels in volumes.items() if volume_labels.get(labels.PYTHON) not in needed)


def volume_name(source: Image) -> str:
    """Return the name of the volume that marks the mounted Python made from ``source`` as complete."""
    parts = [_install_script(), _method(), _events(), MOUNT, CACHE_MOUNT, EVENTS, source.architecture, source.layers]
    content = json.dumps(parts)
    return f"tierwright-python-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def python_sources(parent_image: Image) -> Iterator[Image]:
    """Yield the images from which a mounted Python can be made, the best first.

    The first has only the lowest layer, which all tiers on one base share. Then nothing else of these tiers, not even
    their environment, has an influence on the shared Python. If this layer alone is not a root file system, the second
    image is used. It has all layers of ``parent_image``, so tiers do not share its Python.

    Yields:
        Images with some of the layers and without configuration.
    """
    counts: Sequence[int] = (1, len(parent_image.layers)) if len(parent_image.layers) > 1 else (1,)
    for count in counts:
        yield msgspec.structs.replace(parent_image, layers=parent_image.layers[:count], config={})


def _find(engine: Engine, name: str) -> Interpreter | None:
    marker = engine.volumes.find(name)
    if marker is None:
        return None
    volume = marker.get(labels.VOLUME, "")
    # The label is checked because an engine creates missing volumes of containers, without labels.
    if volume and (engine.volumes.find(volume) or {}).get(labels.PYTHON) == name:
        return Interpreter(volume)
    engine.volumes.remove(name)
    return None


def _make(engine: Engine, tier: str, source: Image, stage_id: str, run: str, say: Callable[[str], None]) -> Interpreter:
    name = volume_name(source)
    volume = f"{name}-{secrets.token_hex(4)}"
    marker: dict[str, str] = {}
    try:
        engine.volumes.create(volume, {labels.PYTHON: name, labels.RUN: run})
        container = engine.containers.start(
            name=volume,
            image=stage_id,
            tier=tier,
            labels={labels.RUN: run},
            confined=confined(
                engine.system,
                Cage(),
                family=source.labels.get(labels.FAMILY),
                say=say,
                mounts=[_mount(volume, read_only=False)],
            ),
        )
        try:
            _install(engine, tier, source, container.id)
        finally:
            engine.containers.remove(container.id)
        marker = engine.volumes.create(name, {labels.PYTHON: name, labels.VOLUME: volume})
    finally:
        if marker.get(labels.VOLUME) != volume:  # the step failed, or a different run was first
            engine.volumes.remove(volume)
    return Interpreter(marker[labels.VOLUME])


def _install(engine: Engine, tier: str, source: Image, container: str) -> None:
    output = streams.Output()
    arguments = [MOUNT, _method(), CACHE_MOUNT, _events(), EVENTS]
    command = ["/bin/sh", "-c", _install_script(), "install_python.sh", *arguments]
    code = engine.exec.run(container, command, take=output.take)
    if code != 0:
        last_lines = "\n".join(output.stderr.decode(errors="replace").strip().splitlines()[-_MESSAGE_LINES:])
        raise SourceError(
            f"tier {tier!r}: making the Python that modules run with, from its base {source.layers[0][:19]}, ended "
            f"with status {code}. It is installed from the archives in the base's own /etc/apt; check that build "
            f"containers can reach them, {_ADVICE}. The last lines were:\n{last_lines}"
        )


def _mount(volume: str, *, read_only: bool) -> dict[str, Any]:
    return {
        "Type": "volume",
        "Source": volume,
        "Target": MOUNT,
        "ReadOnly": read_only,
        "VolumeOptions": {"NoCopy": True},
    }


@functools.cache
def _install_script() -> str:
    return (Path(__file__).parent / "inside/install_python.sh").read_text()


@functools.cache
def _method() -> str:
    return (Path(__file__).parent / "inside/apt_method.py").read_text()


@functools.cache
def _events() -> str:
    return (Path(__file__).parent / "inside/apt_events.py").read_text()
