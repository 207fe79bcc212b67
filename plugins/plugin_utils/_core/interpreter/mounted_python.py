# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Python volume and the package cache volume.

The cache of packages and archive lists that build containers share, one for each family of distributions.

It is a volume that every build container on the engine can write to. Nothing in it is believed: see
``inside/apt_method.py``, which is all that reads it.

The Python that modules run with in a build container, so that the image needs none.

It is a copy of the distribution's own, with its package-manager bindings and every library it needs, on a volume that
build containers mount read-only. ``interpreter.sh`` makes it in a throw-away container that has the base's layers, once
for each base and recipe.

An interpreter is two volumes. The one that holds it has a name of its own each time, so makers never meet in it. The
other one is empty: it is made when the first is proven good, and its label names it. An engine makes a volume of one
name once only, so that is one step that nobody sees half done, on any number of controllers.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..chain.tier import Cage
from ..engine import streams
from ..engine.confinement import confined
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import SourceError
from ..image import labels
from ..sealing.stage_image import stage

#: Where build containers see it. /dev is a container's own tmpfs, so the mount point never reaches the layer.
CACHE_MOUNT = "/dev/tierwright-cache"


def cache_mount(engine: Engine, parent_image: Image) -> dict[str, Any]:
    """Make the mount that a build container on ``parent_image`` needs, and its volume where there is none yet.

    Raises:
        EngineError: The engine refused.
    """
    family = parent_image.labels.get(labels.FAMILY, "none")
    name = f"tierwright-cache-{family}"
    engine.volumes.create(name, {labels.CACHE: family})
    return {"Type": "volume", "Source": name, "Target": CACHE_MOUNT, "VolumeOptions": {"NoCopy": True}}


def needless_caches(engine: Engine, without: Collection[str] = ()) -> list[str]:
    """List the caches of families of which no image is on the engine.

    Args:
        engine: The engine.
        without: IDs of images that are taken to be gone.

    Raises:
        EngineError: The engine refused.
    """
    made = engine.volumes.labelled(labels.CACHE)
    return sorted(
        name
        for name, said in made.items()
        if not engine.images.labelled(f"{labels.FAMILY}={said[labels.CACHE]}").keys() - set(without)
    )


#: Where build containers see it. /dev is a container's own tmpfs, so the mount point never reaches the layer.
MOUNT = "/dev/tierwright-python"

#: Families of distributions that the recipe serves, with the program that it needs.
_MANAGERS = {"debian": "/usr/bin/apt-get"}

_TOLD_LINES = 15
_ADVICE = "or set tier_python_interpreter to a Python that the image has"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """An interpreter that is ready."""

    #: The volume that holds it.
    volume: str

    @property
    def python(self) -> str:
        """Path of the program in a build container."""
        return f"{MOUNT}/bin/python3"

    @property
    def environment(self) -> dict[str, str]:
        """What a build container needs in its environment, beside the mount of :mod:`.mounted_python`."""
        return {"APT_CONFIG": f"{MOUNT}/apt/apt.conf"}

    @property
    def mount(self) -> dict[str, Any]:
        """The mount that a build container needs."""
        return _mount(self.volume, read_only=True)


def ensure(
    engine: Engine, *, tier: str, parent_image: Image, run: str, say: Callable[[str], None]
) -> Interpreter | None:
    """Find the interpreter for build containers on ``parent_image``, or make it.

    Args:
        engine: The engine.
        tier: The tier that is to be built, for messages.
        parent_image: The image that its build container starts on.
        run: The run, for the labels of what is made meanwhile.
        say: Called with a line before something that takes time.

    Returns:
        The interpreter; ``None`` where the distribution is of a family that there is no recipe for.

    Raises:
        SourceError: The base has no package manager, or its packages cannot be had.
        EngineError: The engine refused.
    """
    manager = _MANAGERS.get(parent_image.labels.get(labels.FAMILY, ""))
    if manager is None:
        return None
    candidates = list(grounds(parent_image))
    for ground in candidates:
        if found := _ready(engine, name_of(ground)):
            return found
    for ground in candidates:
        staged = stage(engine, ground, run, tier)
        try:
            if engine.files.holds(staged, manager):
                say(f"making the interpreter for base {ground.layers[0][:19]}: once per base")
                return _make(engine, tier, ground, staged, run, say)
        finally:
            engine.images.remove(staged)
    raise SourceError(
        f"tier {tier!r}: its base is of the Debian family, but {manager} is not in it; the Python that modules run "
        f"with is installed with that. Take a base with apt, {_ADVICE}"
    )


def clear(engine: Engine, run: str) -> None:
    """Remove the volumes that ``run`` left half-made.

    Raises:
        EngineError: The engine refused.
    """
    whole = {each.get(labels.VOLUME) for each in engine.volumes.labelled(labels.PYTHON).values()}
    for name in engine.volumes.labelled(f"{labels.RUN}={run}").keys() - whole:
        engine.volumes.remove(name)


def needless_interpreters(engine: Engine, without: Collection[str] = ()) -> list[str]:
    """List the volumes of interpreters that no image on the engine can be built on with.

    Args:
        engine: The engine.
        without: IDs of images that are taken to be gone.

    Raises:
        EngineError: The engine refused.
    """
    made = engine.volumes.labelled(labels.PYTHON)
    if not made:
        return []
    here = [each for each in engine.images.labelled(labels.FAMILY) if each not in without]
    grounds_of = (ground for each in here if (image := engine.images.find(each)) for ground in grounds(image))
    needed = {name_of(ground) for ground in grounds_of}
    return sorted(name for name, said in made.items() if said.get(labels.PYTHON) not in needed)


def name_of(ground: Image) -> str:
    """Name of the volume that says that the interpreter made from ``ground`` is whole."""
    content = json.dumps([_recipe(), _method(), MOUNT, CACHE_MOUNT, ground.architecture, ground.layers])
    return f"tierwright-python-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def grounds(parent_image: Image) -> Iterator[Image]:
    """What an interpreter can be made from, the best first: the base's layer, then all of ``parent_image``.

    Every tier on one base has the first, and nothing else of theirs, not even the environment, gets into what they
    share. Where it takes several layers to make a root file system, tiers share nothing.

    Returns:
        Images that have some layers, and no configuration.
    """
    counts: Sequence[int] = (1, len(parent_image.layers)) if len(parent_image.layers) > 1 else (1,)
    for count in counts:
        yield dataclasses.replace(parent_image, layers=parent_image.layers[:count], config={})


def _ready(engine: Engine, name: str) -> Interpreter | None:
    said = engine.volumes.find(name)
    if said is None:
        return None
    volume = said.get(labels.VOLUME, "")
    # Its label is looked at, because an engine makes a missing volume that a container asks for, without labels.
    if volume and (engine.volumes.find(volume) or {}).get(labels.PYTHON) == name:
        return Interpreter(volume)
    engine.volumes.remove(name)
    return None


def _make(engine: Engine, tier: str, ground: Image, staged: str, run: str, say: Callable[[str], None]) -> Interpreter:
    name = name_of(ground)
    volume = f"{name}-{secrets.token_hex(4)}"
    said: dict[str, str] = {}
    try:
        engine.volumes.create(volume, {labels.PYTHON: name, labels.RUN: run})
        container = engine.containers.start(
            name=volume,
            image=staged,
            tier=tier,
            labels={labels.RUN: run},
            confined=confined(
                engine.system,
                Cage(),
                family=ground.labels.get(labels.FAMILY),
                say=say,
                mounts=[_mount(volume, read_only=False)],
            ),
        )
        try:
            _follow_recipe(engine, tier, ground, container.id)
        finally:
            engine.containers.remove(container.id)
        said = engine.volumes.create(name, {labels.PYTHON: name, labels.VOLUME: volume})
    finally:
        if said.get(labels.VOLUME) != volume:  # it failed, or somebody else was first
            engine.volumes.remove(volume)
    return Interpreter(said[labels.VOLUME])


def _follow_recipe(engine: Engine, tier: str, ground: Image, container: str) -> None:
    output = streams.Output()
    recipe = ["/bin/sh", "-c", _recipe(), "install_python.sh", MOUNT, _method(), CACHE_MOUNT]
    code = engine.exec.run(container, recipe, take=output.take)
    if code != 0:
        told = "\n".join(output.stderr.decode(errors="replace").strip().splitlines()[-_TOLD_LINES:])
        raise SourceError(
            f"tier {tier!r}: making the Python that modules run with, from its base {ground.layers[0][:19]}, ended "
            f"with status {code}. It is installed from the archives that the base's own /etc/apt names; see that "
            f"build containers reach them, {_ADVICE}. The last lines were:\n{told}"
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
def _recipe() -> str:
    return (Path(__file__).parent / "inside/install_python.sh").read_text()


@functools.cache
def _method() -> str:
    return (Path(__file__).parent / "inside/apt_method.py").read_text()
