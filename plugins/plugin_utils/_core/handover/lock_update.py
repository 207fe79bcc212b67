# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The answer of ``tierwright update``: what is newer in the images of other teams that a chain follows.

The command imports this module, so it must not import clients of registries.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..text import one_line, short
from ..transports.image import PackageChange
from ..views.change_lines import format_package, format_setting
from ..views.comparison import SettingChange

#: What is said once where images of others are used without a policy.
UNVERIFIED = "no chain-policy.yml: signatures are not verified"


class UpstreamChange(msgspec.Struct, frozen=True):
    """What changed in the layer and the contract of one tier of another team."""

    tier: str
    #: The team that owns it; ``null`` if it is not known.
    team: str | None
    packages: list[PackageChange]
    #: Number of files that differ.
    files: int
    #: Files of its contract tests, each with ``+``, ``~`` or ``-`` and a space before its path.
    contract: list[str]
    #: Paths that it protects, each with ``+`` or ``-`` and a space before it.
    protects: list[str]


class UpstreamTier(msgspec.Struct, frozen=True):
    """A tier that a followed image consists of."""

    tier: str
    team: str | None


class FollowedUpdate(msgspec.Struct, frozen=True):
    """The image that a followed tier stands for, and a newer one if there is one."""

    tier: str
    team: str
    #: Host and repository, and the tag.
    image: str
    tag: str
    #: Digest of the manifest in the lock file; ``null`` if it has none.
    locked: str | None
    #: Digest of the manifest that the tag names now.
    newest: str
    #: Whether the lock file has to change.
    newer: bool
    #: The tiers of the newest image, the base first.
    upstream: list[UpstreamTier]
    changes: list[UpstreamChange] = msgspec.field(default_factory=list)
    config: list[SettingChange] = msgspec.field(default_factory=list)
    environment: list[SettingChange] = msgspec.field(default_factory=list)
    labels: list[SettingChange] = msgspec.field(default_factory=list)
    #: One sentence for each thing that could not be compared, or that the newest image lacks.
    unread: list[str] = msgspec.field(default_factory=list)


class LockUpdate(msgspec.Struct, frozen=True):
    """The answer to ``tierwright update``."""

    tiers: list[FollowedUpdate]
    #: The lock files that were written.
    written: list[str]
    #: Whether a policy verified the newest images.
    verified: bool


def update_lines(answer: LockUpdate) -> Iterator[str]:
    """Yield the lines of an answer."""
    for tier in answer.tiers:
        yield from _tier_lines(tier)
    yield from (f"{path} is written" for path in answer.written)
    if not answer.verified:
        yield UNVERIFIED


def _tier_lines(tier: FollowedUpdate) -> Iterator[str]:
    name = f"{tier.tier}, team {tier.team}: {tier.image}:{tier.tag}"
    if not tier.newer:
        yield f"{name} is still {short(tier.newest)}"
        return
    yield f"{name} is {short(tier.newest)}, " + (f"locked is {short(tier.locked)}" if tier.locked else "not locked yet")
    for change in tier.changes:
        yield f"  {one_line(change.tier)}{f' (team {change.team})' if change.team else ''}:"
        yield from (f"    package {format_package(package)}" for package in change.packages)
        yield from (f"    contract {line}" for line in change.contract)
        yield from (f"    protects {line}" for line in change.protects)
        if change.files:
            yield f"    {change.files} file{'s' if change.files > 1 else ''} changed"
    for title, settings in (("config", tier.config), ("environment", tier.environment), ("label", tier.labels)):
        yield from (f"  {title} {format_setting(setting)}" for setting in settings)
    yield from (f"  {sentence}" for sentence in tier.unread)
