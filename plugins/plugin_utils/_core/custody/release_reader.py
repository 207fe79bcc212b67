# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the release record in the repository of a tier: an artifact under a tag, whose layer is the signed record."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..chain import tags
from ..errors import DamagedError, NotFoundError
from ..signing.public_key import PublicKey
from ..transports.image_document import digest
from ..transports.referrers import fetch
from ..transports.registry_client import RegistryClient
from .bundle_artifact import find_layer
from .release_record import LARGEST_RECORD, SignedRelease, read_release


class TaggedRelease(msgspec.Struct, frozen=True):
    """The release record that a repository has now."""

    #: Digest of the manifest that the tag names.
    manifest: str
    #: The record; ``None`` if it cannot be read.
    release: SignedRelease | None
    #: Why it cannot be read; empty if it can.
    problem: str = ""


def read_tagged(client: RegistryClient, repository: str, keys: Iterable[PublicKey]) -> TaggedRelease | None:
    """Read the release record in a repository.

    Args:
        client: The registry.
        repository: The repository of a tier.
        keys: The keys whose signatures are looked for.

    Returns:
        What the tag names; ``None`` if the repository has no such tag.

    Raises:
        EngineError: The registry rejected a request.
        EngineUnavailableError: The registry does not answer.
    """
    title = f"the release record in {client.host}/{repository}"
    try:
        content = client.document(repository, "manifests", tags.RELEASE_RECORD)
    except NotFoundError:
        return None
    except DamagedError as error:
        return TaggedRelease("", None, str(error))
    try:
        return TaggedRelease(digest(content), read_release(_fetch(client, repository, content, title), keys, title))
    except (DamagedError, NotFoundError) as error:
        return TaggedRelease(digest(content), None, str(error))


def _fetch(client: RegistryClient, repository: str, manifest: bytes, title: str) -> bytes:
    layer = find_layer(manifest, None, title)
    if layer is None:
        raise DamagedError(f"{title} is damaged: the tag {tags.RELEASE_RECORD} names something else")
    return fetch(client, repository, "blobs", layer.digest, title, min(layer.size, LARGEST_RECORD))
