# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Outside inputs: what a role fetches while it is applied, and no file of it shows.

An input becomes one part of the build key. Its name has no mirror and no password in it: images carry it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .parts import digest_bytes

#: Makes a digest out of the pieces that an address answers.
Digest = Callable[[Iterable[bytes]], str]


@dataclass(frozen=True, slots=True)
class Known:
    """An input whose digest needs no asking."""

    #: What it is called after ``input/`` in the key.
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Asked:
    """An input that an address has to be asked for."""

    #: What it is called after ``input/`` in the key.
    name: str
    #: The variable that declares it, for messages.
    variable: str
    #: The address, or where it is what this machine's apt is configured for, the part of it after that.
    address: str
    #: Makes the digest out of the answer.
    digest: Digest
    #: Kind of apt's own mirror that ``address`` begins at: ``archive`` or ``security``; ``None`` for a whole address.
    mirror: str | None = None

    @property
    def question(self) -> str:
        """Name that the answer is remembered by."""
        return f"{self.digest.__name__} {self.mirror or ''} {self.address}"


def readable(address: str) -> str:
    """Name of an address without scheme, user, password and query, any of which may hold a secret."""
    parts = urlsplit(address)
    return f"{parts.hostname or ''}{parts.path}"


def digest_whole(pieces: Iterable[bytes]) -> str:
    """Digest all of an answer."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return f"sha256:{digest.hexdigest()}"


def digest_index(pieces: Iterable[bytes]) -> str:
    """Digest what an archive's ``InRelease`` says of its packages.

    Only the lines with checksums of index files count: the date, the time until which it is valid and the signature are
    made anew although no package changed. The strongest checksums are taken
    (https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files).

    Raises:
        ValueError: There are no such lines.
    """
    text = b"".join(pieces).decode(errors="replace")
    for name in ("SHA512", "SHA256"):
        found = re.search(rf"^{name}:[ \t]*\r?\n((?:[ \t]+.*(?:\n|$))+)", text, re.MULTILINE)
        if found:
            lines = sorted(" ".join(line.split()) for line in found[1].splitlines())
            return digest_bytes("\n".join(lines).encode())
    raise ValueError("it is no InRelease file: it has no checksums of index files")
