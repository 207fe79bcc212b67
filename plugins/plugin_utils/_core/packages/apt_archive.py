# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the package indexes of Debian archives (https://wiki.debian.org/DebianRepository/Format).

Each package index must have the size and the digest that the archive's ``InRelease`` lists. Parsed indexes are cached
by that digest, so only changed indexes are fetched again.
"""

from __future__ import annotations

import hashlib
import importlib
import lzma
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..build_key.outside_inputs import readable
from ..deb822 import checksums, paragraphs
from ..layer_index.index import Store
from ..layer_index.merged_files import AptFiles
from .apt_preferences import SuiteComponent
from .apt_sources import NotReadError, Source, check, keyrings

#: Size limits in bytes: of an ``InRelease``, of a compressed package index, and of an uncompressed one.
_LARGEST_RELEASE, _LARGEST_PACKED, _LARGEST_INDEX = 16 << 20, 512 << 20, 2 << 30

_SECURITY_SUITE = re.compile(r".*(-security|/updates)")
_SECURITY_LABEL = "Debian-Security"
_SHA256 = re.compile(r"[0-9a-f]{64}")

#: Package name to a list of ``[version, architecture]``; in an index of security updates, also the path of the file.
Packages = Mapping[str, list[list[str]]]


class PackageIndex(msgspec.Struct, frozen=True):
    """The packages of one component of an archive, for one architecture."""

    #: Address without secrets: ``deb.debian.org/debian bookworm-security main``.
    title: str
    component: SuiteComponent
    #: Whether its packages are security updates.
    security: bool
    #: :data:`.apt_sources.CHECKED`, or the reason why the signature was not checked.
    signature: str
    packages: Packages
    #: Address of the archive, below which the files are. It may contain a password.
    address: str


class Archives:
    """All archives that images use. Each archive is read once, even if many images use it."""

    def __init__(self, store: Store, report: Callable[[str], None]) -> None:
        """Cache package indexes in ``store``; call ``report`` with a line of progress before each request."""
        self._store = store
        # Imported here because importing requests is slow, and most verbs of the command do not need it.
        self._client = importlib.import_module(".archive_http", __package__).ArchiveClient(report)
        self._read: dict[tuple[object, ...], list[PackageIndex] | NotReadError] = {}
        self._packages: dict[tuple[str, str], Packages] = {}

    def indexes(self, source: Source, architecture: str, apt_files: AptFiles) -> list[PackageIndex]:
        """Read the package indexes of a source for one architecture.

        Args:
            source: The suite to read.
            architecture: The architecture as Debian names it, for example ``amd64``.
            apt_files: The image's files, for its keyrings.

        Raises:
            NotReadError: The archive does not answer, does not match its own digests, is out of date, or is not signed
                with a key that the image trusts.
        """
        keys = keyrings(source, apt_files)
        request = (source, architecture, None if keys is None else tuple(keys))
        if request not in self._read:
            try:
                self._read[request] = list(self._read_indexes(source, architecture, keys))
            except NotReadError as error:
                self._read[request] = error
        answer = self._read[request]
        if isinstance(answer, NotReadError):
            raise answer
        return answer

    def published(self, address: str) -> datetime | None:
        """Ask when a file of an archive was changed last; see :meth:`.ArchiveClient.modified`."""
        moment: datetime | None = self._client.modified(address)
        return moment

    def _read_indexes(self, source: Source, architecture: str, keys: list[bytes] | None) -> Iterator[PackageIndex]:
        if source.architectures and architecture not in source.architectures:
            return
        host = _host(source.uri)
        suite = source.suite.replace("$(ARCH)", architecture)
        flat = suite.endswith("/")
        folder = f"{source.uri}/{suite.rstrip('/')}" if flat else f"{source.uri}/dists/{suite}"
        text, signature = self._release(folder, keys, trusted=source.trusted)
        release = next(iter(paragraphs(text)), {})
        if not source.may_be_expired and _is_past(release.get("valid-until", "")):
            raise NotReadError(f"its InRelease is out of date: it was valid until {release['valid-until']}")
        security = _SECURITY_SUITE.fullmatch(suite) is not None or release.get("label") == _SECURITY_LABEL
        for name in source.components or ("",):
            component = SuiteComponent(host, name, release)
            for path in _paths(name, architecture, release, flat=flat):
                packages = self._index(folder, path, release, _SECURITY if security else _USUAL)
                yield PackageIndex(
                    f"{title(source)} {name}".rstrip(), component, security, signature, packages, source.uri
                )

    def _release(self, folder: str, keys: list[bytes] | None, *, trusted: bool) -> tuple[str, str]:
        address = f"{folder}/InRelease"
        if trusted:
            try:
                text = self._client.content(address, _LARGEST_RELEASE)
            except NotReadError:
                text = self._client.content(f"{folder}/Release", _LARGEST_RELEASE)
            content = text if not text.startswith(b"-----BEGIN PGP") else check(text, None)[0]
            return content.decode(errors="replace"), "not checked: the image trusts it without a signature"
        content, signature = check(self._client.content(address, _LARGEST_RELEASE), keys)
        return content.decode(errors="replace"), signature

    def _index(self, folder: str, path: str, release: Mapping[str, str], kind: str) -> Packages:
        files = {entry.path: entry for entry in checksums(release, "sha256") if _SHA256.fullmatch(entry.digest)}
        ending = next((ending for ending in _UNPACKERS if f"{path}{ending}" in files), None)
        if ending is None:
            raise NotReadError(
                f"its InRelease lists no {path} with a SHA-256 digest, neither uncompressed nor as .xz or .gz"
            )
        digest, size = (entry := files[f"{path}{ending}"]).digest, entry.size
        if (kind, digest) not in self._packages:
            packages = self._store.value(kind, digest)
            if packages is None:
                content = self._fetch(folder, f"{path}{ending}", digest, size, release)
                packages = _paragraphs(content, _KINDS[kind])
                self._store.put(kind, digest, packages)
            self._packages[kind, digest] = packages
        return self._packages[kind, digest]

    def _fetch(self, folder: str, path: str, digest: str, size: int, release: Mapping[str, str]) -> bytes:
        name = path
        if release.get("acquire-by-hash") == "yes":
            name = f"{path.rpartition('/')[0]}/by-hash/SHA256/{digest}".lstrip("/")
        content = self._client.content(f"{folder}/{name}", min(size, _LARGEST_PACKED), f"{folder}/{path}")
        actual = hashlib.sha256(content).hexdigest()
        if actual != digest:
            raise NotReadError(
                f"{path} has the SHA-256 digest {actual}, but its InRelease lists {digest}; "
                "the archive may be updating, try again"
            )
        unpack = next(unpack for ending, unpack in _UNPACKERS.items() if path.endswith(ending))
        return unpack(content)


def title(source: Source) -> str:
    """Return the name of a source for messages, without secrets: ``deb.debian.org/debian bookworm``."""
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
        raise NotReadError("only http and https are supported")
    return parts.hostname


def _paths(component: str, architecture: str, release: Mapping[str, str], *, flat: bool) -> Iterator[str]:
    if flat:
        yield "Packages"
        return
    architectures = release.get("architectures", "").split()
    yield f"{component}/binary-{architecture}/Packages"
    if "all" in architectures and release.get("no-support-for-architecture-all") != "Packages":
        yield f"{component}/binary-all/Packages"


def _is_past(moment: str) -> bool:
    try:
        return bool(moment) and parsedate_to_datetime(moment).timestamp() < time.time()
    except ValueError:
        return False


#: Names of fields of a package that every index keeps, and the name of its file.
_NAMES, _FILE = ("Package", "Version", "Architecture"), "Filename"
#: Kinds of cached indexes, and the fields that each keeps. The paths of files are needed for security updates only.
_USUAL, _SECURITY = "packages", "security-packages"
_KINDS = {_USUAL: _NAMES, _SECURITY: (*_NAMES, _FILE)}
_FIELD = re.compile(rf"^({'|'.join((*_NAMES, _FILE))}):[ \t]*(\S+)", re.MULTILINE)


def _paragraphs(content: bytes, names: tuple[str, ...]) -> dict[str, list[list[str]]]:
    packages: dict[str, list[list[str]]] = {}
    for paragraph in content.decode(errors="replace").split("\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        if fields.keys() >= set(_NAMES):
            name, *kept = (fields.get(field, "") for field in names)
            packages.setdefault(name, []).append(kept)
    return packages


def _unpacked(decompressor: Any, content: bytes, failures: type[Exception]) -> bytes:
    try:
        unpacked: bytes = decompressor.decompress(content, _LARGEST_INDEX)
    except failures as error:
        raise NotReadError(f"one of its package indexes is damaged ({error})") from error
    return unpacked


#: Ending of a package index to the function that decompresses it, in the order of preference.
_UNPACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lambda content: _unpacked(lzma.LZMADecompressor(), content, lzma.LZMAError),
    ".gz": lambda content: _unpacked(zlib.decompressobj(wbits=31), content, zlib.error),
    "": lambda content: content,
}
