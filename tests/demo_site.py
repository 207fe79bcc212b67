"""The site of the demo chain, with every setting that adds objects, for tests of what is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.secret_values import SecretValues
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.settings import (
    read_limits,
    read_secrets,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import DeployedImage, Site
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.wordpress_site import (
    SERVICES,
    SiteSettings,
    make_site,
)

GIVEN = {
    "database_password": "the password of the site",
    "database_root_password": "the password of the root user",
    "phrase": "a phrase with more than thirty-two characters",
}
SECRETS: SecretValues = read_secrets(GIVEN)
REPLICAS = {"mariadb": 1, "wordpress": 2, "haproxy": 2}


def demo_site(references: Mapping[str, str] | None = None, name: str = "shop", **changes: Any) -> Site:
    """The site, with images by service."""
    images = references or {
        service: f"registry.example.org/team/{service}@sha256:{number * 64}"
        for service, number in zip(SERVICES, "123", strict=True)
    }
    chosen = {
        service: DeployedImage(
            reference, f"registry.example.org/team/{service}:latest", f"sha256:{'0' * 64}", service, "team"
        )
        for service, reference in images.items()
    }
    fields = {"images": chosen, "replicas": REPLICAS, "limits": read_limits({}), **changes}
    return make_site(SiteSettings(name, **fields))
