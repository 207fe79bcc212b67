# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of packages and archive lists that build containers share, one for each family of distributions.

It is a volume that every build container on the engine can write to. Nothing in it is believed: see
``inside/apt_method.py``, which is all that reads it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..engine.engine import Engine
from ..engine.image import Image
from . import labels

#: Where build containers see it. /dev is a container's own tmpfs, so the mount point never reaches the layer.
MOUNT = "/dev/tierwright-cache"


def mount(engine: Engine, parent: Image) -> dict[str, Any]:
    """Make the mount that a build container on ``parent`` needs, and its volume where there is none yet.

    Raises:
        EngineError: The engine refused.
    """
    family = parent.labels.get(labels.FAMILY, "none")
    name = f"tierwright-cache-{family}"
    engine.volumes.create(name, {labels.CACHE: family})
    return {"Type": "volume", "Source": name, "Target": MOUNT, "VolumeOptions": {"NoCopy": True}}


def needless(engine: Engine, without: Collection[str] = ()) -> list[str]:
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
