# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a tier stands: as it should, or not, and why."""

from __future__ import annotations

from collections.abc import Iterator

from ..inspect.document import Document
from ..run.standing import BUILT, Standing
from .facts import ABSENT, FAILED, NOT_REACHED, STALE

_UNRELEASED = (
    "its last build is not released: the run stopped, something that stands on it failed, or it was rolled back"
)


def judge(
    standing: Standing | None, image: Document | None, parent: Document | None, parent_name: str | None
) -> tuple[str, list[str]]:
    """Say what state a tier is in, and why.

    Args:
        standing: What plans and runs noted of it; ``None`` where none was made here.
        image: What is in use of it; ``None`` where there is nothing.
        parent: The same of its parent.
        parent_name: What the parent is called; ``None`` where it stands on nothing.

    Returns:
        One of :data:`.facts.STATES`, or an empty word; and the reasons.
    """
    noted = standing.state if standing else ""
    if standing and noted in {FAILED, NOT_REACHED}:
        return noted, list(_failures(standing))
    reasons = []
    if standing and standing.wanted and noted:
        reasons += standing.wanted.reasons
    if standing and standing.ended and standing.ended.result == BUILT and not _is(image, standing.ended.image):
        reasons.append(_UNRELEASED)
    if image is None:
        return ABSENT, reasons or ["there is no image of it here"]
    if parent is not None and image.layers[: len(parent.layers)] != parent.layers:
        reasons.append(f"it stands on another image of {parent_name} than the one in use")
    return (STALE, reasons) if reasons else ("", [])


def _is(image: Document | None, identity: str | None) -> bool:
    return image is not None and image.id == identity


def _failures(standing: Standing) -> Iterator[str]:
    ended = standing.ended
    if ended is None:
        return
    if ended.said:
        yield ended.said
    for each in (ended.tested or {}).get("failed", ()):
        owner = f" (team {each['owner']})" if each.get("owner") else ""
        yield f"{each.get('test')}{owner}: {each.get('message')}"
