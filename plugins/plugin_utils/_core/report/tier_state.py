# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of a tier: failed, not reached, without an image, stale, or up to date; and the reasons."""

from __future__ import annotations

from collections.abc import Iterator

from ..state.status import BUILT, Standing
from ..transports.image_document import Document
from .model import ABSENT, FAILED, NOT_REACHED, STALE

_UNRELEASED = "its last build is not released: the run stopped, a descendant failed, or the build was rolled back"


_OTHER_IMAGE = "the lock file names a different image than the one in use"


def judge(
    status: Standing | None, image: Document | None, parent_image: Document | None, parent_name: str | None
) -> tuple[str, list[str]]:
    """Determine the state of a tier, and the reasons.

    Args:
        status: Its status after the last plan and run; ``None`` if this machine made no plan.
        image: Its image in use; ``None`` if there is none.
        parent_image: The parent's image in use; ``None`` if there is none.
        parent_name: Name of the parent; ``None`` if the tier has no parent.

    Returns:
        One of :data:`.model.STATES`, or an empty text if the tier is up to date; and the reasons.
    """
    recorded_state = status.state if status else ""
    if status and recorded_state in {FAILED, NOT_REACHED}:
        return recorded_state, list(_failures(status))
    reasons = []
    if status and status.wanted and recorded_state:
        reasons += status.wanted.reasons
    if status and status.ended and status.ended.result == BUILT and not _has_id(image, status.ended.image):
        reasons.append(_UNRELEASED)
    if status and status.follows and image is not None and image.id != status.follows.image:
        reasons.append(_OTHER_IMAGE)
    if image is None:
        return ABSENT, reasons or ["it has no image here"]
    if parent_image is not None and image.layers[: len(parent_image.layers)] != parent_image.layers:
        reasons.append(f"it is based on an image of {parent_name} that is not the one in use")
    return (STALE, reasons) if reasons else ("", [])


def _has_id(image: Document | None, identity: str | None) -> bool:
    return image is not None and image.id == identity


def _failures(status: Standing) -> Iterator[str]:
    ended = status.ended
    if ended is None:
        return
    if ended.said:
        yield ended.said
    for failure in ended.failures:
        owner = f" (team {failure.owner})" if failure.owner else ""
        yield f"{failure.test or 'all tests'}{owner}: {failure.message}"
