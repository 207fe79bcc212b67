"""Renderings of a policy in the languages of engines and clusters, as files that people can read.

`python tests/rendered_policies.py` writes tests/unit/policy/golden. A test checks that they are up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.containers_policy import (
    render_containers_policy,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.kyverno import (
    render_cluster_policy,
    render_image_validating_policy,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import Policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy_controller import (
    render_policy_controller,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.renderings import Rendering
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import Revocation, Team, TierRule
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import PublicKey, describe_key

FOLDER = Path(__file__).parent / "unit/policy/golden"


def key(number: int) -> PublicKey:
    """A valid key that is the same each time. Everybody knows its private number."""
    return describe_key(derive_private_key(number, SECP256R1()).public_key(), f"key {number}")


PEOPLE = {"alice": key(1), "bob": key(2), "carol": key(3), "dave": key(4)}
REPOSITORIES = {
    "base": "registry.example.org/mirror/debian",
    "corebuild": "registry.example.org/operations/corebuild",
    "httpd-php": "registry.example.org:5000/middleware/httpd-php",
}
#: Two of three people of operations sign; the key of a fourth one was revoked.
POLICY = Policy(
    version=3,
    expires=datetime(2099, 7, 1, tzinfo=UTC),
    digest=f"sha256:{'ab' * 32}",
    teams={"operations": Team("operations", PEOPLE), "middleware": Team("middleware", {"erin": key(5)})},
    tiers={
        "base": TierRule(signed_by={"vendor": key(6), "mirror": key(7)}),
        "corebuild": TierRule(team="operations", signatures=2),
        "*": TierRule(team="middleware"),
    },
    revoked={PEOPLE["dave"].id: Revocation("2026-11-30", "laptop lost")},
)
RENDERINGS: dict[str, Callable[[Policy, dict[str, str]], Rendering]] = {
    "policy.json": render_containers_policy,
    "kyverno.yml": render_cluster_policy,
    "kyverno-image.yml": render_image_validating_policy,
    "policy-controller.yml": render_policy_controller,
}


def text(name: str) -> str:
    return RENDERINGS[name](POLICY, REPOSITORIES).text


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in RENDERINGS:
        (FOLDER / each).write_text(text(each))
