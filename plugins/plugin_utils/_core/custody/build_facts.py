# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build noted about an image that it made: from what, where, when, and by whom.

The facts are unsigned files of the user who built the image (:mod:`.record_store`). They become a signed statement when
the image is promoted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, assert_never

import msgspec

from ..bases.debian_bootstrap import mirror, own_mirrors, suites
from ..build_key.outside_inputs import DigestedInput, without_credentials
from ..build_key.parts import COLLECTION, Parts, digest_key
from ..build_key.repository_source import RepositorySource
from ..build_key.source_version import Commit
from ..chain.names import split_pinned
from ..chain.tier import Bootstrap, Follow, Import, Pull, Source, Tier
from ..product_version import version
from ..state.owner import machine, user
from ..state.plan_records import Planned
from .record_store import LocalRecords

#: The kind of note.
_FACTS = "facts"
#: Name of a digest that only Tierwright computes; see ``build_key``.
OWN_DIGEST = "tierwright"
_SHA256 = "sha256:"


class Material(msgspec.Struct, frozen=True):
    """Something that an image was made from: a resource descriptor of in-toto."""

    #: ``parent``, ``collection``, ``input`` or ``base``.
    name: str
    #: Its address, without credentials.
    uri: str
    #: Digest by algorithm; empty if it is not known.
    digest: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


class ParentImage(msgspec.Struct, frozen=True):
    """The image of the parent."""

    tier: str
    #: ``sha256:…`` of its configuration.
    config: str
    #: ``sha256:…`` of its manifest; ``None`` if it is not known yet.
    manifest: str | None


class BuildFacts(msgspec.Struct, frozen=True):
    """What is known about the build of one image."""

    chain: str
    tier: str
    team: str
    #: The role as the inventory names it; ``None`` for a base.
    role: str | None
    #: The last commit of the role, or its installed version; ``None`` for a base, or if it is not known.
    commit: Commit | None
    #: The Git repository of the role; ``None`` if it is in none.
    source: RepositorySource | None
    #: The parts of the build key. Secrets are digests that are slow to guess.
    parts: Mapping[str, str]
    #: Capabilities and limits of the build container; empty for a base.
    cage: Mapping[str, Any]
    #: The version of ansible-core that applied the role; empty for a base.
    ansible_core: str
    #: The time of the image, in seconds since 1970.
    epoch: int
    materials: tuple[Material, ...]
    #: The image that the build began with; ``None`` for a base.
    parent: ParentImage | None
    #: Digest of the tier's own layer; ``None`` if the image has only layers of others.
    layer: str | None
    #: Name of the builder (``tier_builder``), by default the host name.
    builder: str
    #: The version of Tierwright.
    version: str
    run: str
    #: Start of the build container, and end of sealing, in RFC 3339.
    started: str
    finished: str
    user: str
    machine: str
    #: ``sha256:…`` of the configuration of the image that was really built, if the tier kept its release with the same
    #: content. Both differ in their times, or in what the labels say about their origin.
    built: str | None = None

    @property
    def key(self) -> str:
        """The build key."""
        return digest_key(self.parts)


class BuildTools(msgspec.Struct, frozen=True):
    """What the controller says about itself, for the facts of its builds."""

    #: The version of ansible-core.
    ansible_core: str = ""
    #: The installed version of each collection that was used, by name; empty if it is not installed.
    collections: Mapping[str, str] = msgspec.field(default_factory=dict)


def collect_facts(
    planned: Planned,
    run: str,
    parts: Parts,
    *,
    epoch: int,
    layer: str | None,
    parent: ParentImage | None,
    began: float,
    tools: BuildTools,
) -> BuildFacts:
    """Return the facts about a build that has just ended.

    Args:
        planned: The plan for the tier.
        run: The ID of the run.
        parts: All parts of the build key.
        epoch: The time of the image, in seconds since 1970.
        layer: Digest of the tier's own layer; ``None`` if it has none.
        parent: The image that the build began with; ``None`` for a base.
        began: When the build began, in seconds since 1970.
        tools: What the controller says about itself.
    """
    tier = planned.tier
    return BuildFacts(
        chain=planned.chain,
        tier=tier.name,
        team=tier.team,
        role=tier.role_names,
        commit=planned.commit,
        source=planned.source,
        parts=dict(parts),
        cage={} if tier.role is None else msgspec.structs.asdict(tier.cage),
        ansible_core="" if tier.role is None else tools.ansible_core,
        epoch=epoch,
        materials=tuple(_materials(tier, parts, planned.inputs, tools)),
        parent=parent,
        layer=layer,
        builder=planned.builder or machine(),
        version=version(),
        run=run,
        started=rfc3339(began),
        finished=rfc3339(datetime.now(UTC).timestamp()),
        user=user(),
        machine=machine(),
    )


def note_facts(records: LocalRecords, config: str, facts: BuildFacts) -> None:
    """Store the facts about an image. They replace those of an earlier build.

    Args:
        records: The store.
        config: ``sha256:…`` of the image's configuration.
        facts: The facts.

    Raises:
        OSError: They cannot be written.
    """
    records.note(config, _FACTS, facts)


def noted_facts(records: LocalRecords, config: str) -> BuildFacts | None:
    """Return the facts about an image; ``None`` if this user did not build it here, or if they are damaged."""
    return records.noted(config, _FACTS, BuildFacts)


def rfc3339(seconds: float) -> str:
    """Return a time in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest_set(digest: str) -> dict[str, str]:
    """Return a digest by its algorithm, as in-toto writes it."""
    if digest.startswith(_SHA256):
        return {"sha256": digest.removeprefix(_SHA256)}
    return {OWN_DIGEST: digest}


def _materials(tier: Tier, parts: Parts, inputs: tuple[DigestedInput, ...], tools: BuildTools) -> Iterator[Material]:
    if tier.source is not None:
        yield from _base(tier.source)
    for part in sorted(parts):
        kind, _, name = part.partition("/")
        if kind == COLLECTION:
            installed = tools.collections.get(name, "")
            uri = f"pkg:ansible/{name}" + (f"@{installed}" if installed else "")
            yield Material(COLLECTION, uri, digest_set(parts[part]))
    for each in inputs:
        yield Material("input", each.uri, digest_set(each.digest))


def _base(source: Source) -> Iterator[Material]:
    match source:
        case Pull(reference):
            name, digest = split_pinned(reference) or (reference, "")
            yield Material("base", f"docker://{name}", digest_set(digest) if digest else {})
        case Import(archive, checksum):
            yield Material("base", f"file:{PurePath(archive).name}", digest_set(checksum))
        case Bootstrap():
            packages = " ".join(source.packages)
            for suite, kind in suites(source).items():
                address = without_credentials(mirror(source, kind) or own_mirrors()[kind]).rstrip("/")
                asked = {"components": " ".join(source.components), "packages": packages}
                yield Material("base", f"{address}/dists/{suite}", {}, asked)
        case Follow():  # another team made it, so nothing here is its build
            return
        case _:
            assert_never(source)
