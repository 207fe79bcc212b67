# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Verdicts: what a team that follows an image says about exactly this image, after it built and tested upon it.

A verdict is an artifact (OCI image specification 1.1, ``manifest.md``) in a repository of the team that says it: each
team writes only in its own repositories. Its tag contains the digest of the image that it is about. Whoever may write
to that repository can say anything there, so the content is only checked, compared, and shown in parts.
"""

from __future__ import annotations

import msgspec

from ..chain.names import is_digest
from ..errors import DamagedError, NotFoundError
from ..records import decode
from ..state.tier_records import RejectedTest
from ..text import one_line
from ..transports.manifests import parse_object
from ..transports.registry_client import RegistryClient

ARTIFACT = "application/vnd.tierwright.verdict.v1"
VERDICT = "application/vnd.tierwright.verdict.v1+json"

#: Limits of what is written: failed tests, and characters of one message, log or problem, and of one name. With them,
#: the largest verdict is smaller than the largest document that a client of a registry reads.
MOST_TESTS = 20
MOST_CHARACTERS = 10_000
LONGEST_NAME = 255

_TAG = "verdict-"
_DIGITS = 32


class ConsumerVerdict(msgspec.Struct, frozen=True):
    """What one tier says about an image that it is based on."""

    #: The image: ``registry.example.org/operations/corebuild``, and the digest of its manifest.
    image: str
    digest: str
    #: The tier that was built and tested upon it, and the team that owns this tier.
    tier: str
    team: str
    passed: bool
    #: Number of tests that ran; 0 if the same image had passed before.
    tests: int
    #: Why the tier could not be built; empty if it was built.
    problem: str = ""
    failed: tuple[RejectedTest, ...] = ()


def verdict_tag(manifest: str) -> str:
    """Return the tag of the verdict about the image with this manifest."""
    return _TAG + manifest.removeprefix("sha256:")[:_DIGITS]


def read_verdict(client: RegistryClient, repository: str, manifest: str) -> ConsumerVerdict | None:
    """Read the verdict about an image.

    Args:
        client: The registry.
        repository: The repository of the tier that says it.
        manifest: The digest of the image's manifest.

    Returns:
        The verdict; ``None`` if there is none yet.

    Raises:
        DamagedError: It is damaged, or is about a different image.
        EngineError: The registry rejected the request, or does not answer.
    """
    title = f"the verdict of {repository} about {manifest} in {client.title}"
    try:
        content = client.document(repository, "manifests", verdict_tag(manifest))
    except NotFoundError:
        return None
    info = parse_object(content, title)
    layers = info.get("layers")
    blob = layers[0].get("digest") if isinstance(layers, list) and layers and isinstance(layers[0], dict) else None
    if info.get("artifactType") != ARTIFACT or not isinstance(blob, str) or not is_digest(blob):
        raise DamagedError(f"{title} is damaged: its tag names something else")
    try:
        verdict = decode(client.document(repository, "blobs", blob), ConsumerVerdict)
        problem = _find_problem(verdict, manifest)
    except NotFoundError:
        problem = "its content is missing"
    except ValueError as error:
        problem = str(error)
    if problem:
        raise DamagedError(f"{title} is damaged: {one_line(problem, LONGEST_NAME)}")
    return verdict


def _find_problem(verdict: ConsumerVerdict, manifest: str) -> str:
    """Say what is wrong with a verdict; empty if nothing is."""
    if verdict.digest != manifest:
        return f"it is about {verdict.digest}"
    for name in (verdict.tier, verdict.team):
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            return f"{name!r} is not a name of one line"
    return ""
