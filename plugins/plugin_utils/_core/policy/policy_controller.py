# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Resources of the policy-controller of sigstore: ``ClusterImagePolicy``.

All policies that match an image are needed, and in each, one of the authorities. Bundles are accepted without own keys
only (``the authority must be keyless``): https://github.com/sigstore/policy-controller/issues/1958.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..signing.public_key import PublicKey
from .policy import Policy
from .renderings import Rendering, SignatureRule, globs, resource_name, signature_rules, write_resources

_NOTES = (
    "policy-controller up to 0.15 verifies keys only in the older format of signatures, so it REJECTS images that",
    "only Tierwright signed (https://github.com/sigstore/policy-controller/issues/1958). Sign them in that format,",
    "too: cosign sign --new-bundle-format=false --key KEY IMAGE. It checks namespaces that have the label",
    "policy.sigstore.dev/include=true.",
)


def render_policy_controller(policy: Policy, repositories: Mapping[str, str]) -> Rendering:
    """Render a ``ClusterImagePolicy`` for each tier, or several if more than one key must sign.

    Args:
        policy: The policy.
        repositories: By tier, host and name of its repository.

    Raises:
        TrustError: A tier or a repository is wrong, or a threshold cannot be written.
    """
    resources = []
    for rule in signature_rules(policy, repositories):
        choices = rule.choices()
        resources += [
            _resource(rule, choice, resource_name(rule.tier, number if len(choices) > 1 else 0))
            for number, choice in enumerate(choices, 1)
        ]
    return write_resources(policy, _NOTES, resources)


def _resource(rule: SignatureRule, keys: tuple[tuple[str, PublicKey], ...], name: str) -> dict[str, Any]:
    return {
        "apiVersion": "policy.sigstore.dev/v1beta1",
        "kind": "ClusterImagePolicy",
        "metadata": {"name": name},
        "spec": {
            "mode": "enforce",
            "images": [{"glob": pattern} for pattern in globs(rule.repository)],
            "authorities": [
                {
                    "name": f"key-{number}",
                    "signatureFormat": "legacy",
                    "key": {"data": key.pem, "hashAlgorithm": "sha256"},
                }
                for number, (_person, key) in enumerate(keys, 1)
            ],
        },
    }
