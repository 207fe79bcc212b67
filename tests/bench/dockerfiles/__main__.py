"""Compares the size of the demo chain's images with images of the same content from well-written Dockerfiles.

Each Dockerfile is based on the image of its parent's Dockerfile, and the lowest ones on the base of the demo chain. It
copies the configuration from the image of the tier, so both images have the same content. The bench checks that they
have the same packages.

The output has one line for each tier. ``tier`` and ``Dockerfile`` are the megabytes of all layers except the base,
as reported by the engine. If ``ratio`` is below 1.00, the image of the tier is smaller. ``packages`` is ``same``, or
lists the differences.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
from pathlib import Path
from typing import Any

import docker
import docker.errors

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from sdk_client import sdk_client

FOLDER = Path(__file__).parent
BASE = "base"
#: Each tier and its parent, parents first.
PARENTS = {
    "corebuild": BASE,
    "httpd-php": "corebuild",
    "mariadb": "corebuild",
    "haproxy": "corebuild",
    "wordpress": "httpd-php",
}
_PACKAGES = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n"]


def main() -> None:
    """Build the Dockerfiles, compare the images, and remove them."""
    argparse.ArgumentParser(
        prog="nox --session bench -- dockerfiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    repository = f"tierwright-bench-{secrets.token_hex(4)}"
    try:
        client = sdk_client()
        tiers = {name: client.images.get(f"{name}:latest") for name in (BASE, *PARENTS)}
    except (EngineError, docker.errors.ImageNotFound) as error:
        sys.exit(f"the bench cannot start: {error}; build the demo chain first: make chain")
    built = {BASE: tiers[BASE]}
    print(f"{'tier':10} {'tier':>8} {'Dockerfile':>11} {'ratio':>6}  packages")
    try:
        for name, parent in PARENTS.items():
            arguments = {"PARENT": built[parent].id, "TIER": tiers[name].id}
            built[name], _log = client.images.build(
                path=str(FOLDER / name), buildargs=arguments, tag=f"{repository}:{name}", rm=True, forcerm=True
            )
            images = (tiers[name], built[name])
            tier_size, other_size = (_size(image, tiers[BASE]) for image in images)
            difference = _difference(*(_packages(client, image) for image in images))
            print(
                f"{name:10} {tier_size:8.1f} {other_size:11.1f} {tier_size / other_size:6.2f}  {difference}", flush=True
            )
    finally:
        for name in reversed(PARENTS):
            with contextlib.suppress(docker.errors.ImageNotFound):
                client.images.remove(f"{repository}:{name}")


def _size(image: Any, base: Any) -> float:
    return float(image.attrs["Size"] - base.attrs["Size"]) / 1_000_000


def _packages(client: docker.DockerClient, image: Any) -> set[str]:
    output: bytes = client.containers.run(image.id, _PACKAGES, entrypoint=[], network_mode="none", remove=True)
    return set(output.decode().splitlines())


def _difference(tier: set[str], other: set[str]) -> str:
    if tier == other:
        return "same"
    packages = [
        *(f"+{package}" for package in sorted(tier - other)),
        *(f"-{package}" for package in sorted(other - tier)),
    ]
    return f"{len(packages)} differ: {', '.join(packages)}"


if __name__ == "__main__":
    sys.exit(main())
