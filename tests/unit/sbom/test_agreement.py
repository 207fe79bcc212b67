"""Our list of packages agrees with dpkg, and with debsbom, an independent generator for Debian."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packageurl import PackageURL

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom import cyclonedx
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.component_reader import read_components
from made_images import layer, tier_step
from made_packages import OS_RELEASE, dpkg

pytestmark = pytest.mark.once

SMALL = dpkg(
    ("libssl3", "3.0.11-1~deb12u2", "openssl"),
    ("libstdc++6", "12.2.0-14+b1", "gcc-12 (12.2.0-14)"),
    ("adduser", "3.134"),
    ("dpkg", "1.21.22"),  # debsbom takes the architecture from it
    ("tzdata", "1:2024a-0+deb12u1"),
)[1]
THIS_MACHINE = Path("/var/lib/dpkg/status")


def packages_by_debsbom(tmp_path, status):
    """Return packages and sources, each as name, version and architecture, with the name of the maintainer."""
    (tmp_path / "root/var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "root/var/lib/dpkg/status").write_bytes(status)
    command = [Path(sys.executable).with_name("debsbom"), "generate", "-t", "cdx", "-r", tmp_path / "root", "-o", "-"]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    components = [
        (PackageURL.from_string(component["purl"]), component)
        for component in json.loads(output)["components"]
        if component.get("purl", "").startswith("pkg:deb/")
    ]
    sources = {(purl.name, purl.version) for purl, _ in components if purl.qualifiers["arch"] == "source"}
    binaries = {
        (purl.name, purl.version, purl.qualifiers["arch"], component["supplier"]["name"])
        for purl, component in components
        if purl.qualifiers["arch"] != "source"
    }
    return binaries, sources


def packages_by_us(open_image, status):
    image = read_components(
        open_image([layer(("var/lib/dpkg/status", status), OS_RELEASE)], [tier_step("base", "ops")])
    )
    binaries = set()
    for component in cyclonedx.write_image(image)["components"]:
        if component["type"] == "library":
            purl = PackageURL.from_string(component["purl"])
            assert (purl.type, purl.namespace, purl.qualifiers["distro"]) == ("deb", "debian", "debian-12")
            binaries.add((purl.name, purl.version, purl.qualifiers["arch"], component["supplier"]["name"]))
    return binaries, {(each.package.source, each.package.source_version) for each in image.installed}


@pytest.mark.parametrize("which", ["small", "this machine"])
def test_packages_and_sources_are_those_of_debsbom(tmp_path, open_image, which):
    if which == "this machine" and not THIS_MACHINE.exists():
        pytest.skip("this machine has no dpkg")
    status = SMALL if which == "small" else THIS_MACHINE.read_bytes()
    binaries, sources = packages_by_us(open_image, status)
    expected_binaries, expected_sources = packages_by_debsbom(tmp_path, status)
    assert binaries == expected_binaries
    assert sources <= expected_sources
    # debsbom also lists sources of which only code is built in.
    assert all(f"{name} (= {version})".encode() in status for name, version in expected_sources - sources)


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="this machine has no dpkg")
def test_packages_and_sources_of_this_machine_are_those_of_dpkg_query(open_image):
    form = "${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\\n"
    output = subprocess.run(["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True).stdout
    lines = [line.split(" ") for line in output.splitlines()]
    image = read_components(open_image([layer(("var/lib/dpkg/status", THIS_MACHINE.read_bytes()))]))
    ours = [(each.name, each.version, each.architecture, each.source, each.source_version) for each in packages(image)]
    assert sorted(ours) == sorted(tuple(fields) for state, *fields in lines if state == "installed")


def packages(image):
    return [component.package for component in image.installed]
