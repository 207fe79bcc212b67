# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the stage image, from which a build container is started: the parent's layers without the parent's settings.

An engine mounts a new volume at every VOLUME of an image, and files that a role writes there would be lost. It also
applies the image's entrypoint, user and health check. A request to create a container cannot switch this off.
Therefore the build container starts from an image with the same layers and a configuration of our own.

Some engines create mount points in a container and report them as changes of the container. For these engines, the
stage image has one more layer with exactly these files, so that the engine need not create them. This layer is not part
of the tier's image.
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
from .stage_history import DOING

#: Mount points of engines, with their parent folders as in every distribution: files, folders (with a slash) and links,
#: with the target of a link.
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

    Its labels name run and tier, so that each build has its own stage image and can remove it.

    Returns:
        The stage image's ID.

    Raises:
        EngineError: The engine rejected it.
    """
    layers = lower_layers(engine, parent_image)
    content = document(
        architecture=parent_image.architecture,
        os=parent_image.os,
        config=work_config(parent_image.config, work(run, tier)),
        layers=layers.digests,
        history=[{"created": provenance.timestamp(0), "created_by": DOING} for _layer in layers.digests],
        created=provenance.timestamp(0),
    )
    return load(engine, content, layers).id


def lower_layers(engine: Engine, parent_image: Image) -> Layers:
    """Return the layers of the stage image for a parent.

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
    """Return the layer with :data:`_MOUNT_POINTS`, always the same bytes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, target in _MOUNT_POINTS.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755 if name.endswith("/") else 0o644
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.SYMTYPE if target else tarfile.REGTYPE
            entry.linkname = target
            tar.addfile(entry)
    return archive.getvalue()
