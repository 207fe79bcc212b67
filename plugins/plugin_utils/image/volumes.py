# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes beneath a ``VOLUME`` that a tier inherits.

A container that is run from the image gets a volume there, so what a layer holds beneath is seen at most once, when the
volume is new, and a `docker commit` or a Dockerfile drops it without a word. So it is an error, unless the tier says
itself what its image's volumes are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from ..engine.engine import Engine
from ..engine.image import Image
from ..errors import SealError
from . import labels
from .links import Links

_SHOWN = 3


def check(engine: Engine, *, tier: str, container: str, parent: Image, declared: Mapping[str, Any]) -> None:
    """Refuse what a role wrote beneath a volume that its tier only inherits.

    The directory itself may be made, and get another owner or mode: a new volume takes these from it.

    Args:
        engine: The engine.
        tier: The tier.
        container: Its build container.
        parent: The image the container was started on.
        declared: The tier's checked ``tier_config``; where it has ``volumes``, nothing is inherited.

    Raises:
        SealError: Something was made, changed or removed there.
        EngineError: The engine does not answer.
    """
    volumes = sorted(parent.config.get("Volumes") or ())
    if not volumes or declared.get("volumes") is not None:
        return
    changed = engine.files.changed(container, f"tier {tier!r}: asking what changed in its build container")
    links = Links(engine, container)
    for volume in volumes:
        found = beneath(changed, {posixpath.normpath(volume), links.way(volume)[-1]})
        if found:
            shown = ", ".join(found[:_SHOWN]) + (" …" if len(found) > _SHOWN else "")
            raise SealError(
                f"tier {tier!r}: its role changed {shown} beneath {volume}, which is a volume that "
                f"{_owner(engine, parent, volume)} declares: containers do not see there what an image holds. Put it "
                f"elsewhere, or say in tier_config.volumes which volumes the image of {tier!r} has: with {volume}, to "
                "give new volumes this content, or without"
            )


def beneath(changed: Iterable[str], folders: Iterable[str]) -> list[str]:
    """The paths that lie in one of the folders, and not merely are one; sorted, without those that lead to others."""
    prefixes = tuple(folder.rstrip("/") + "/" for folder in folders)
    found = {path for path in changed if path.startswith(prefixes)}
    return sorted(found - {posixpath.dirname(path) for path in found})


def _owner(engine: Engine, parent: Image, volume: str) -> str:
    """The highest ancestor from which on all images down to ``parent`` have the volume."""
    owner = parent
    while above := owner.labels.get(labels.PARENT):
        image = engine.images.find(above)
        if image is None:
            return f"tier {owner.labels.get(labels.TIER)!r}, or one that it stands on,"
        if volume not in (image.config.get("Volumes") or ()):
            break
        owner = image
    return f"tier {owner.labels.get(labels.TIER)!r}"
