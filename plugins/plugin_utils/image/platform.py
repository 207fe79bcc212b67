# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether an engine can run what is in an image, and put a layer on it."""

from __future__ import annotations

import docker

from ..engine import kind
from ..engine.client import translated
from ..engine.images import Image
from ..errors import SourceError

#: What a processor runs besides its own.
_RUNS = {"amd64": {"386"}, "arm64": {"arm"}}


def check(client: docker.DockerClient, tier: str, reference: str, image: Image) -> None:
    """Refuse an image that is for other machines than the engine's.

    Args:
        client: The engine.
        tier: The tier, for the message.
        reference: The image as the inventory names it.
        image: What the engine says of it.

    Raises:
        SourceError: It is.
        EngineError: The engine does not answer.
    """
    with translated("asking the engine for its platform"):
        told = client.api.version()
    system, architecture = str(told.get("Os") or "linux"), str(told.get("Arch") or image.architecture)
    if image.os != system or image.architecture not in {architecture, *_RUNS.get(architecture, ())}:
        raise SourceError(
            f"tier {tier!r}: {reference} is for {image.os}/{image.architecture}, and the engine runs "
            f"{system}/{architecture}; expected an image for the engine's machine. A digest of an index leads to the "
            "right one, that of a manifest to one platform only: `docker buildx imagetools inspect NAME` lists both"
        )


def check_depth(client: docker.DockerClient, tier: str, parent: Image) -> None:
    """Refuse a parent that the engine can put no layer on.

    Args:
        client: The engine.
        tier: The tier, for the message.
        parent: The image that its layer lies on.

    Raises:
        SourceError: The parent has as many layers as the engine allows.
        EngineError: The engine does not answer.
    """
    most = kind.of(client).most_layers
    if most is not None and len(parent.layers) >= most:
        raise SourceError(
            f"tier {tier!r}: its parent has {len(parent.layers)} layers already, and the engine allows {most} in one "
            "image; take a base with fewer (tier_import of `docker export` makes one layer of all)"
        )
