# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bases: tiers that stand on nothing and are imported rather than built by a role."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, assert_never

import docker
import docker.errors

from ..chain.reference import split_pinned
from ..chain.tier import Bootstrap, Import, Pull, Tier
from ..engine import images
from ..engine.client import translated
from ..engine.images import Image
from ..errors import SourceError
from . import distribution
from .archive import digest_file
from .bootstrap import bootstrap
from .config import runtime_config
from .load import Layers
from .rootfs import check_checksum, unpack
from .seal import assemble

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Identity = Callable[[str | None], Mapping[str, str]]


def make(
    client: docker.DockerClient,
    *,
    tier: Tier,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
) -> Image:
    """Make a base's image from its source. No name is given to it.

    Args:
        client: The engine.
        tier: A tier with a source.
        declared: Its checked ``tier_config``.
        identity: Makes the labels, given the family of the distribution inside.
        say: Called with a line for each step that takes time.

    Raises:
        SourceError: The source is missing, is not the expected one, or failed.
        EngineError: The engine refused.
    """
    match tier.source:
        case Pull():
            return _pull(client, tier, tier.source, declared, identity, say)
        case Bootstrap() | Import():
            return _import(client, tier, tier.source, declared, identity, say)
        case None:
            raise SourceError(f"tier {tier.name!r} is no base: it stands on {tier.parent!r}")
        case _:
            assert_never(tier.source)


def _import(
    client: docker.DockerClient,
    tier: Tier,
    source: Bootstrap | Import,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
) -> Image:
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        plain = Path(folder, "rootfs.tar")
        if isinstance(source, Bootstrap):
            bootstrap(tier.name, source, plain, say)
            doing = f"debian {source.suite}"
        else:
            check_checksum(tier.name, Path(source.archive), source.checksum)
            unpack(tier.name, Path(source.archive), plain)
            doing = f"archive {source.checksum}"
        say("handing the root file system to the engine")
        layer = digest_file(plain)
        family = distribution.family_of_archive(plain)
        with translated("asking the engine for its platform"):
            architecture = client.api.version()["Arch"]
        config = runtime_config({"Env": [_PATH], "Cmd": ["/bin/sh"]}, declared, identity(family))
        return assemble(
            client,
            tier=tier,
            parent=None,
            layers=Layers((layer,), {layer: plain}),
            config=config,
            doing=doing,
            architecture=architecture,
        )


def _pull(
    client: docker.DockerClient,
    tier: Tier,
    source: Pull,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
) -> Image:
    pinned = split_pinned(source.reference)
    if pinned is None:
        raise SourceError(f"tier {tier.name!r}: tier_pull is {source.reference!r}, expected name@sha256:…")
    reference = "@".join(pinned)
    pulled = images.find(client, reference)
    if pulled is None:
        say(f"pulling {reference}")
        with translated(f"tier {tier.name!r}: pulling tier_pull {reference}"):
            client.images.pull(pinned[0], tag=pinned[1])
        pulled = images.get(client, reference)
    family = distribution.family_of_image(client, pulled.id)
    config = runtime_config(images.full_config(client, pulled), declared, identity(family))
    return assemble(
        client,
        tier=tier,
        parent=pulled,
        layers=Layers(pulled.layers, donor=pulled.id),
        config=config,
        doing=f"image {reference}",
    )
