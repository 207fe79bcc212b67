# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings the images into the engine that a plan keeps, although they are only in a registry so far."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from ..build_key.parts import content_tag
from ..custody.custody_reader import identify_document
from ..engine.engine import Engine
from ..image import labels
from ..plan.decision import Action, Decision
from .attachments import PublishedParent
from .download import download
from .image_check import ImageChecker
from .published_image import PublishedImage, open_published
from .shared_cache import SharedCache


def take_kept(
    engine: Engine,
    decisions: Collection[Decision],
    shared: SharedCache,
    say: Callable[[str], None],
    checker: ImageChecker,
) -> list[str]:
    """Download the images that a plan keeps and that the engine does not have, with the tags that a build gives them.

    With a policy, all of them are checked before one is downloaded. Their records are kept here, because this machine
    may promote them.

    Args:
        engine: The engine.
        decisions: The decisions of the plan, parents before children.
        shared: The cache that it asked.
        say: Called with lines about the progress.
        checker: Checks the images.

    Returns:
        The tiers whose images were downloaded.

    Raises:
        TrustError: The policy refuses an image. Nothing was downloaded.
        DamagedError: A layer in the registry is damaged.
        EngineError: The engine or the registry rejected a request, or does not answer.
    """
    kept = [
        decision
        for decision in decisions
        if decision.action is Action.KEEP and decision.image in shared.found and not engine.images.find(decision.image)
    ]
    if checker.verifies:
        for decision in kept:
            _check(checker, decision, shared.found[decision.image or ""])
    images = download(engine, [shared.found[decision.image or ""] for decision in kept], say)
    for decision, image in zip(kept, images, strict=True):
        engine.images.tag(image.id, decision.tier.image, content_tag(image.labels[labels.KEY]))
    for tested in shared.tested:
        engine.images.tag(tested.image, tested.tier.image, tested.tag)
    return [decision.tier.name for decision in kept]


def _check(checker: ImageChecker, decision: Decision, image: PublishedImage) -> None:
    subject = (
        f"tier {decision.tier.name!r} is not taken from the shared cache (without tier_shared_cache, it is built here)"
    )
    identity = identify_document(image.document, image.name, image.manifest)
    place = PublishedParent(f"{image.client.host}/{image.repository}", image.manifest)
    checker.check_published(identity, place, subject, partial(open_published, image))
