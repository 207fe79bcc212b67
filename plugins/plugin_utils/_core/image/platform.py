# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the distribution and the processor of an image, and checks whether the engine can run it and add a layer.

The distribution is read from ``os-release`` (https://www.freedesktop.org/software/systemd/man/os-release.html).
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

from ..engine.engine import Engine
from ..engine.inspection import Image
from ..errors import SourceError

#: The family of distributions for values of ``ID`` and ``ID_LIKE``.
_FAMILIES = {"debian": "debian", "ubuntu": "debian", "rhel": "redhat", "fedora": "redhat", "alpine": "alpine"}

_OS_RELEASE = "usr/lib/os-release"

#: Limit of bytes that are read of an archive with this file.
_MAX_BYTES = 1 << 20


def family_of_archive(rootfs: Path) -> str | None:
    """Return the distribution family of an archive: ``debian``, ``redhat`` or ``alpine``; ``None`` if unknown."""
    with tarfile.open(rootfs, "r:") as tar:
        for entry in tar:
            if entry.name.removeprefix("./") == _OS_RELEASE and entry.isfile():
                file = tar.extractfile(entry)
                return _family(file.read() if file else b"")
    return None


def family_of_image(engine: Engine, image: str) -> str | None:
    """Do the same for an image. It is not started."""
    with engine.files.of_image(image, "/" + _OS_RELEASE) as pieces:
        if pieces is None:
            return None
        try:
            with tarfile.open(fileobj=io.BytesIO(_beginning(pieces))) as tar:
                file = tar.extractfile(tar.getmembers()[0])
                return _family(file.read() if file else b"")
        except tarfile.TarError:
            return None


def _beginning(pieces: Iterable[bytes]) -> bytes:
    """Return the beginning of an archive, with a size limit: the image is not trusted, and the file may be huge."""
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > _MAX_BYTES:
            break
    return bytes(content[:_MAX_BYTES])


def _family(os_release: bytes) -> str | None:
    settings = {
        key.strip(): value.strip().strip("\"'")
        for key, _, value in (line.partition("=") for line in os_release.decode(errors="replace").splitlines())
    }
    words = [settings.get("ID", ""), *settings.get("ID_LIKE", "").split()]
    return next((_FAMILIES[word] for word in words if word in _FAMILIES), None)


#: Other architectures whose programs a processor runs.
_ALSO_RUNS = {"amd64": {"386"}, "arm64": {"arm"}}

#: Paths of programs in a root file system. The header of a program contains the byte order and the processor
#: (``elf(5)``).
_PROGRAMS = re.compile(r"(?:\./)?(?:usr/)?s?bin/[^/]+")
_HEADER_SIZE = 20
_BIG_ENDIAN = 2
_MACHINES = {
    3: "386",
    21: "ppc64le",
    22: "s390x",
    40: "arm",
    62: "amd64",
    183: "arm64",
    243: "riscv64",
    258: "loong64",
}


def check(engine: Engine, tier: str, reference: str, image: Image) -> None:
    """Reject an image for a different platform than the engine's.

    Args:
        engine: The engine.
        tier: The tier, for the message.
        reference: The image as the inventory names it.
        image: The engine's information about it.

    Raises:
        SourceError: The engine cannot run the image.
        EngineError: The engine does not answer.
    """
    system, architecture = engine.system.platform()
    if image.os != system or not _runs(architecture, image.architecture):
        raise SourceError(
            f"tier {tier!r}: {reference} is for {image.os}/{image.architecture}, and the engine runs "
            f"{system}/{architecture}; expected an image for the engine's platform. With the digest of an index, the "
            "engine pulls the right image; the digest of a manifest is for one platform only: `docker buildx "
            "imagetools inspect NAME` lists both"
        )


def check_archive(engine: Engine, tier: str, archive: str, rootfs: Path) -> None:
    """Reject a root file system with programs for a different processor than the engine's.

    Args:
        engine: The engine.
        tier: The tier, for the message.
        archive: The archive as the inventory names it.
        rootfs: The uncompressed archive.

    Raises:
        SourceError: The engine cannot run the programs.
        EngineError: The engine does not answer.
    """
    machine, (_system, architecture) = _machine(rootfs), engine.system.platform()
    if machine is not None and not _runs(architecture, machine):
        raise SourceError(
            f"tier {tier!r}: the programs in tier_import.archive {archive} are for {machine}, and the engine runs "
            f"{architecture}; expected a root file system for the engine's processor"
        )


def check_depth(engine: Engine, tier: str, parent_image: Image) -> None:
    """Reject a parent that already has the maximum number of layers.

    Args:
        engine: The engine.
        tier: The tier, for the message.
        parent_image: The image that the tier is based on.

    Raises:
        SourceError: The parent has as many layers as the engine allows.
        EngineError: The engine does not answer.
    """
    limit = engine.kind.most_layers
    if limit is not None and len(parent_image.layers) >= limit:
        raise SourceError(
            f"tier {tier!r}: its parent has {len(parent_image.layers)} layers already, and the engine allows "
            f"{limit} in one image; use a base with fewer layers (a tier_import of a `docker export` has only one)"
        )


def _runs(machine: str, program: str) -> bool:
    return program == machine or program in _ALSO_RUNS.get(machine, ())


def _machine(rootfs: Path) -> str | None:
    """Return the processor of the first program in an archive; ``None`` if there is no program, or it is unknown."""
    with tarfile.open(rootfs, "r:") as tar:
        for entry in tar:
            if entry.isfile() and _PROGRAMS.match(entry.name):
                file = tar.extractfile(entry)
                head = file.read(_HEADER_SIZE) if file else b""
                if head.startswith(b"\x7fELF") and len(head) == _HEADER_SIZE:
                    return _MACHINES.get(int.from_bytes(head[18:20], "big" if head[5] == _BIG_ENDIAN else "little"))
    return None
