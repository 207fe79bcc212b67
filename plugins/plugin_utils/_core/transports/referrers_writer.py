# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes artifacts to a registry: manifests without an image, most of which refer to the manifest of an image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..errors import EngineError
from ..image.manifest import descriptor
from .image_document import digest
from .manifests import media_type, parse_object
from .referrers import EMPTY, INDEX, MANIFEST, fallback_entries, fallback_tag
from .registry_writer import RegistryWriter

#: The content of a configuration that says nothing.
EMPTY_BLOB = b"{}"
#: How often the fallback tag is written, if others write it at the same time.
_ATTEMPTS = 5


class Artifact(msgspec.Struct, frozen=True):
    """An artifact that is not yet in a registry. Equal artifacts have equal manifests, byte for byte."""

    #: Its type.
    kind: str
    #: Its layers, by their types.
    layers: Mapping[str, bytes]
    annotations: Mapping[str, str]
    #: The descriptor of the manifest that it refers to; ``None`` if it refers to none.
    subject: Mapping[str, Any] | None = None

    @property
    def manifest(self) -> bytes:
        """Its manifest."""
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": self.kind,
            "config": descriptor(EMPTY, digest(EMPTY_BLOB), len(EMPTY_BLOB)),
            "layers": [descriptor(kind, digest(blob), len(blob)) for kind, blob in self.layers.items()],
            **({"subject": dict(self.subject)} if self.subject else {}),
            **({"annotations": dict(self.annotations)} if self.annotations else {}),
        }
        return json.dumps(document).encode()

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return digest(self.manifest)


def describe_subject(registry: RegistryWriter, repository: str, manifest: str) -> dict[str, Any]:
    """Return the descriptor of a manifest that artifacts refer to.

    Raises:
        NotFoundError: The repository does not have it.
        EngineError: The registry rejected the request, or does not answer.
    """
    content = registry.manifest(repository, manifest)
    return descriptor(media_type(parse_object(content, f"{repository}@{manifest}")), manifest, len(content))


def write_artifact(registry: RegistryWriter, repository: str, artifact: Artifact, reference: str = "") -> bool:
    """Write an artifact, and read it back. What the repository has of it is not sent again.

    Args:
        registry: The registry.
        repository: The repository.
        artifact: The artifact.
        reference: The tag that names it; by default its digest.

    Returns:
        Whether the registry lists it among the referrers of its subject.

    Raises:
        EngineError: The registry rejected a request, or does not answer.
    """
    for blob in (EMPTY_BLOB, *artifact.layers.values()):
        if registry.blob_size(repository, digest(blob)) is None:
            registry.write_blob(repository, digest(blob), len(blob), [blob], lambda _count: None)
    return registry.write_manifest(repository, reference or artifact.digest, artifact.manifest, MANIFEST)


def write_referrers(registry: RegistryWriter, repository: str, manifest: str, artifacts: Sequence[Artifact]) -> None:
    """Write artifacts that refer to a manifest. If the registry does not list them itself, a tag does.

    Args:
        registry: The registry.
        repository: The repository.
        manifest: The digest of the manifest, which must be there.
        artifacts: The artifacts. Their subject is this manifest.

    Raises:
        EngineError: The registry rejected a request, does not answer, or others write to the tag all the time.
    """
    unlisted = [each for each in artifacts if not write_artifact(registry, repository, each)]
    if unlisted:
        _list_under_tag(registry, repository, manifest, [_index_entry(each) for each in unlisted])


def _index_entry(artifact: Artifact) -> dict[str, Any]:
    content, annotations = artifact.manifest, dict(artifact.annotations)
    return (
        descriptor(MANIFEST, digest(content), len(content))
        | {"artifactType": artifact.kind}
        | ({"annotations": annotations} if annotations else {})
    )


def _list_under_tag(
    registry: RegistryWriter, repository: str, manifest: str, entries: Sequence[Mapping[str, Any]]
) -> None:
    """Add artifacts to the index under the fallback tag, and read it back. Entries of others stay.

    Two writers can overwrite each other's index, because a registry has no condition for writing. So it is read back.
    """
    tag, missing = fallback_tag(manifest), list(entries)
    for attempt in range(_ATTEMPTS + 1):
        listed = fallback_entries(registry.client, repository, manifest)
        known = {each["digest"] for each in listed if isinstance(each["digest"], str)}
        missing = [dict(each) for each in entries if each["digest"] not in known]
        if not missing:
            return
        if attempt < _ATTEMPTS:
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*listed, *missing]}
            registry.write_manifest(repository, tag, json.dumps(index).encode(), INDEX)
    raise EngineError(
        f"{registry.title} does not list {missing[0]['digest']} under {repository}:{tag}, although it was written "
        f"{_ATTEMPTS} times; publish again when nobody else does"
    )
