# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attaches its place and its contract tests to a published image. Equal inputs give equal bytes.

An image can get a second attachment, if its tests changed and the image did not. It has a higher number, so it replaces
the first, which stays for those whose lock file names it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..handover.attachments import ARTIFACT, PLACE, REVISION, TESTS, PublishedPlace, list_attachments
from ..handover.tests_archive import PackedFile, pack
from ..records import encode
from ..transports.referrers_writer import Artifact, describe_subject, write_referrers
from ..transports.registry_writer import RegistryWriter


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
    subject = describe_subject(registry, repository, manifest)
    blobs = {PLACE: encode(place, sort_keys=True).encode(), **({TESTS: pack(tests)} if tests else {})}
    listed = list_attachments(registry.client, repository, manifest)
    revision = listed[-1].revision if listed else 1
    artifact = Artifact(ARTIFACT, blobs, _annotations(revision), subject)
    if listed and listed[-1].digest == artifact.digest:
        return artifact.digest
    if listed:
        artifact = Artifact(ARTIFACT, blobs, _annotations(revision + 1), subject)
    write_referrers(registry, repository, manifest, [artifact])
    return artifact.digest


def _annotations(revision: int) -> dict[str, str]:
    return {REVISION: str(revision)} if revision > 1 else {}
