# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attaches its place and its contract tests to a published image. Equal inputs give equal bytes.

An image can get a second attachment, if its tests changed and the image did not. It has a higher number, so it replaces
the first, which stays for those whose lock file names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import EngineError
from ..handover.attachments import (
    ARTIFACT,
    EMPTY,
    INDEX,
    MANIFEST,
    PLACE,
    REVISION,
    TESTS,
    PublishedPlace,
    fallback_entries,
    fallback_tag,
    list_attachments,
)
from ..handover.tests_archive import PackedFile, pack
from ..image.manifest import descriptor
from ..records import encode
from ..transports.image_document import digest
from ..transports.manifests import media_type, parse_object
from ..transports.registry_writer import RegistryWriter

#: The content of a configuration that says nothing.
EMPTY_BLOB = b"{}"
#: How often the fallback tag is written, if others write it at the same time.
_ATTEMPTS = 5


def attach(
    registry: RegistryWriter, repository: str, manifest: str, place: PublishedPlace, tests: Mapping[str, PackedFile]
) -> str:
    """Attach to an image. If it has this attachment already, nothing is sent.

    Args:
        registry: The registry.
        repository: The repository of the image.
        manifest: The digest of the image's manifest, which must be there.
        place: The place of the image.
        tests: The files of its contract tests, by path; empty if there are none.

    Returns:
        The digest of the attachment's manifest.

    Raises:
        ValueError: There are too many tests.
        EngineError: The registry rejected a request, or does not answer.
    """
    image = registry.manifest(repository, manifest)
    subject = descriptor(media_type(parse_object(image, f"{repository}@{manifest}")), manifest, len(image))
    blobs = {PLACE: encode(place, sort_keys=True).encode(), **({TESTS: pack(tests)} if tests else {})}
    listed = list_attachments(registry.client, repository, manifest)
    revision = listed[-1].revision if listed else 1
    content = _manifest(subject, blobs, revision)
    if listed and listed[-1].digest == digest(content):
        return digest(content)
    if listed:
        revision += 1
        content = _manifest(subject, blobs, revision)
    for blob in (EMPTY_BLOB, *blobs.values()):
        if registry.blob_size(repository, digest(blob)) is None:
            registry.write_blob(repository, digest(blob), len(blob), [blob], lambda _count: None)
    if not registry.write_manifest(repository, digest(content), content, MANIFEST):
        entry = (
            descriptor(MANIFEST, digest(content), len(content)) | {"artifactType": ARTIFACT} | _annotations(revision)
        )
        _list_under_tag(registry, repository, manifest, entry)
    return digest(content)


def empty_config() -> dict[str, Any]:
    """Return the descriptor of the configuration of an artifact, which says nothing."""
    return descriptor(EMPTY, digest(EMPTY_BLOB), len(EMPTY_BLOB))


def _manifest(subject: Mapping[str, Any], blobs: Mapping[str, bytes], revision: int) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": empty_config(),
        "layers": [descriptor(kind, digest(blob), len(blob)) for kind, blob in blobs.items()],
        "subject": dict(subject),
        **_annotations(revision),
    }
    return json.dumps(document).encode()


def _annotations(revision: int) -> dict[str, Any]:
    return {"annotations": {REVISION: str(revision)}} if revision > 1 else {}


def _list_under_tag(registry: RegistryWriter, repository: str, manifest: str, entry: Mapping[str, Any]) -> None:
    """Add an attachment to the index under the fallback tag, and read it back. Entries of others stay.

    Two writers can overwrite each other's index, because a registry has no condition for writing. So it is read back.
    """
    tag = fallback_tag(manifest)
    for _attempt in range(_ATTEMPTS):
        entries = fallback_entries(registry.client, repository, manifest)
        if any(each["digest"] == entry["digest"] for each in entries):
            return
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*entries, dict(entry)]}
        registry.write_manifest(repository, tag, json.dumps(index).encode(), INDEX)
    if any(each["digest"] == entry["digest"] for each in fallback_entries(registry.client, repository, manifest)):
        return
    raise EngineError(
        f"{registry.title} does not list {entry['digest']} under {repository}:{tag}, although it was written "
        f"{_ATTEMPTS} times; publish again when nobody else does"
    )
