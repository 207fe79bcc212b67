# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares the newest image of a followed tier with the locked one, in the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from ..build_key.file_digests import digest_path
from ..chain.tier import Protection, Tier
from ..errors import NotFoundError
from ..image import labels
from ..layer_index.index import Store
from ..views.comparison import compare
from .attachments import Attachment
from .followed_image import ConnectToRead, FollowedImage, look_up_locked
from .lock_file import LockedTier
from .lock_update import FollowedUpdate, UpstreamChange, UpstreamTier
from .published_image import open_published

_NO_ATTACHMENT = (
    "it was published without an attachment, so no contracts of its tiers are tested here; "
    "ask its team to publish it again"
)


def describe_update(
    connect: ConnectToRead, tier: Tier, locked_before: LockedTier | None, now: FollowedImage, store: Store
) -> FollowedUpdate:
    """Compare the newest image of a followed tier with the locked one.

    Args:
        connect: Returns a registry, by its host.
        tier: The tier.
        locked_before: The entry of the lock file; ``None`` if it has none.
        now: The newest image.
        store: Cache of layer indexes.

    Raises:
        DamagedError: A layer has a different digest, or cannot be read.
        EngineError: A registry rejected a request, or does not answer.
    """
    locked = now.locked
    update = FollowedUpdate(
        tier=locked.tier,
        team=tier.team,
        image=locked.image,
        tag=locked.tag,
        locked=locked_before.digest if locked_before else None,
        newest=locked.digest,
        newer=locked_before != locked,
        upstream=_upstream(now),
        unread=[] if locked.attachment else [_NO_ATTACHMENT],
    )
    if locked_before is None or not update.newer:
        return update
    before = look_up_locked(connect, tier, locked_before)
    if before is None:
        sentence = "the locked image or its attachment is not in the registry any more, so it cannot be compared"
        return replace(update, unread=[*update.unread, sentence])
    try:
        diff = compare(open_published(before.published, store), open_published(now.published, store))
    except NotFoundError as error:
        return replace(update, unread=[*update.unread, f"the images cannot be compared: {error}"])
    contracts, protects = _contract_changes(before, now), _protection_changes(before, now)
    layers = {owner.called: owner for owner in diff.tiers}
    teams = {**_teams(before), **_teams(now), **{owner.called: owner.team for owner in diff.tiers}}
    changes = []
    for name in dict.fromkeys((*layers, *contracts, *protects)):
        packages, files = (layers[name].packages, len(layers[name].files)) if name in layers else ([], 0)
        more = contracts.get(name, []), protects.get(name, [])
        changes.append(UpstreamChange(name, teams.get(name), packages, files, *more))
    return replace(
        update,
        changes=changes,
        config=diff.config,
        environment=diff.environment,
        labels=[change for change in diff.labels if not _identifies(change.name)],
        unread=diff.unread,
    )


def _upstream(image: FollowedImage) -> list[UpstreamTier]:
    owners = {(step.tier, step.team): None for step in image.published.document.steps if step.tier}
    return [UpstreamTier(str(tier), team) for tier, team in owners]


def _teams(image: FollowedImage) -> dict[str, str | None]:
    return {tier.tier: tier.team for tier in _upstream(image)}


def _identifies(label: str) -> bool:
    """Say whether a label differs in every two images of a tier."""
    return label.startswith(labels.PREFIX) or label in labels.NOT_INHERITED


def _contract_changes(before: FollowedImage, now: FollowedImage) -> dict[str, list[str]]:
    changes = {}
    for tier in dict.fromkeys((*now.attachments, *before.attachments)):
        old, new = (_contract_files(image.attachments.get(tier)) for image in (before, now))
        if old != new:
            changes[tier] = list(_compare(old, new))
    return changes


def _contract_files(attachment: Attachment | None) -> dict[str, str]:
    folder = attachment.tests if attachment else None
    if folder is None:
        return {}
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): digest_path(path) for path in files}


def _protection_changes(before: FollowedImage, now: FollowedImage) -> dict[str, list[str]]:
    old, new = (_protected(labels.protections(image.published.document.labels)) for image in (before, now))
    changes = ((tier, list(_compare(old.get(tier, {}), new.get(tier, {})))) for tier in {**new, **old})
    return {tier: lines for tier, lines in changes if lines}


def _protected(protections: Iterable[Protection]) -> dict[str, dict[str, str]]:
    return {protection.tier: dict.fromkeys((f"/{path}" for path in protection.paths), "") for protection in protections}


def _compare(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"{'+' if name not in old else '-' if name not in new else '~'} {name}"
