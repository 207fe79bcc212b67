# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The image that a build container is started from: the parent's layers without the parent's behaviour.

An engine mounts a fresh volume over every VOLUME of the image and would drop what the role writes there; it also
merges entrypoint, user and health check into the container. None of that can be taken back when a container is
created, so the build container starts from an image with the same layers and a configuration of our own.

Where the engine makes files in a container to mount its own over, and counts them among the container's changes, one
more layer lies on the parent's while the tier is built: those files, so that the engine need not make them. The tier's
own layer does not know of it.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from functools import cache

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..image import provenance
from ..image.configuration import document, work_config
from ..image.labels import work
from .loading import Layers, load

#: Who made its layers, as its history says; on top of that of an image that is made from it stands something else.
_DOING = "tierwright: build"

#: Mount points of engines, with the folders they are in as every distribution has them: files, folders (with a slash),
#: and what a link leads to.
_MOUNT_POINTS = {
    "dev/": "",
    "etc/": "",
    "etc/hostname": "",
    "etc/hosts": "",
    "etc/mtab": "/proc/mounts",
    "etc/resolv.conf": "",
    "proc/": "",
    "run/": "",
    "run/.containerenv": "",
    "sys/": "",
}


def stage(engine: Engine, parent_image: Image, run: str, tier: str) -> str:
    """Load the stage image for building ``tier`` on ``parent_image``.

    Its labels name run and tier, so no two builds share one and each can remove its own.

    Returns:
        The stage image's ID.

    Raises:
        EngineError: The engine refused it.
    """
    layers = below(engine, parent_image)
    content = document(
        architecture=parent_image.architecture,
        os=parent_image.os,
        config=work_config(parent_image.config, work(run, tier)),
        layers=layers.digests,
        history=[{"created": provenance.timestamp(0), "created_by": _DOING} for _layer in layers.digests],
        created=provenance.timestamp(0),
    )
    return load(engine, content, layers).id


def is_stage(engine: Engine, image: str) -> bool:
    """Say whether an image was made here to build on; one that somebody made of a build container inherits its labels.

    Raises:
        EngineError: The engine refused.
    """
    newest = engine.images.newest_step(image)
    return newest is None or newest.created_by == _DOING  # where it is gone, its run was quicker


def below(engine: Engine, parent_image: Image) -> Layers:
    """Say what a tier's layer lies on while it is built.

    Raises:
        EngineError: The engine does not answer.
    """
    if not engine.kind.commits_mount_points:
        return Layers(parent_image.layers, donor=parent_image.id)
    layer = mount_points()
    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    return Layers((*parent_image.layers, digest), {digest: layer}, parent_image.id)


@cache
def mount_points() -> bytes:
    """The layer of :data:`_MOUNT_POINTS`, always the same."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, target in _MOUNT_POINTS.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755 if name.endswith("/") else 0o644
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.SYMTYPE if target else tarfile.REGTYPE
            entry.linkname = target
            tar.addfile(entry)
    return written.getvalue()
