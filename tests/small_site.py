"""A small site for tests of renderers: a database and two replicas of a server.

`python tests/small_site.py` writes the files that the renderers must make of it; read the difference before you commit
it.
"""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import kubernetes, quadlet, swarm
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.labels import SPEC
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.rendered_files import manifest_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.secret_values import SecretValues
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.site import (
    DeployedImage,
    FilledFolder,
    Limits,
    Probe,
    SecretFile,
    Site,
    SiteService,
    SiteVolume,
    VolumeMount,
)

GOLDEN = Path(__file__).parent / "unit/deployment/golden"
PASSWORD = "a password that nobody may see"
SECRETS = SecretValues({"password": PASSWORD})
LIMITS = Limits(millicpus=500, memory=100_000_000, processes=50)


def image(name: str) -> DeployedImage:
    repository = f"registry.example.org/team/{name}"
    return DeployedImage(f"{repository}@sha256:{'1' * 64}", f"{repository}:latest", f"sha256:{'2' * 64}", name, "team")


DATABASE = SiteService(
    name="db",
    image=image("db"),
    replicas=1,
    port=3306,
    uid=999,
    gid=999,
    probe=Probe(("check",)),
    limits=LIMITS,
    secrets=(SecretFile("DB_PASSWORD", "password"),),
    volumes=(VolumeMount("data", "/data"),),
    exclusive=True,
)
SERVER = SiteService(
    name="web",
    image=image("web"),
    replicas=2,
    port=8080,
    uid=1001,
    gid=0,
    probe=Probe(("check", "--all"), start_period=60),
    limits=LIMITS,
    environment={"DB_HOST": "db"},
    secrets=(SecretFile("DB_PASSWORD", "password"),),
    volumes=(VolumeMount("files", "/srv/files", like="/usr/src/files"),),
    scratch={"/tmp": 1_000_000},
    filled=FilledFolder("/srv", ("fill",)),
    published=8000,
    uses=("db",),
)
SITE = Site("shop", (DATABASE, SERVER), (SiteVolume("data", 10**9), SiteVolume("files", 10**9, shared=True)))
CLUSTER = kubernetes.ClusterSettings("shop", host="shop.example.org")


def rendered() -> dict[str, str]:
    """What the renderers make of the site, by name of the file."""
    digest = SECRETS.digest("shop/shop")
    manifests = {
        file.name: file.content.replace(digest, "DIGEST")
        for file in manifest_files(kubernetes.render(SITE, CLUSTER, SECRETS))
    }
    units = {file.name: file.content for file in quadlet.quadlet_files(SITE, {"password": "shop_password_x"})}
    spec = swarm.service_spec(SITE, SERVER, swarm.SwarmSettings(), {"password": ("ID", "shop_password_x")}, "deploy-1")
    spec["Labels"][SPEC] = "DIGEST"
    return {
        "web.yaml": next(content for name, content in manifests.items() if name.endswith("-web.yaml")),
        "network.yaml": next(content for name, content in manifests.items() if name.endswith("-network.yaml")),
        "web.container": units["shop-web-1.container"],
        "web.swarm.json": json.dumps(spec, indent=1, sort_keys=True) + "\n",
    }


if __name__ == "__main__":
    for title, text in rendered().items():
        (GOLDEN / title).write_text(text)
