# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Recognises stage images by their history."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine.engine import Engine

#: Text of the history entries of a stage image. The last entry of an image that a user makes from it is different.
DOING = "tierwright: build"


def is_stage(engine: Engine, image: str) -> bool:
    """Tell whether an image with the labels of a stage image is one.

    An image that a user commits from a build container inherits these labels.

    Raises:
        EngineError: The engine rejected a request.
    """
    newest = engine.images.newest_step(image)
    return newest is None or newest.created_by == DOING  # a missing image was removed by its run in the meantime
