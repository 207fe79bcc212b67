# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prepares a promotion: signs what is known about the images, and checks them, before any tag moves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from ..custody.image_identity import ImageIdentity, identify
from ..custody.manifest_digest import known_manifest
from ..custody.record_store import LocalRecords
from ..custody.sign_records import MakeStatement, SignedImages, sign_images
from ..engine.engine import Engine
from ..signing.envelope import Signer

#: Checks images before they are released, the ancestors first. It raises ``TrustError`` if one may not be.
Check = Callable[[Sequence[ImageIdentity]], None]


def prepare_promotion(
    engine: Engine,
    images: Mapping[str, str],
    moving: Collection[str],
    read_signer: Callable[[str], Signer | None],
    *,
    check: Check | None,
    more_statements: Mapping[str, MakeStatement] = MappingProxyType({}),
    say: Callable[[str], None],
) -> SignedImages:
    """Sign what is known about the images of a run, and check those that will be released.

    Args:
        engine: The engine that has the images.
        images: Image IDs by tier, ancestors first.
        moving: The tiers whose release tag will move.
        read_signer: Returns the signer of a tier; ``None`` if nobody signs it.
        check: Checks the images that will be released; ``None`` checks nothing.
        more_statements: Further statements to sign, by their predicate type.
        say: Called with lines for the user.

    Raises:
        TrustError: A key cannot be opened or cannot sign, or an image may not be released.
        RunError: A signed statement cannot be stored.
        EngineError: The engine rejected a request.
    """
    signed = sign_images(engine, images, read_signer, records=LocalRecords(say), more_statements=more_statements)
    for tier, count in signed.signatures.items():
        if count:
            say(f"{tier}: signed {count} statements about {images[tier]}")
    for sentence in signed.unsigned.values():
        say(sentence)
    if check is not None and moving:
        found = {tier: engine.images.get(image) for tier, image in images.items() if tier in moving}
        check([identify(image, tier, known_manifest(image)) for tier, image in found.items()])
    return signed
