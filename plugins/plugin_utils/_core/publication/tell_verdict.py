# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells a verdict: writes it to the repository of the tier that says it."""

from __future__ import annotations

import json
from dataclasses import replace

from ..handover.verdicts import ARTIFACT, MANIFEST, VERDICT, ConsumerVerdict, verdict_tag
from ..image.manifest import descriptor
from ..records import encode
from ..state.tier_records import RejectedTest
from ..transports.image_document import digest
from ..transports.registry_writer import RegistryWriter
from .attach import EMPTY_BLOB, empty_config

#: Limits of what a verdict contains: failed tests, and characters of one message or log.
_MOST_TESTS = 20
_MOST_CHARACTERS = 20_000


def tell_verdict(registry: RegistryWriter, repository: str, verdict: ConsumerVerdict) -> None:
    """Write a verdict. It replaces an earlier one about the same image.

    Args:
        registry: The registry.
        repository: The repository of the tier that says it.
        verdict: The verdict. Only the first failed tests, and the ends of long logs, are written.

    Raises:
        EngineError: The registry rejected a request, or does not answer.
    """
    failed = tuple(map(_shorten, verdict.failed[:_MOST_TESTS]))
    content = encode(replace(verdict, failed=failed), sort_keys=True).encode()
    for blob in (EMPTY_BLOB, content):
        if registry.blob_size(repository, digest(blob)) is None:
            registry.write_blob(repository, digest(blob), len(blob), [blob], lambda _count: None)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": empty_config(),
        "layers": [descriptor(VERDICT, digest(content), len(content))],
    }
    registry.write_manifest(repository, verdict_tag(verdict.digest), json.dumps(document).encode(), MANIFEST)


def _shorten(test: RejectedTest) -> RejectedTest:
    return replace(test, message=test.message[:_MOST_CHARACTERS], log=test.log[-_MOST_CHARACTERS:])
