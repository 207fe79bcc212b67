# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When images and layers were built.

The time in an image of a tier is that of its sources. When it was built is remembered by the machine that did it; else
the first release that it was part of tells. What others made says when it was built.
"""

from __future__ import annotations

from ..chain import tags
from ..image import built
from .document import Document, Step, timestamp


def of_image(document: Document) -> str | None:
    """RFC 3339 time at which an image was built; ``None`` where nobody knows."""
    last = document.steps[-1] if document.steps else None
    if last is None or last.tier is None:
        return timestamp(document.created)
    return built.built(document.id) or _first_release(document.names)


def of_layer(digest: str, step: Step | None) -> str | None:
    """RFC 3339 time at which a layer was built; ``None`` where nobody knows."""
    if step is None or step.tier is None:
        return timestamp(step.created) if step else None
    return built.built(digest)


def _first_release(names: tuple[str, ...]) -> str | None:
    found = [tag for name in names if tags.is_release(tag := name.rpartition(":")[2])]
    moments = sorted(moment for tag in found if (moment := tags.moment(tag)))
    return moments[0].strftime("%Y-%m-%dT%H:%M:%SZ") if moments else None
