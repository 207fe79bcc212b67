# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what refers to a manifest in a registry: attachments, and signed statements in bundles.

A registry lists such artifacts through its referrers API, or under a tag that is made of the manifest's digest
(distribution specification, "Referrers Tag Schema"). A registry that got the API later has older artifacts only under
the tag, so both lists are read. Whoever may write to the repository writes these lists: nothing in them is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from ..chain.names import is_digest
from ..errors import DamagedError, NotFoundError
from .image_document import digest
from .manifests import INDEXES, MANIFESTS, index_entries, parse_object
from .registry_client import RegistryClient

MANIFEST, INDEX = MANIFESTS[0], INDEXES[0]
#: The type of a configuration that says nothing. cosign 3 also lists its bundles as artifacts of this type.
EMPTY = "application/vnd.oci.empty.v1+json"

_MAX_PAGES = 20
_MAX_ENTRIES = 20_000
_MAX_REFERRERS = 1000

#: Answers of registries that do not have the referrers API.
_NO_REFERRERS = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)


class Referrer(msgspec.Struct, frozen=True):
    """An artifact that refers to a manifest, as a registry lists it."""

    #: The digest of the artifact's own manifest.
    digest: str
    #: What the list says about the artifact, unchecked.
    annotations: Mapping[str, Any]


def fallback_tag(manifest: str) -> str:
    """Return the tag that lists what refers to a manifest, in registries without the referrers API."""
    return manifest.replace(":", "-", 1)


def list_referrers(
    client: RegistryClient, repository: str, manifest: str, kinds: Collection[str], what: str
) -> list[Referrer]:
    """List the artifacts of some types that refer to a manifest. None of them is read.

    Args:
        client: The registry.
        repository: The repository.
        manifest: The digest of the manifest.
        kinds: Types of artifacts. Others are ignored. An empty type stands for those that the list gives no type.
        what: What they are, for messages: ``attachments``.

    Returns:
        The artifacts, each once.

    Raises:
        DamagedError: The list is damaged, or too long.
        EngineError: The registry rejected a request, or does not answer.
    """
    title = f"the list of {what} of {repository}@{manifest} in {client.title}"
    entries = [*_api_entries(client, repository, manifest), *fallback_entries(client, repository, manifest)]
    if len(entries) > _MAX_ENTRIES:
        raise DamagedError(f"{title} has {len(entries)} entries; at most {_MAX_ENTRIES} are allowed")
    found: dict[str, Referrer] = {}
    for entry in entries:
        if str(entry.get("artifactType") or "") in kinds:
            if not is_digest(str(entry["digest"])):
                raise DamagedError(f"{title} is damaged: it has {entry['digest']!r}, expected sha256:…")
            annotations = entry.get("annotations")
            found.setdefault(
                str(entry["digest"]),
                Referrer(str(entry["digest"]), annotations if isinstance(annotations, dict) else {}),
            )
    if len(found) > _MAX_REFERRERS:
        raise DamagedError(
            f"{title} has {len(found)} {what}; at most {_MAX_REFERRERS} are allowed; remove those from the registry "
            "that nobody needs"
        )
    return list(found.values())


def fallback_entries(client: RegistryClient, repository: str, manifest: str) -> list[dict[str, Any]]:
    """Return the entries of the index under the fallback tag; empty if there is no such tag.

    Raises:
        DamagedError: It is not an index.
        EngineError: The registry rejected a request, or does not answer.
    """
    tag = fallback_tag(manifest)
    try:
        with client.get(repository, f"{repository}/manifests/{tag}", f"{repository}:{tag}") as answer:
            content = client.read(answer)
    except NotFoundError:
        return []
    title = f"{repository}:{tag} in {client.title}"
    return index_entries(parse_object(content, title), title)


def has_manifest(client: RegistryClient, repository: str, manifest: str) -> bool:
    """Return whether a repository has a manifest. A list may name one that was removed.

    Raises:
        EngineError: The registry rejected the request, or does not answer.
    """
    path, missing = f"{repository}/manifests/{manifest}", {HTTPStatus.NOT_FOUND}
    with client.request("HEAD", repository, path, f"{repository}@{manifest}", other=missing) as answer:
        return answer.status != HTTPStatus.NOT_FOUND


def fetch(client: RegistryClient, repository: str, kind: str, wanted: str, what: str, limit: int) -> bytes:
    """Read a manifest or a blob of an artifact.

    Args:
        client: The registry.
        repository: The repository.
        kind: ``manifests`` or ``blobs``.
        wanted: Its digest.
        what: The artifact, for messages.
        limit: Its largest size in bytes.

    Raises:
        NotFoundError: The registry does not have it.
        DamagedError: It is larger, or has a different digest.
        EngineError: The registry rejected the request, or does not answer.
    """
    with client.get(repository, f"{repository}/{kind}/{wanted}", what) as answer:
        content = bytearray()
        for chunk in answer.chunks():
            content += chunk
            if len(content) > limit:
                raise DamagedError(f"{what} is damaged: {wanted} is larger than its limit of {limit} bytes")
    if digest(bytes(content)) != wanted:
        raise DamagedError(f"{what} is damaged: it has the digest {digest(bytes(content))}, expected {wanted}")
    return bytes(content)


def _api_entries(client: RegistryClient, repository: str, manifest: str) -> list[dict[str, Any]]:
    """Ask the referrers API; the result is empty if the registry does not have it."""
    path, what, entries = f"{repository}/referrers/{manifest}", f"referrers of {repository}@{manifest}", []
    for _page in range(_MAX_PAGES):
        with client.request("GET", repository, path, what, other=_NO_REFERRERS) as answer:
            if answer.status in _NO_REFERRERS:
                return []
            title = f"the list of {what} in {client.title}"
            entries += index_entries(parse_object(client.read(answer), title), title)
            following = client.next_page(path, answer)
        if following is None:
            return entries
        path = following
    raise DamagedError(f"{client.title} is damaged: its list of {what} has more than {_MAX_PAGES} pages")
