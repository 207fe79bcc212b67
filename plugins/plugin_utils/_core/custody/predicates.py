# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of statements about an image: the URIs that name their predicates."""

from __future__ import annotations

#: How an image was built: https://slsa.dev/spec/v1.0/provenance.
PROVENANCE = "https://slsa.dev/provenance/v1"
#: The tests that it passed: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md.
GATE = "https://in-toto.io/attestation/test-result/v0.1"
#: Its packages, in the formats CycloneDX and SPDX. These are the types that cosign uses.
CYCLONEDX = "https://cyclonedx.org/bom"
SPDX = "https://spdx.dev/Document"
#: That a team accepts it. cosign looks for this one.
SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
