"""OpenSCAP on each image of the demo chain: the README of the core build gives a reason for every rule that fails.

    apt-get install openscap-scanner
    SSG_CONTENT=ssg-debian12-ds.xml[:another.xml] python -m pytest tests/soak/test_openscap.py

The content is in Debian's package ssg-debian. For Debian 12, use the package of trixie or later; ``dpkg -x`` unpacks it
anywhere. The test needs root, an engine that holds the demo chain, and a minute for each image.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

import openscap

IMAGES = ("corebuild", "httpd-php", "mariadb", "haproxy", "wordpress")
CONTENT = [
    Path(path)
    for path in os.environ.get("SSG_CONTENT", "/usr/share/xml/scap/ssg/content/ssg-debian12-ds.xml").split(":")
]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not Path(openscap.SCANNER).exists() or not all(content.exists() for content in CONTENT),
    reason="needs root, openscap-scanner and SSG_CONTENT",
)


@pytest.fixture(scope="module", params=IMAGES)
def scanned(request, tmp_path_factory) -> Iterator[tuple[str, set[str]]]:
    """An image, and the rules that fail on it with any content and profile, inside and outside of a container."""
    root = tmp_path_factory.mktemp(request.param)
    client = docker.from_env()
    image = client.images.get(f"{request.param}:latest")
    path = next(variable for variable in image.attrs["Config"]["Env"] if variable.startswith("PATH=")).removeprefix(
        "PATH="
    )
    container = client.containers.create(image.id)
    try:
        with subprocess.Popen(["tar", "-x", "-C", str(root)], stdin=subprocess.PIPE) as tar:
            for chunk in container.export():
                tar.stdin.write(chunk)
    finally:
        container.remove(v=True)
        client.close()
    openscap.prepare(root)
    yield (
        request.param,
        {
            rule
            for content in CONTENT
            for profile in openscap.profiles(content)
            for in_container in (True, False)
            for rule in openscap.failing(root, content, profile, path, in_container=in_container)
        },
    )
    subprocess.run(["rm", "-rf", str(root)], check=True)


@pytest.mark.timeout(900)
def test_every_failing_rule_has_a_reason(scanned):
    image, failing = scanned
    excused = {rule for rule, (images, _reason) in openscap.excused().items() if not images or image in images}
    assert failing - excused == set(), f"rules that fail on {image} and are not in {openscap.README}"
