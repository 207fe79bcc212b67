# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Policies of Kyverno: a ``ClusterPolicy``, or an ``ImageValidatingPolicy``. Both read Sigstore bundles.

https://kyverno.io/docs/policy-types/. Which versions verify bundles with keys is in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .evidence import PROVENANCE
from .policy import Policy
from .renderings import (
    Rendering,
    SignatureRule,
    globs,
    resource_name,
    signature_rules,
    write_resources,
)

_CLUSTER_NOTES = (
    "Kyverno must have the change https://github.com/kyverno/kyverno/issues/16267. Kyverno 1.18.2 and older do",
    "not verify Sigstore bundles with keys, and REJECT these images. For 1.17 and 1.18: --format kyverno-image.",
)
_IMAGE_NOTES = (
    "Kyverno 1.17 and 1.18 verify Sigstore bundles with these keys. Kyverno 1.19.0 REJECTS all of these images:",
    "https://github.com/kyverno/kyverno/issues/17363. For later versions, see --format kyverno.",
)
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_OFFLINE = {"rekor": {"ignoreTlog": True}, "ctlog": {"ignoreSCT": True}}


def render_cluster_policy(policy: Policy, repositories: Mapping[str, str]) -> Rendering:
    """Render a ``ClusterPolicy`` with a rule for each tier: enough keys signed the image, and its provenance.

    Args:
        policy: The policy.
        repositories: By tier, host and name of its repository.

    Raises:
        TrustError: A tier or a repository is wrong.
    """
    rules = signature_rules(policy, repositories)
    resource = {
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "tierwright-signatures"},
        "spec": {
            "background": False,
            "webhookConfiguration": {"failurePolicy": "Fail", "timeoutSeconds": 30},
            "rules": [_cluster_rule(policy, rule) for rule in rules],
        },
    }
    return write_resources(policy, _CLUSTER_NOTES, [resource])


def _cluster_rule(policy: Policy, rule: SignatureRule) -> dict[str, Any]:
    entries = [
        {"keys": {"publicKeys": key.pem, "signatureAlgorithm": "sha256", **_OFFLINE}} for _name, key in rule.keys
    ]
    attestors = [{"count": rule.needed, "entries": entries}]
    checked = policy.rule(rule.tier)
    has_provenance = checked is not None and checked.team is not None
    return {
        "name": resource_name(rule.tier),
        "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
        "verifyImages": [
            {
                "type": "SigstoreBundle",
                "imageReferences": globs(rule.repository),
                "failureAction": "Enforce",
                "mutateDigest": True,
                "verifyDigest": True,
                "required": True,
                "attestors": attestors,
                **({"attestations": [{"type": PROVENANCE, "attestors": attestors}]} if has_provenance else {}),
            }
        ],
    }


def render_image_validating_policy(policy: Policy, repositories: Mapping[str, str]) -> Rendering:
    """Render an ``ImageValidatingPolicy`` for each tier: enough keys signed the image.

    Args:
        policy: The policy.
        repositories: By tier, host and name of its repository.

    Raises:
        TrustError: A tier or a repository is wrong.
    """
    rules = signature_rules(policy, repositories)
    return write_resources(policy, _IMAGE_NOTES, [_validating_policy(rule) for rule in rules])


def _validating_policy(rule: SignatureRule) -> dict[str, Any]:
    # Names in expressions of CEL have no hyphens, and those of people can have any character.
    names = [f"key{number}" for number in range(1, len(rule.keys) + 1)]
    attestors = [
        {
            "name": name,
            "cosign": {
                "key": {"data": key.pem},
                "ctlog": {"insecureIgnoreTlog": True, "insecureIgnoreSCT": True},
            },
        }
        for name, (_person, key) in zip(names, rule.keys, strict=True)
    ]
    listed = ", ".join(f"attestors.{name}" for name in names)
    # For an image that does not match, the function returns 0. Other containers of the Pod must not count.
    repository = rule.repository
    ours = f'image == "{repository}" || image.startsWith("{repository}:") || image.startsWith("{repository}@")'
    check = f"map(image, verifyImageSignatures(image, [{listed}])).all(count, count >= {rule.needed})"
    signed = [f"images.{kind}.filter(image, {ours}).{check}" for kind in _CONTAINERS]
    return {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ImageValidatingPolicy",
        "metadata": {"name": resource_name(rule.tier)},
        "spec": {
            "failurePolicy": "Fail",
            "validationActions": ["Deny"],
            "webhookConfiguration": {"timeoutSeconds": 30},
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["pods", "pods/ephemeralcontainers"],
                    }
                ]
            },
            "matchImageReferences": [{"glob": pattern} for pattern in (repository, *globs(repository))],
            "attestors": attestors,
            "validations": [
                {"expression": each, "message": f"{rule.needed} of the keys for tier {rule.tier} must sign the image"}
                for each in signed
            ],
        },
    }
