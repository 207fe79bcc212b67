# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sealing: a build container's changes become the tier's one layer, on its parent's layers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import docker

from ..chain.tier import Tier
from ..engine import images
from ..engine.client import translated
from ..engine.images import Image
from ..errors import EngineError
from . import history
from .archive import EMPTY_LAYER, EMPTY_LAYER_DIGEST, LayerContent
from .config import document, runtime_config
from .load import Layers, load
from .stage import below


def seal(
    client: docker.DockerClient,
    *,
    tier: Tier,
    container: str,
    parent: Image,
    declared: Mapping[str, Any],
    identity: Mapping[str, str],
) -> Image:
    """Make ``tier``'s image out of its build container. No name is given to it.

    The engine makes the layer; configuration and history are ours, so nothing of the build container's own
    (environment, host name, labels) gets in.

    Args:
        client: The engine.
        tier: The tier.
        container: Its build container.
        parent: The image the container was started on.
        declared: The tier's checked ``tier_config``.
        identity: Labels from :func:`.labels.identity`.

    Raises:
        ChainError: ``declared`` has a value that no image can have.
        EngineError: The engine refused, or the result would not have exactly one layer more than the parent.
    """
    config = runtime_config(images.full_config(client, parent), declared, identity)
    under = below(client, parent).digests
    with translated(f"tier {tier.name!r}: committing its build container"):
        committed = client.api.commit(container)["Id"]
    try:
        layer, contents = _new_layer(images.get(client, committed), under, tier)
        return assemble(
            client,
            tier=tier,
            parent=parent,
            layers=Layers((*parent.layers, layer), contents, committed),
            config=config,
            doing=f"role {tier.role}",
        )
    finally:
        images.remove(client, committed)


def assemble(
    client: docker.DockerClient,
    *,
    tier: Tier,
    parent: Image | None,
    layers: Layers,
    config: dict[str, Any],
    doing: str,
    architecture: str | None = None,
) -> Image:
    """Load an image of ``tier`` made of ``layers`` with a history that tells whose they are.

    Args:
        client: The engine.
        tier: The tier.
        parent: Image that the first layers and their history come from; ``None`` where the tier has none.
        layers: All layers.
        config: From :func:`.config.runtime_config`.
        doing: What made the last layer: ``"role httpd_php"``.
        architecture: Needed where there is no parent.

    Raises:
        EngineError: The engine refused.
    """
    created = history.timestamp(int(time.time()))
    past = [] if parent is None else history.of(client, parent.id, len(parent.layers))
    own = history.entry(tier, created, doing)
    if parent is not None and len(layers.digests) == len(parent.layers):
        own["empty_layer"] = True
    content = document(
        architecture=architecture or (parent.architecture if parent else "amd64"),
        os=parent.os if parent else "linux",
        config=config,
        layers=layers.digests,
        history=[*past, own],
        created=created,
        author=tier.team,
    )
    return images.get(client, load(client, content, layers))


def _new_layer(committed: Image, under: tuple[str, ...], tier: Tier) -> tuple[str, dict[str, LayerContent]]:
    """Find the layer that the role made; a role that changed nothing still gets one, without entries."""
    count = len(under)
    if committed.layers == under:
        return EMPTY_LAYER_DIGEST, {EMPTY_LAYER_DIGEST: EMPTY_LAYER}
    if committed.layers[:count] == under and len(committed.layers) == count + 1:
        return committed.layers[-1], {}
    raise EngineError(
        f"tier {tier.name!r}: its container has layers {committed.layers}, expected those it was started on "
        f"{under} and one more; somebody else's container took its name"
    )
