# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Labels that identify what this project made.

Labels are inherited, so they prove nothing by themselves: every tier writes all of them anew, and a reader compares
``TIER`` with the tier it asked for before it believes the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..build_key.parts import Parts, digest_key, learned
from ..build_key.source_version import Commit
from ..chain.tier import Protection, Tier, from_text, to_text
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
#: ID of the image that the tier stands on; absent from a base.
PARENT = PREFIX + "parent"
#: Paths that only the tier, or one that it stands on, may write, as JSON.
PROTECTS = PREFIX + "protects"
#: Family of distributions that a cache is for; set on volumes only.
CACHE = PREFIX + "cache"
#: The build key.
KEY = PREFIX + "key"
#: The parts of the build key, as JSON.
PARTS = PREFIX + "parts"
#: Digest of what the image holds and how it behaves, whenever and from whatever it was made.
CONTENT = PREFIX + "content"
#: Family of the distribution inside: ``debian``.
FAMILY = PREFIX + "family"
#: Run that a build container, a nameless image used during a build, or an interpreter's volume was made by. On no
#: finished image.
RUN = PREFIX + "run"
#: Where a chain lives, as JSON; on the volume that claims the chain's name on an engine.
HOME = PREFIX + "home"
#: Session of tests that a container or a network was made by; on these only.
SESSION = PREFIX + "session"
#: The interpreter that a volume belongs to; on volumes only.
PYTHON = PREFIX + "python"
#: Name of the volume that holds the interpreter; on the volume that says that it is whole.
VOLUME = PREFIX + "volume"

#: Annotations of the OCI image specification that speak of one image and so are never inherited. Those of the base are
#: not written either: the specification wants a manifest's digest and a whole reference, which can be fetched, and a
#: parent that was never pushed has neither. ``PARENT`` names it.
TITLE = "org.opencontainers.image.title"
VENDOR = "org.opencontainers.image.vendor"
CREATED = "org.opencontainers.image.created"
REVISION = "org.opencontainers.image.revision"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
OWN = frozenset({TITLE, VENDOR, CREATED, REVISION, BASE_NAME, BASE_DIGEST})

_SAME = (CHAIN, TIER, TEAM, ROLE, PARENT, PROTECTS, CONTENT)


def identity(
    chain: str,
    tier: Tier,
    parts: Parts,
    family: str | None,
    *,
    commit: Commit | None = None,
    protects: Iterable[Protection] = (),
) -> dict[str, str]:
    """Labels for a finished image of ``tier``.

    Args:
        chain: The chain's name.
        tier: The tier.
        parts: Parts of its key.
        family: Family of the distribution inside.
        commit: The last commit that touched its role.
        protects: What the tiers that it stands on protect, and it itself.
    """
    labels = {
        CHAIN: chain,
        TIER: tier.name,
        TEAM: tier.team,
        ROLE: tier.role,
        PARENT: parts.get("parent"),
        KEY: digest_key(parts),
        PARTS: json.dumps(dict(parts), sort_keys=True, separators=(",", ":")),
        PROTECTS: to_text(protects),
        FAMILY: family,
        TITLE: tier.name,
        VENDOR: tier.team,
        REVISION: commit.name if commit else None,
    }
    return {name: value for name, value in labels.items() if value}


def content(layer: str, behaviour: Mapping[str, Any], parent_id: str | None) -> str:
    """Digest what an image holds and how it behaves.

    Args:
        layer: Digest of what its own layer holds.
        behaviour: Its settings, without labels that identify it.
        parent_id: ID of the image that the layer lies on.
    """
    text = json.dumps({"layer": layer, "settings": behaviour, "parent": parent_id}, sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def same(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Say whether two images are one tier's and hold the same, by their labels.

    Key, parts, revision and time may differ: they say from what and when an image was made. The names of what
    a role was found to use may not, since the next plan looks them up there.
    """
    return (
        CONTENT in now
        and all(before.get(name) == now.get(name) for name in _SAME)
        and learned(_parts(before) or {}) == learned(_parts(now) or {})
    )


def protections(labels: Mapping[str, str]) -> tuple[Protection, ...]:
    """Read from an image's labels what its tier, and those that it stands on, protect.

    Raises:
        SealError: The label is damaged.
    """
    try:
        return from_text(labels.get(PROTECTS, ""))
    except ValueError as error:
        raise SealError(
            f"the label {PROTECTS} of tier {labels.get(TIER)!r} cannot be read: {error}; build that tier again with "
            "-e tier_force"
        ) from error


def work(run: str, tier: str) -> dict[str, str]:
    """Labels for what exists only while ``run`` builds ``tier``."""
    return {RUN: run, TIER: tier}


def stored_parts(labels: Mapping[str, str], tier: str) -> dict[str, str] | None:
    """Read the key's parts from an image's labels; ``None`` where the image is not ``tier``'s or says nothing."""
    return _parts(labels) if labels.get(TIER) == tier else None


def _parts(labels: Mapping[str, str]) -> dict[str, str] | None:
    try:
        parts = json.loads(labels.get(PARTS, ""))
    except ValueError:
        return None
    return parts if isinstance(parts, dict) else None
