# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Labels that identify images, containers, networks and volumes of Tierwright.

Images inherit labels, so a label alone proves nothing. Every tier writes all of them again, and a reader first compares
``TIER`` with the tier that it expects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..build_key.parts import Parts, digest_key, recorded_parts
from ..build_key.source_version import Commit
from ..chain.tier import Protection, Tier, protections_from_text, protections_to_text
from ..errors import SealError

PREFIX = "io.tierwright."
#: Name of the chain.
CHAIN = PREFIX + "chain"
#: Name of the tier.
TIER = PREFIX + "tier"
#: Team that owns the tier.
TEAM = PREFIX + "team"
#: Role that was applied; absent from a base.
ROLE = PREFIX + "role"
#: ID of the parent's image; absent from a base.
PARENT = PREFIX + "parent"
#: Protected paths of the tier and of its ancestors, as JSON. Only their owners may change them.
PROTECTS = PREFIX + "protects"
#: Family of distributions that a cache is for; set on volumes only.
CACHE = PREFIX + "cache"
#: The build key.
KEY = PREFIX + "key"
#: The parts of the build key, as JSON.
PARTS = PREFIX + "parts"
#: Digest of the image's content and settings. It does not depend on the time of the build or on the inputs.
CONTENT = PREFIX + "content"
#: Family of the image's distribution: ``debian``.
FAMILY = PREFIX + "family"
#: Run that made a build container, an unnamed image for a build, or the volume of a mounted Python. Finished images do
#: not have this label.
RUN = PREFIX + "run"
#: Run that made an image in the container of a failed build. Such an image has no build key, and is never released.
RESUMED = PREFIX + "resumed"
#: The project that a chain's name belongs to, as JSON; on the volume that claims the name on an engine.
HOME = PREFIX + "home"
#: Test session that made a container or a network; on these only.
SESSION = PREFIX + "session"
#: The mounted Python that a volume belongs to; on volumes only.
PYTHON = PREFIX + "python"
#: Name of the volume that contains the mounted Python; on the volume that marks it as complete.
VOLUME = PREFIX + "volume"

#: Annotations of the OCI image specification that describe one image, so tiers do not inherit them. Those of the base
#: image are not written either. The specification requires the digest of a manifest and a complete reference, from
#: which the base can be pulled. A parent that was never pushed has neither. ``PARENT`` has its ID.
TITLE = "org.opencontainers.image.title"
VENDOR = "org.opencontainers.image.vendor"
CREATED = "org.opencontainers.image.created"
REVISION = "org.opencontainers.image.revision"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
NOT_INHERITED = frozenset({TITLE, VENDOR, CREATED, REVISION, BASE_NAME, BASE_DIGEST})

#: Labels that are equal if two images are the same except for their origin.
_COMPARED = (CHAIN, TIER, TEAM, ROLE, PARENT, PROTECTS, CONTENT)


def identity(
    chain: str,
    tier: Tier,
    parts: Parts,
    family: str | None,
    *,
    commit: Commit | None = None,
    protects: Iterable[Protection] = (),
    resumed: str | None = None,
) -> dict[str, str]:
    """Return the labels for a finished image of ``tier``.

    Args:
        chain: The chain's name.
        tier: The tier.
        parts: The parts of its build key.
        family: Family of the image's distribution; ``None`` if unknown.
        commit: The last commit that changed its role.
        protects: The protected paths of its ancestors and of the tier itself.
        resumed: The run, if it made the image in the container of a failed build. The labels then have no build key:
            nobody knows from which inputs such an image was made.
    """
    labels = {
        CHAIN: chain,
        TIER: tier.name,
        TEAM: tier.team,
        ROLE: tier.role_names,
        PARENT: parts.get("parent"),
        KEY: None if resumed else digest_key(parts),
        PARTS: None if resumed else json.dumps(dict(parts), sort_keys=True, separators=(",", ":")),
        RESUMED: resumed,
        PROTECTS: protections_to_text(protects),
        FAMILY: family,
        TITLE: tier.name,
        VENDOR: tier.team,
        REVISION: commit.name if commit else None,
    }
    return {name: value for name, value in labels.items() if value}


def content(layer: str, behaviour: Mapping[str, Any], parent_id: str | None) -> str:
    """Return the digest of an image's content and settings.

    Args:
        layer: Digest of the content of its own layer.
        behaviour: Its settings without identity labels.
        parent_id: ID of the parent's image; ``None`` for a base, or if the image has no layer of its own.
    """
    text = json.dumps({"layer": layer, "settings": behaviour, "parent": parent_id}, sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def same(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Tell from their labels whether two images belong to the same tier and have the same content.

    The build key, its parts, the revision and the time may differ: they describe the origin of an image. The names of
    the sources that were recorded for a role must be the same, because the next plan reads them from the image.
    """
    return (
        CONTENT in now
        and all(before.get(name) == now.get(name) for name in _COMPARED)
        and recorded_parts(_parts(before) or {}) == recorded_parts(_parts(now) or {})
    )


def protections(labels: Mapping[str, str]) -> tuple[Protection, ...]:
    """Read the protected paths of a tier and its ancestors from the labels of its image.

    Raises:
        SealError: The label is damaged.
    """
    try:
        return protections_from_text(labels.get(PROTECTS, ""))
    except ValueError as error:
        raise SealError(
            f"the label {PROTECTS} of tier {labels.get(TIER)!r} cannot be read: {error}; build that tier again with "
            "-e tier_force"
        ) from error


def work(run: str, tier: str) -> dict[str, str]:
    """Return the labels for containers, images and volumes that exist only while ``run`` builds ``tier``."""
    return {RUN: run, TIER: tier}


def stored_parts(labels: Mapping[str, str], tier: str) -> dict[str, str] | None:
    """Read the key's parts from an image's labels; ``None`` if the image is not ``tier``'s, or they cannot be read."""
    return _parts(labels) if labels.get(TIER) == tier else None


def _parts(labels: Mapping[str, str]) -> dict[str, str] | None:
    try:
        parts = json.loads(labels.get(PARTS, ""))
    except ValueError:
        return None
    return parts if isinstance(parts, dict) else None
