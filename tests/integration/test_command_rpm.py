"""Packages of an image with an RPM database."""

from __future__ import annotations

import io
import secrets
import subprocess
import tarfile

import pytest

from .command import packages_after_each_layer, tierwright_fixture  # noqa: F401 - tests use the fixture

pytestmark = pytest.mark.once


def test_packages_of_an_rpm_database_match_rpm(tierwright, engine, tmp_path):
    """An image of one layer, with a root file system that contains two packages from rpmbuild."""
    root = tmp_path / "root"
    for name, tag in (("twone", "Epoch: 2"), ("twtwo", "")):
        (tmp_path / f"{name}.spec").write_text(
            f"Name: {name}\nVersion: 1.2\nRelease: 3\nSummary: x\nLicense: x\nBuildArch: noarch\n{tag}\n"
            "%description\nx\n%files\n"
        )
        build = ["rpmbuild", "-bb", f"--define=_topdir {tmp_path}/build", str(tmp_path / f"{name}.spec")]
        subprocess.run(build, check=True, capture_output=True)
    database = ["--root", str(root), "--dbpath", "/var/lib/rpm"]
    packages = [str(path) for path in (tmp_path / "build/RPMS").rglob("*.rpm")]
    subprocess.run(["rpm", *database, "-i", "--nodeps", *packages], check=True, capture_output=True)
    output = subprocess.run(
        ["rpm", *database, "-qa", "--qf", "%{NAME}:%{ARCH} %{EVR}\n"], check=True, capture_output=True, text=True
    ).stdout
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(root, arcname=".")
    name = f"twtest-{secrets.token_hex(4)}"
    engine.api.import_image_from_data(content.getvalue(), repository=name, tag="1")
    try:
        [packages_read] = packages_after_each_layer(tierwright("layers", f"{name}:1", "--json").json)
        assert packages_read == dict(line.split(" ") for line in output.splitlines())
        assert packages_read == {"twone:noarch": "2:1.2-3", "twtwo:noarch": "1.2-3"}
    finally:
        engine.images.remove(f"{name}:1")
