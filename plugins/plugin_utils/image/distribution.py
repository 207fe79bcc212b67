# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which distribution is inside, told from ``os-release`` (https://www.freedesktop.org/software/systemd/man/os-release.html)."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from ..engine.engine import Engine

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
