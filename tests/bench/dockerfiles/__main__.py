"""How large the demo chain's images are, beside images of the same content from well-written Dockerfiles.

Each Dockerfile stands on the one below it, the lowest on the demo's own base, and takes configuration out of the tier
that it is compared with, so both hold the same. The bench checks that they have the same packages.

How to read the output: one line for each tier. ``tier`` and ``Dockerfile`` are megabytes of all layers but the base's,
as the engine counts them; below ``ratio`` 1.00 the tier's image is the smaller one. ``packages`` says ``same``, or
which differ.
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
#: Each tier and what it stands on, parents first.
PARENTS = {"corebuild": BASE, "httpd-php": "corebuild", "mariadb": "corebuild", "wordpress": "httpd-php"}
_PACKAGES = ["dpkg-query", "--show", "--showformat=${Package} ${Version}\\n"]


def main() -> None:
    """Build the Dockerfiles, compare, remove what was built."""
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
    made = {BASE: tiers[BASE]}
    print(f"{'tier':10} {'tier':>8} {'Dockerfile':>11} {'ratio':>6}  packages")
    try:
        for name, parent in PARENTS.items():
            arguments = {"PARENT": made[parent].id, "TIER": tiers[name].id}
            made[name], _log = client.images.build(
                path=str(FOLDER / name), buildargs=arguments, tag=f"{repository}:{name}", rm=True, forcerm=True
            )
            ours, theirs = (_size(image, tiers[BASE]) for image in (tiers[name], made[name]))
            same = _difference(*(_packages(client, image) for image in (tiers[name], made[name])))
            print(f"{name:10} {ours:8.1f} {theirs:11.1f} {ours / theirs:6.2f}  {same}", flush=True)
    finally:
        for name in reversed(PARENTS):
            with contextlib.suppress(docker.errors.ImageNotFound):
                client.images.remove(f"{repository}:{name}")


def _size(image: Any, base: Any) -> float:
    return float(image.attrs["Size"] - base.attrs["Size"]) / 1_000_000


def _packages(client: docker.DockerClient, image: Any) -> set[str]:
    said: bytes = client.containers.run(image.id, _PACKAGES, entrypoint=[], network_mode="none", remove=True)
    return set(said.decode().splitlines())


def _difference(ours: set[str], theirs: set[str]) -> str:
    if ours == theirs:
        return "same"
    found = [*(f"+{each}" for each in sorted(ours - theirs)), *(f"-{each}" for each in sorted(theirs - ours))]
    return f"{len(found)} differ: {', '.join(found)}"


if __name__ == "__main__":
    sys.exit(main())
