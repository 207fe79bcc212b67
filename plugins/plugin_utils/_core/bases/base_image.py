# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a base: bootstrap, import or pull.

Root file system archives from elsewhere, opened as if hostile.

Bases: tiers that stand on nothing and are imported rather than built by a role.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, assert_never

from ..chain.names import split_pinned
from ..chain.tier import Bootstrap, Import, Pull, Tier
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import SourceError, described
from ..image import platform
from ..image.provenance import EARLIEST
from ..layer.build_memory import Timeline, left_out_lines
from ..layer.cleaner import Cleaner, settle
from ..layer.file_entry import PathChange
from ..layer.root_tar import entries
from ..layer.tar_writer import Layer
from ..sealing.image_archive import digest_file
from ..sealing.loading import Layers
from ..sealing.seal import Design, assemble
from .debian_bootstrap import bootstrap, released

_CHUNK = 1 << 20

#: Most bytes that an archive may unpack to; a compressed one can promise any number.
LARGEST = 64 << 30

#: The end of what an image's fields for times hold everywhere: the year 2106.
_LATEST = 2**32

_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


def check_checksum(tier: str, archive: Path, checksum: str) -> None:
    """Compare an archive with the checksum that the inventory gives.

    Raises:
        SourceError: The archive cannot be read, or is another one.
    """
    try:
        found = digest_file(archive)
    except OSError as error:
        raise SourceError(
            f"tier {tier!r}: tier_import.archive {archive} cannot be read ({error.strerror}); "
            "relative paths start at the inventory's folder"
        ) from error
    if found != checksum:
        raise SourceError(
            f"tier {tier!r}: tier_import.checksum does not match: {archive} has {found}, expected {checksum}; "
            "get the right archive, or correct the checksum if the archive is the one you trust"
        )


def unpack(tier: str, archive: Path, target: Path) -> None:
    """Write the plain tar inside ``archive`` to ``target`` after looking at every entry.

    Raises:
        SourceError: It is no tar archive, it is too large, or an entry tries to leave the root file system.
    """
    with archive.open("rb") as file:
        start = file.read(6)
    opener = next((open_ for magic, open_ in _OPENERS.items() if start.startswith(magic)), None)
    try:
        with opener(archive) if opener else archive.open("rb") as source, target.open("wb") as plain:
            _copy(tier, source, plain)
        with tarfile.open(target, "r:") as tar:
            for entry in tar:
                _check(tier, archive, entry)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk, not what is in the archive
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} cannot be unpacked: {described(error)}"
            ) from error
        raise SourceError(
            f"tier {tier!r}: tier_import.archive {archive} is no tar archive, plain or packed with gzip, bzip2 or xz "
            f"({error})"
        ) from error


def latest(rootfs: Path) -> int:
    """Time of the youngest file in a plain tar, in seconds since 1970, within what an image's fields hold."""
    with tarfile.open(rootfs, "r:") as tar:
        return max((int(entry.mtime) for entry in tar if EARLIEST <= entry.mtime < _LATEST), default=EARLIEST)


def _copy(tier: str, source: BinaryIO, plain: BinaryIO) -> None:
    written = 0
    while piece := source.read(_CHUNK):
        written += plain.write(piece)
        if written > LARGEST:
            raise SourceError(f"tier {tier!r}: tier_import.archive unpacks to more than {LARGEST >> 30} GiB")


def _check(tier: str, archive: Path, entry: tarfile.TarInfo) -> None:
    names = [entry.name, entry.linkname] if entry.islnk() else [entry.name]
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} has an entry {name!r} that leaves the root file system; "
                "do not use this archive"
            )
        if path.name.startswith(".wh."):
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} has a whiteout {name!r}; it is an image's layer, "
                "not a root file system: import that image with tier_pull"
            )


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
        family = platform.family_of_archive(plain)
        new = (PathChange(entry, None) for entry in entries(plain))
        cleaner = Cleaner(family, tier.drop, tier.keep)
        layer = Layer(settle(new, cleaner), epoch)
        for line in left_out_lines(cleaner.left_out, Timeline()):
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
        digest, family = digest_file(plain), platform.family_of_archive(plain)
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
    family = platform.family_of_image(engine, pulled.id)
    epoch = tier.epoch or max(pulled.created, EARLIEST)
    design = Design(tier, f"image {reference}", epoch, declared, identity(family), parent=pulled, announce=announce)
    return assemble(engine, design)
