# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Distribution inside, and whether the engine can run it.

Which distribution is inside, told from ``os-release``
(https://www.freedesktop.org/software/systemd/man/os-release.html).

Whether an engine can run what is in an image, and put a layer on it.
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

#: ``ID`` and ``ID_LIKE`` values to the family they belong to.
_FAMILIES = {"debian": "debian", "ubuntu": "debian", "rhel": "redhat", "fedora": "redhat", "alpine": "alpine"}

_FILE = "usr/lib/os-release"

#: Bytes that are read of it.
_LARGEST = 1 << 20


def family_of_archive(rootfs: Path) -> str | None:
    """Family of the distribution in a root file system archive: ``debian``, ``redhat`` …; ``None`` if unknown."""
    with tarfile.open(rootfs, "r:") as tar:
        for entry in tar:
            if entry.name.removeprefix("./") == _FILE and entry.isfile():
                file = tar.extractfile(entry)
                return _family(file.read() if file else b"")
    return None


def family_of_image(engine: Engine, image: str) -> str | None:
    """The same for an image, which is looked into without being started."""
    with engine.files.of_image(image, "/" + _FILE) as pieces:
        if pieces is None:
            return None
        try:
            with tarfile.open(fileobj=io.BytesIO(_beginning(pieces))) as tar:
                file = tar.extractfile(tar.getmembers()[0])
                return _family(file.read() if file else b"")
        except tarfile.TarError:
            return None


def _beginning(pieces: Iterable[bytes]) -> bytes:
    """As much of an archive as one small file takes: the image is somebody else's, and may have anything there."""
    taken = bytearray()
    for piece in pieces:
        taken += piece
        if len(taken) > _LARGEST:
            break
    return bytes(taken[:_LARGEST])


def _family(os_release: bytes) -> str | None:
    settings = {
        key.strip(): value.strip().strip("\"'")
        for key, _, value in (line.partition("=") for line in os_release.decode(errors="replace").splitlines())
    }
    words = [settings.get("ID", ""), *settings.get("ID_LIKE", "").split()]
    return next((_FAMILIES[word] for word in words if word in _FAMILIES), None)


#: What a processor runs besides its own.
_RUNS = {"amd64": {"386"}, "arm64": {"arm"}}

#: Programs of a root file system, and the beginning of one (``elf(5)``): its byte order, and its processor.
_PROGRAMS = re.compile(r"(?:\./)?(?:usr/)?s?bin/[^/]+")
_HEADER = 20
_BIG = 2
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
    """Refuse an image that is for other machines than the engine's.

    Args:
        engine: The engine.
        tier: The tier, for the message.
        reference: The image as the inventory names it.
        image: What the engine says of it.

    Raises:
        SourceError: It is.
        EngineError: The engine does not answer.
    """
    system, architecture = engine.system.platform()
    if image.os != system or not _runs(architecture, image.architecture):
        raise SourceError(
            f"tier {tier!r}: {reference} is for {image.os}/{image.architecture}, and the engine runs "
            f"{system}/{architecture}; expected an image for the engine's machine. A digest of an index leads to the "
            "right one, that of a manifest to one platform only: `docker buildx imagetools inspect NAME` lists both"
        )


def check_archive(engine: Engine, tier: str, archive: str, rootfs: Path) -> None:
    """Refuse a root file system whose programs are for another processor than the engine's.

    Args:
        engine: The engine.
        tier: The tier, for the message.
        archive: What the inventory names.
        rootfs: The plain archive.

    Raises:
        SourceError: They are.
        EngineError: The engine does not answer.
    """
    found, (_system, architecture) = _machine(rootfs), engine.system.platform()
    if found is not None and not _runs(architecture, found):
        raise SourceError(
            f"tier {tier!r}: the programs in tier_import.archive {archive} are for {found}, and the engine runs "
            f"{architecture}; expected a root file system for the engine's machine"
        )


def check_depth(engine: Engine, tier: str, parent_image: Image) -> None:
    """Refuse a parent that the engine can put no layer on.

    Args:
        engine: The engine.
        tier: The tier, for the message.
        parent_image: The image that its layer lies on.

    Raises:
        SourceError: The parent has as many layers as the engine allows.
        EngineError: The engine does not answer.
    """
    most = engine.kind.most_layers
    if most is not None and len(parent_image.layers) >= most:
        raise SourceError(
            f"tier {tier!r}: its parent has {len(parent_image.layers)} layers already, and the engine allows "
            f"{most} in one "
            "image; take a base with fewer (tier_import of `docker export` makes one layer of all)"
        )


def _runs(machine: str, program: str) -> bool:
    return program == machine or program in _RUNS.get(machine, ())


def _machine(rootfs: Path) -> str | None:
    """What the first program in an archive is for; ``None`` where it has none, or one of an unknown kind."""
    with tarfile.open(rootfs, "r:") as tar:
        for entry in tar:
            if entry.isfile() and _PROGRAMS.match(entry.name):
                file = tar.extractfile(entry)
                head = file.read(_HEADER) if file else b""
                if head.startswith(b"\x7fELF") and len(head) == _HEADER:
                    return _MACHINES.get(int.from_bytes(head[18:20], "big" if head[5] == _BIG else "little"))
    return None
