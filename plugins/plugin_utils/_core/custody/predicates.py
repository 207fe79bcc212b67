# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kinds of statements about images, and the subjects that they have."""

from __future__ import annotations

import msgspec

from ..signing.statement import Subject

#: How an image was built: https://slsa.dev/spec/v1.0/provenance.
PROVENANCE = "https://slsa.dev/provenance/v1"
#: Which tests it passed: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md.
GATE = "https://in-toto.io/attestation/test-result/v0.1"
#: That somebody signed the image, as ``cosign sign`` says it.
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
#: What a tier's build does, for provenance.
BUILD_TYPE = "https://tierwright.github.io/tier/v1"
#: Followed by the name of a builder.
BUILDER = "https://tierwright.github.io/builder/"
#: Key of the time of the tests in the predicate of a gate.
TESTED_ON = "https://tierwright.github.io/tested-on"

#: Names of the subjects that are not the image itself.
CONFIG, LAYER = "config", "layer"


class TierImage(msgspec.Struct, frozen=True):
    """An image of a tier, as statements name it."""

    tier: str
    #: ``sha256:…`` of its manifest.
    manifest: str
    #: ``sha256:…`` of its configuration.
    config: str
    #: ``sha256:…`` of the tier's own layer. A base that was pulled has all layers of that image; a tier can have none.
    layers: tuple[str, ...]

    def subjects(self) -> tuple[Subject, ...]:
        """Return the subjects of statements about the image, in their order. No other subject is allowed."""
        own = (Subject(LAYER, layer) for layer in self.layers)
        return (Subject(self.tier, self.manifest), Subject(CONFIG, self.config), *own)
