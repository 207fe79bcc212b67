# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the image of a base, a tier without a parent: it is bootstrapped, imported or pulled.

An imported archive of a root file system is not trusted: all its entries are checked before it is used.
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
from ..chain.tier import Bootstrap, Follow, Import, Pull, Tier
from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import SourceError, describe_error
from ..image import platform
from ..image.provenance import EARLIEST
from ..layer.build_memory import Timeline, left_out_lines
from ..layer.cleaner import Cleaner, layer_entries
from ..layer.file_entry import PathChange
from ..layer.root_tar import entries
from ..layer.tar_writer import Layer
from ..sealing.image_archive import digest_file
from ..sealing.loading import Layers
from ..sealing.seal import ImageSpec, assemble
from .debian_bootstrap import bootstrap, released

_CHUNK = 1 << 20

#: Size limit in bytes of an uncompressed archive. A small compressed archive could expand to any size.
LARGEST = 64 << 30

#: Limit of times that all engines can store in an image: the year 2106.
_LATEST = 2**32

_OPENERS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}


def check_checksum(tier: str, archive: Path, checksum: str) -> None:
    """Compare an archive with the checksum in the inventory.

    Raises:
        SourceError: The archive cannot be read, or has a different checksum.
    """
    try:
        digest = digest_file(archive)
    except OSError as error:
        raise SourceError(
            f"tier {tier!r}: tier_import.archive {archive} cannot be read ({error.strerror}); "
            "relative paths start at the inventory's folder"
        ) from error
    if digest != checksum:
        raise SourceError(
            f"tier {tier!r}: tier_import.checksum does not match: {archive} has {digest}, expected {checksum}; "
            "get the right archive, or correct the checksum if you trust this archive"
        )


def unpack(tier: str, archive: Path, target: Path) -> None:
    """Write the uncompressed ``archive`` to ``target``, and check every entry.

    Raises:
        SourceError: It is not a tar archive, it is too large, an entry has a path outside the root file system, or it
            is a layer of an image.
    """
    with archive.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    try:
        with opener(archive) if opener else archive.open("rb") as source, target.open("wb") as plain:
            _copy(tier, source, plain)
        with tarfile.open(target, "r:") as tar:
            for entry in tar:
                _check(tier, archive, entry)
    except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # an error of the disk, not of the archive
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} cannot be unpacked: {describe_error(error)}"
            ) from error
        raise SourceError(
            f"tier {tier!r}: tier_import.archive {archive} is not a tar archive, uncompressed or compressed with gzip, "
            f"bzip2 or xz ({error})"
        ) from error


def latest(rootfs: Path) -> int:
    """Return the latest time of a file in an uncompressed archive, in seconds since 1970.

    Times that an image cannot store are ignored; if no other times exist, the result is :data:`EARLIEST`.
    """
    with tarfile.open(rootfs, "r:") as tar:
        return max((int(entry.mtime) for entry in tar if EARLIEST <= entry.mtime < _LATEST), default=EARLIEST)


def _copy(tier: str, source: BinaryIO, plain: BinaryIO) -> None:
    written = 0
    while piece := source.read(_CHUNK):
        written += plain.write(piece)
        if written > LARGEST:
            raise SourceError(f"tier {tier!r}: tier_import.archive has more than {LARGEST >> 30} GiB uncompressed")


def _check(tier: str, archive: Path, entry: tarfile.TarInfo) -> None:
    names = [entry.name, entry.linkname] if entry.islnk() else [entry.name]
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} has an entry {name!r} outside the root file system; "
                "do not use this archive"
            )
        if path.name.startswith(".wh."):
            raise SourceError(
                f"tier {tier!r}: tier_import.archive {archive} has a whiteout {name!r}; it is a layer of an image, "
                "not a root file system: use tier_pull with that image"
            )


#: Default settings of a base without settings of its own.
_SETTINGS = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["/bin/sh"]}

Identity = Callable[[str | None], Mapping[str, str]]
#: Refuses a pulled image: the image, and its name with the digest by which it was pulled.
CheckPulled = Callable[[Image, str], None]


def make(
    engine: Engine,
    *,
    tier: Tier,
    declared: Mapping[str, Any],
    identity: Identity,
    say: Callable[[str], None],
    announce: Callable[[str], object] = lambda _image: None,
    check_pulled: CheckPulled = lambda _image, _reference: None,
) -> Image:
    """Make a base's image from its source. The image gets no name.

    Args:
        engine: The engine.
        tier: A tier with a source.
        declared: Its checked ``tier_config``.
        identity: Returns the labels, given the family of the distribution.
        say: Called with a line for each step that takes time.
        announce: Called with the image's ID before the image is loaded.
        check_pulled: Refuses a pulled image, before anything is made from it.

    Raises:
        TrustError: A pulled image is refused.
        SourceError: The source is missing, is not the expected one, or failed.
        SealError: It has content that a layer cannot contain.
        EngineError: The engine rejected a request.
    """
    match tier.source:
        case Pull():
            pulled = _pull(engine, tier, tier.source, say)
            check_pulled(pulled, tier.source.reference)
            return _adapt(engine, tier, tier.source, declared, identity, pulled, announce)
        case Bootstrap():
            return _bootstrap(engine, tier, tier.source, declared, identity, say, announce)
        case Import():
            return _import(engine, tier, tier.source, declared, identity, say, announce)
        case Follow():
            raise SourceError(f"tier {tier.name!r} is not built here: it follows {tier.source.reference}")
        case None:
            raise SourceError(f"tier {tier.name!r} is not a base: it is based on {tier.parent!r}")
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
        changes = (PathChange(entry, None) for entry in entries(plain))
        cleaner = Cleaner(family, tier.drop, tier.keep)
        layer = Layer(layer_entries(changes, cleaner), epoch)
        for line in left_out_lines(cleaner.left_out, Timeline()):
            say(line)
        say("loading the root file system into the engine")
        spec = ImageSpec(
            tier, f"debian {source.suite}", epoch, declared, identity(family), settings=_SETTINGS, announce=announce
        )
        return assemble(engine, spec, layer=layer)


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
        say("loading the root file system into the engine")
        digest, family = digest_file(plain), platform.family_of_archive(plain)
        epoch = tier.epoch or latest(plain)
        spec = ImageSpec(
            tier, f"archive {source.checksum}", epoch, declared, identity(family), settings=_SETTINGS, announce=announce
        )
        return assemble(engine, spec, layers=Layers((digest,), {digest: plain}))


def _pull(engine: Engine, tier: Tier, source: Pull, say: Callable[[str], None]) -> Image:
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
    return pulled


def _adapt(
    engine: Engine,
    tier: Tier,
    source: Pull,
    declared: Mapping[str, Any],
    identity: Identity,
    pulled: Image,
    announce: Callable[[str], object],
) -> Image:
    """Make the base from the pulled image: it gets settings and labels of its own."""
    reference = "@".join(split_pinned(source.reference) or (source.reference,))
    family = platform.family_of_image(engine, pulled.id)
    epoch = tier.epoch or max(pulled.created, EARLIEST)
    spec = ImageSpec(tier, f"image {reference}", epoch, declared, identity(family), parent=pulled, announce=announce)
    return assemble(engine, spec)
