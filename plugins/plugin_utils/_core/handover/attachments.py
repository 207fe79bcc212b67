# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The attachment of a published image: its place in the chain, and the contract tests of its tier.

An attachment is an artifact whose ``subject`` is the manifest of the image (OCI image specification 1.1,
``manifest.md``). Lists of attachments are hostile, like all that they name.

Attachments are kept in a private cache by their digest. What is read from there is verified again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .. import local_files
from ..chain.names import is_digest, is_repository, split_registry
from ..errors import DamagedError
from ..records import decode
from ..transports.image_document import digest
from ..transports.manifests import parse_object
from ..transports.referrers import Referrer, fetch, list_referrers
from ..transports.registry_client import RegistryClient
from .tests_archive import LARGEST, PackedFile, pack, read_folder, unpack, write_folder

ARTIFACT = "application/vnd.tierwright.attachment.v1"
PLACE = "application/vnd.tierwright.place.v1+json"
TESTS = "application/vnd.tierwright.tests.v1.tar"
#: Annotation with the number of an attachment. The second attachment of an image replaces the first, which has none.
REVISION = "io.tierwright.revision"

_LARGEST_PLACE = 1 << 20
_MAX_DIGITS = 9
_LONGEST_NAME = 255


class PublishedParent(msgspec.Struct, frozen=True):
    """The published image that an image is based on."""

    #: Its name without tag: ``registry.example.org/operations/corebuild``.
    image: str
    #: The digest of its manifest.
    digest: str


class PublishedPlace(msgspec.Struct, frozen=True):
    """The place of an image in its chain."""

    tier: str
    #: The team that owns the tier.
    team: str
    chain: str
    #: The nearest ancestor that is published; ``None`` if there is none.
    parent: PublishedParent | None
    #: The path patterns that the tier itself protects, as in its labels.
    protects: tuple[str, ...]


class Attachment(msgspec.Struct, frozen=True):
    """The attachment of one image."""

    #: The digest of its own manifest.
    digest: str
    #: The digest of the manifest of the image.
    subject: str
    place: PublishedPlace
    #: A private folder with the contract tests and what they import; ``None`` if the tier has none.
    tests: Path | None


class Listed(msgspec.Struct, frozen=True):
    """An attachment as a registry lists it."""

    digest: str
    #: Its number. The attachment with the highest number counts.
    revision: int


def find_attachment(client: RegistryClient, repository: str, manifest: str) -> Attachment | None:
    """Find the newest attachment of an image, and download it.

    Args:
        client: The registry.
        repository: The repository of the image.
        manifest: The digest of the image's manifest.

    Returns:
        The attachment; ``None`` if the image has none.

    Raises:
        DamagedError: The registry's list or the attachment is damaged or has an unexpected form.
        EngineError: The registry rejected a request, or does not answer.
    """
    listed = list_attachments(client, repository, manifest)
    return read_attachment(client, repository, manifest, listed[-1].digest) if listed else None


def list_attachments(client: RegistryClient, repository: str, manifest: str) -> list[Listed]:
    """List the attachments of an image, the newest last.

    Raises:
        DamagedError: The list is damaged.
        EngineError: The registry rejected a request, or does not answer.
    """
    title = f"the list of attachments of {repository}@{manifest} in {client.title}"
    found = list_referrers(client, repository, manifest, {ARTIFACT}, "attachments")
    return sorted((_listed(each, title) for each in found), key=lambda each: (each.revision, each.digest))


def read_attachment(client: RegistryClient, repository: str, manifest: str, attachment: str) -> Attachment:
    """Read one attachment, from the cache or from the registry.

    Args:
        client: The registry. It is not contacted if the cache has the attachment.
        repository: The repository of the image.
        manifest: The digest of the image's manifest. The attachment must belong to it.
        attachment: The digest of the attachment's manifest.

    Raises:
        NotFoundError: The registry does not have it.
        DamagedError: It has a different digest or an unexpected form, or belongs to a different image.
        EngineError: The registry rejected a request, or does not answer.
        OSError: The cache cannot be written.
    """
    if not is_digest(attachment) or not is_digest(manifest):
        raise DamagedError(f"{attachment!r} of {manifest!r} does not name an attachment; expected sha256:…")
    folder = local_files.cache() / "attachments" / attachment.removeprefix("sha256:")
    kept = _read_kept(folder, manifest, attachment)
    if kept is not None:
        return kept
    what = f"attachment {attachment} of {repository}@{manifest} in {client.title}"
    content = fetch(client, repository, "manifests", attachment, what, _LARGEST_PLACE)
    layers = _layers(content, manifest, what)
    place = fetch(client, repository, "blobs", layers[PLACE]["digest"], what, _LARGEST_PLACE)
    _read_place(place, what)
    files = None
    if TESTS in layers:
        files = unpack(
            fetch(client, repository, "blobs", layers[TESTS]["digest"], what, LARGEST), f"the tests of {what}"
        )
    _keep(folder, content, place, files)
    kept = _read_kept(folder, manifest, attachment)
    if kept is None:
        raise DamagedError(f"{what} was written to {folder}, but cannot be read from there")
    return kept


def _listed(entry: Referrer, title: str) -> Listed:
    number = entry.annotations.get(REVISION, "1")
    if not isinstance(number, str) or not _is_number(number):
        raise DamagedError(f"{title} is damaged: it has {entry.digest!r} with number {number!r}")
    return Listed(entry.digest, int(number))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS


def _layers(content: bytes, manifest: str, what: str) -> dict[str, dict[str, Any]]:
    """Check the manifest of an attachment, and return its layers by type."""
    info = parse_object(content, what)
    subject, layers = info.get("subject"), info.get("layers")
    if info.get("artifactType") != ARTIFACT:
        raise DamagedError(f"{what} has the type {info.get('artifactType')!r}, expected {ARTIFACT}")
    if not isinstance(subject, dict) or subject.get("digest") != manifest:
        raise DamagedError(f"{what} belongs to a different image: its subject is {subject!r}")
    found = {
        str(layer.get("mediaType")): layer
        for layer in (layers if isinstance(layers, list) else [])
        if isinstance(layer, dict) and is_digest(str(layer.get("digest")))
    }
    if PLACE not in found or len(found) != len(layers) or not found.keys() <= {PLACE, TESTS}:
        raise DamagedError(f"{what} is damaged: its layers are not a place and at most one archive of tests")
    return found


def _read_place(content: bytes, what: str) -> PublishedPlace:
    try:
        place = decode(content, PublishedPlace)
        problem = _problem(place)
    except ValueError as error:
        problem = str(error)
    if problem:
        raise DamagedError(f"{what} is damaged: its place cannot be read: {problem}")
    return place


def _problem(place: PublishedPlace) -> str:
    for name in (place.tier, place.team, place.chain):
        if len(name) > _LONGEST_NAME or not name.isprintable():
            return f"{name[:_LONGEST_NAME]!r} is not a name"
    if not place.tier:
        return "it names no tier"
    parent = place.parent
    if parent and not (is_repository(parent.image) and split_registry(parent.image) and is_digest(parent.digest)):
        return f"its parent is {parent.image}@{parent.digest}; expected HOST/NAME@sha256:…"
    return ""


_MANIFEST_FILE, _PLACE_FILE, _TESTS_FOLDER = "manifest.json", "place.json", "tests"


def _read_kept(folder: Path, manifest: str, attachment: str) -> Attachment | None:
    """Read an attachment from the cache. What does not have its digest any more is removed."""
    try:
        kept = _verify_kept(folder, manifest, attachment)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, DamagedError):
        kept = None
    if kept is None:
        shutil.rmtree(folder, ignore_errors=True)
    return kept


def _verify_kept(folder: Path, manifest: str, attachment: str) -> Attachment | None:
    what = f"attachment {attachment} in {folder}"
    content, place = (folder / _MANIFEST_FILE).read_bytes(), (folder / _PLACE_FILE).read_bytes()
    if digest(content) != attachment:
        return None
    layers = _layers(content, manifest, what)
    tests = folder / _TESTS_FOLDER if TESTS in layers else None
    contents = {PLACE: place} if tests is None else {PLACE: place, TESTS: pack(read_folder(tests))}
    if any(digest(content) != layers[kind]["digest"] for kind, content in contents.items()):
        return None
    return Attachment(attachment, manifest, _read_place(place, what), tests)


def _keep(folder: Path, content: bytes, place: bytes, files: Mapping[str, PackedFile] | None) -> None:
    """Write an attachment to the cache: in a temporary folder, which is then renamed."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        (new / _MANIFEST_FILE).write_bytes(content)
        (new / _PLACE_FILE).write_bytes(place)
        if files is not None:
            write_folder(new / _TESTS_FOLDER, files)
        new.rename(folder)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        if not folder.is_dir():  # otherwise, a different process was faster
            raise
