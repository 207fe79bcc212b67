# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file ``policy.json`` of Podman, Buildah, Skopeo and CRI-O (containers-policy.json(5)).

Its requirements are all needed, and each names keys of which one must sign. Sigstore bundles are not read yet:
https://github.com/podman-container-tools/container-libs/pull/1153. GPG signatures (``signedBy``) need other keys.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from .policy import Policy
from .renderings import Rendering, SignatureRule, notes_of, signature_rules

_NOTES = (
    "Install it as /etc/containers/policy.json, and set use-sigstore-attachments for these registries in registries.d.",
    "Podman, Buildah, Skopeo and CRI-O do not read Sigstore bundles yet, so they REJECT images that only Tierwright",
    "signed. Sign them in the older format, too: cosign sign --new-bundle-format=false --key KEY IMAGE.",
    "Debian's builds of these programs have sigstore signatures switched off, and reject all of these images.",
    "keyDatas, for a choice of several keys, needs containers/image 5.32.2 (August 2024) or later.",
)


def render_containers_policy(policy: Policy, repositories: Mapping[str, str]) -> Rendering:
    """Render a ``policy.json`` that rejects all images except those in the repositories with the right signatures.

    Args:
        policy: The policy.
        repositories: By tier, host and name of its repository.

    Raises:
        TrustError: A tier or a repository is wrong, or two tiers have the same repository.
    """
    rules = signature_rules(policy, repositories)
    document = {
        "default": [{"type": "reject"}],
        "transports": {"docker": {rule.repository: _requirements(rule) for rule in rules}},
    }
    return Rendering(json.dumps(document, indent=2) + "\n", notes_of(*_NOTES))


def _requirements(rule: SignatureRule) -> list[dict[str, Any]]:
    requirements = []
    for choice in rule.choices():
        keys = [base64.b64encode(key.pem.encode()).decode() for _name, key in choice]
        requirements.append(
            {
                "type": "sigstoreSigned",
                **({"keyData": keys[0]} if len(keys) == 1 else {"keyDatas": keys}),
                "signedIdentity": {"type": "matchRepository"},
            }
        )
    return requirements
