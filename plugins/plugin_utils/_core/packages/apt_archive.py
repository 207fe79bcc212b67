# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an archive has, from its index files (https://wiki.debian.org/DebianRepository/Format).

Every index of packages is compared with the size and the digest that the archive's ``InRelease`` says it has. What was
read of one is remembered by that digest, so only what changed is fetched again.
"""

from __future__ import annotations

import hashlib
import importlib
import lzma
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from ..build_key.outside_inputs import readable
from ..layer_index.index import Store
from ..layer_index.merged_files import Kept
from .apt_preferences import Shelf
from .apt_sources import NotReadError, Source, check, keyrings, stanzas

#: Bytes of an ``InRelease``, and of an index of packages, at most; packed and unpacked.
_LARGEST_RELEASE, _LARGEST_PACKED, _LARGEST_INDEX = 16 << 20, 512 << 20, 2 << 30

_SECURITY_SUITE = re.compile(r".*(-security|/updates)")
_SECURITY_LABEL = "Debian-Security"

#: Version and architecture of each package, by its name.
Packages = Mapping[str, list[list[str]]]


@dataclass(frozen=True, slots=True)
class Component:
    """One component of an archive for one architecture, read."""

    #: Address without what may be secret: ``deb.debian.org/debian bookworm-security main``.
    title: str
    shelf: Shelf
    #: Whether what it has are security updates.
    security: bool
    #: :data:`.apt_sources.CHECKED`, or why the signature was not checked.
    signature: str
    packages: Packages


class Archives:
    """Archives, each asked once, however many images take packages from it."""

    def __init__(self, store: Store, say: Callable[[str], None]) -> None:
        """Take where to remember what was read, and what to call with a line before something that takes time."""
        self._store = store
        # Imported here, for requests takes long: the command's other verbs do without.
        self._fetched = importlib.import_module(".archive_http", __package__).Fetched(say)
        self._read: dict[tuple[object, ...], list[Component] | NotReadError] = {}
        self._packages: dict[str, Packages] = {}

    def components(self, source: Source, architecture: str, kept: Kept) -> list[Component]:
        """Read what a source has for an architecture.

        Args:
            source: Where to look.
            architecture: Debian's name of it.
            kept: The image's files, for its keyrings.

        Raises:
            NotReadError: The archive does not answer, is not what it says, or not signed as it has to be.
        """
        keys = keyrings(source, kept)
        asked = (source, architecture, None if keys is None else tuple(keys))
        if asked not in self._read:
            try:
                self._read[asked] = list(self._components(source, architecture, keys))
            except NotReadError as error:
                self._read[asked] = error
        answer = self._read[asked]
        if isinstance(answer, NotReadError):
            raise answer
        return answer

    def _components(self, source: Source, architecture: str, keys: list[bytes] | None) -> Iterator[Component]:
        if source.architectures and architecture not in source.architectures:
            return
        host = _host(source.uri)
        suite = source.suite.replace("$(ARCH)", architecture)
        flat = suite.endswith("/")
        folder = f"{source.uri}/{suite.rstrip('/')}" if flat else f"{source.uri}/dists/{suite}"
        text, signature = self._release(folder, keys, trusted=source.trusted)
        release = next(iter(stanzas(text)), {})
        if not source.ages and _is_past(release.get("valid-until", "")):
            raise NotReadError(f"what it answers was valid until {release['valid-until']}")
        security = _SECURITY_SUITE.fullmatch(suite) is not None or release.get("label") == _SECURITY_LABEL
        for component in source.components or ("",):
            shelf = Shelf(host, component, release)
            for path in _paths(component, architecture, release, flat=flat):
                packages = self._listed(folder, path, release)
                yield Component(f"{title(source)} {component}".rstrip(), shelf, security, signature, packages)

    def _release(self, folder: str, keys: list[bytes] | None, *, trusted: bool) -> tuple[str, str]:
        address = f"{folder}/InRelease"
        if trusted:
            try:
                text = self._fetched.content(address, _LARGEST_RELEASE)
            except NotReadError:
                text = self._fetched.content(f"{folder}/Release", _LARGEST_RELEASE)
            unsigned = text if not text.startswith(b"-----BEGIN PGP") else check(text, None)[0]
            return unsigned.decode(errors="replace"), "not checked: the image takes it unsigned"
        content, signature = check(self._fetched.content(address, _LARGEST_RELEASE), keys)
        return content.decode(errors="replace"), signature

    def _listed(self, folder: str, path: str, release: Mapping[str, str]) -> Packages:
        listed = {name: (digest, size) for digest, size, name in _checksums(release.get("sha256", ""))}
        ending = next((ending for ending in _UNPACKERS if f"{path}{ending}" in listed), None)
        if ending is None:
            raise NotReadError(f"it lists no {path}, plain or packed with xz or gzip, with its SHA-256 digest")
        digest, size = listed[f"{path}{ending}"]
        if digest not in self._packages:
            known = self._store.value("packages", digest)
            self._packages[digest] = (
                self._ask(folder, f"{path}{ending}", digest, size, release) if known is None else known
            )
        return self._packages[digest]

    def _ask(self, folder: str, path: str, digest: str, size: int, release: Mapping[str, str]) -> Packages:
        name = path
        if release.get("acquire-by-hash") == "yes":
            name = f"{path.rpartition('/')[0]}/by-hash/SHA256/{digest}".lstrip("/")
        content = self._fetched.content(f"{folder}/{name}", min(size, _LARGEST_PACKED), f"{folder}/{path}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise NotReadError(f"{path} is not what its InRelease says; it may just be changing, ask again")
        unpack = next(unpack for ending, unpack in _UNPACKERS.items() if path.endswith(ending))
        found = _paragraphs(unpack(content))
        self._store.put("packages", digest, found)
        return found


def title(source: Source) -> str:
    """What a source is called: ``deb.debian.org/debian bookworm``, without what may be secret."""
    try:
        name = readable(source.uri)
    except ValueError:
        name = ""
    return f"{name or source.uri.partition(':')[0]} {source.suite}"


def _host(uri: str) -> str:
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NotReadError("only archives on http and https are read")
    return parts.hostname


def _paths(component: str, architecture: str, release: Mapping[str, str], *, flat: bool) -> Iterator[str]:
    if flat:
        yield "Packages"
        return
    offered = release.get("architectures", "").split()
    yield f"{component}/binary-{architecture}/Packages"
    if "all" in offered and release.get("no-support-for-architecture-all") != "Packages":
        yield f"{component}/binary-all/Packages"


def _checksums(section: str) -> Iterator[tuple[str, int, str]]:
    for line in section.splitlines():
        fields = line.split()
        if len(fields) == 3 and re.fullmatch(r"[0-9a-f]{64}", fields[0]) and fields[1].isdecimal():  # noqa: PLR2004 - digest, size, path
            yield fields[0], int(fields[1]), fields[2]


def _is_past(moment: str) -> bool:
    try:
        return bool(moment) and parsedate_to_datetime(moment).timestamp() < time.time()
    except ValueError:
        return False


def _paragraphs(content: bytes) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for paragraph in content.decode(errors="replace").split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if len(fields) == len(_NAMES):
            found.setdefault(fields["Package"], []).append([fields["Version"], fields["Architecture"]])
    return found


_NAMES = ("Package", "Version", "Architecture")
_FIELD = re.compile(rf"^({'|'.join(_NAMES)}):[ \t]*(\S+)", re.MULTILINE)


def _unpacked(decompressor: Any, content: bytes, failures: type[Exception]) -> bytes:
    try:
        unpacked: bytes = decompressor.decompress(content, _LARGEST_INDEX)
    except failures as error:
        raise NotReadError(f"an index of its packages is damaged ({error})") from error
    return unpacked


#: Ending of an index to what unpacks it, the best first.
_UNPACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lambda content: _unpacked(lzma.LZMADecompressor(), content, lzma.LZMAError),
    ".gz": lambda content: _unpacked(zlib.decompressobj(wbits=31), content, zlib.error),
    "": lambda content: content,
}
