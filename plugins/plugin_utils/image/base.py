# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bases: tiers that stand on nothing and are imported rather than built by a role."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, assert_never

from ..chain.reference import split_pinned
from ..chain.tier import Bootstrap, Import, Pull, Tier
from ..engine.engine import Engine
from ..engine.image import Image
from ..errors import SourceError
from . import distribution, platform
from .archive import digest_file
from .bootstrap import bootstrap, released
from .cleaner import Cleaner, settle
from .entry import Change
from .exported import entries
from .history import EARLIEST
from .layer import Layer
from .left_out import lines
from .load import Layers
from .rootfs import check_checksum, latest, unpack
from .seal import Design, assemble
from .tasks import Timeline

#: Of a base that comes without any.
_SETTINGS = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"]}

Identity = Callable[[str | None], Mapping[str, str]]


def make(
    engine: Engine,
    *,
    tier: Tier,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
    announce: Callable[[str], object] = lambda _image: None,
) -> Image:
    """Make a base's image from its source. No name is given to it.

    Args:
        engine: The engine.
        tier: A tier with a source.
        declared: Its checked ``tier_config``.
        identity: Makes the labels, given the family of the distribution inside.
        say: Called with a line for each step that takes time.
        announce: Called with the image's ID before the engine has it.

    Raises:
        SourceError: The source is missing, is not the expected one, or failed.
        SealError: It holds something that no layer can carry.
        EngineError: The engine refused.
    """
    match tier.source:
        case Pull():
            return _pull(engine, tier, tier.source, declared, identity, say, announce)
        case Bootstrap():
            return _bootstrap(engine, tier, tier.source, declared, identity, say, announce)
        case Import():
            return _import(engine, tier, tier.source, declared, identity, say, announce)
        case None:
            raise SourceError(f"tier {tier.name!r} is no base: it stands on {tier.parent!r}")
        case _:
            assert_never(tier.source)


def _bootstrap(
    engine: Engine,
    tier: Tier,
    source: Bootstrap,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
    announce: Callable[[str], object],
) -> Image:
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        plain = Path(folder, "rootfs.tar")
        epoch = tier.epoch or released(tier.name, source)
        bootstrap(tier.name, source, plain, epoch, say)
        family = distribution.family_of_archive(plain)
        new = (Change(entry, None) for entry in entries(plain))
        cleaner = Cleaner(family, tier.drop, tier.keep)
        layer = Layer(settle(new, cleaner), epoch)
        for line in lines(cleaner.left_out, Timeline()):
            say(line)
        say("handing the root file system to the engine")
        design = Design(
            tier, f"debian {source.suite}", epoch, declared, identity(family), settings=_SETTINGS, announce=announce
        )
        return assemble(engine, design, layer=layer)


def _import(
    engine: Engine,
    tier: Tier,
    source: Import,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
    announce: Callable[[str], object],
) -> Image:
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        plain = Path(folder, "rootfs.tar")
        check_checksum(tier.name, Path(source.archive), source.checksum)
        unpack(tier.name, Path(source.archive), plain)
        platform.check_archive(engine, tier.name, source.archive, plain)
        say("handing the root file system to the engine")
        digest, family = digest_file(plain), distribution.family_of_archive(plain)
        epoch = tier.epoch or latest(plain)
        design = Design(
            tier, f"archive {source.checksum}", epoch, declared, identity(family), settings=_SETTINGS, announce=announce
        )
        return assemble(engine, design, layers=Layers((digest,), {digest: plain}))


def _pull(
    engine: Engine,
    tier: Tier,
    source: Pull,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
    announce: Callable[[str], object],
) -> Image:
    pinned = split_pinned(source.reference)
    if pinned is None:
        raise SourceError(f"tier {tier.name!r}: tier_pull is {source.reference!r}, expected name@sha256:…")
    reference = "@".join(pinned)
    pulled = engine.images.find(reference)
    if pulled is None:
        say(f"pulling {reference}")
        engine.images.pull(*pinned, f"tier {tier.name!r}: pulling tier_pull {reference}")
        pulled = engine.images.get(reference)
    platform.check(engine, tier.name, reference, pulled)
    family = distribution.family_of_image(engine, pulled.id)
    epoch = tier.epoch or max(pulled.created, EARLIEST)
    design = Design(tier, f"image {reference}", epoch, declared, identity(family), parent=pulled, announce=announce)
    return assemble(engine, design)
