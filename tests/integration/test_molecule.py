"""Molecule in a fresh clone, with a home of its own: nothing is downloaded, and nothing is installed for others."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from .conftest import BIN, ROOT

pytestmark = pytest.mark.once


@pytest.fixture
def clone(tmp_path):
    """What git knows of this working tree."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.split("\0")[:-1]:
        to = tmp_path / "clone" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path / "clone", check=True)
    return tmp_path / "clone"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def molecule(environment, home):
    def run(folder, *arguments):
        done = subprocess.run(
            [BIN / "molecule", *arguments],
            cwd=folder,
            env={**environment, "HOME": str(home), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


@pytest.mark.usefixtures("demo")
def test_a_role_passes_in_a_fresh_clone_and_leaves_nothing_behind(clone, molecule, home, engine):
    before = {image.id for image in engine.images.list(all=True)}
    told = molecule(clone / "roles/mariadb", "test")
    for step in ("create", "converge", "idempotence", "side_effect", "verify", "destroy"):
        assert f"default > {step}: Executed: Successful" in told
    assert " passed in " in told
    assert list((home / ".ansible").glob("[!t]*/*")) == []  # in collections or roles it would hide others
    assert {image.id for image in engine.images.list(all=True)} == before
    assert not engine.containers.list(all=True, filters={"label": "io.tierwright.chain=molecule-mariadb"})


def test_a_variant_is_planned_under_names_of_its_own(molecule):
    told = molecule(ROOT / "tests/compatibility", "converge", "-s", "debian-13", "--", "--check")
    assert "wordpress  " in told
    assert "wordpress:latest" not in told
    assert "choice of --tags" not in told
    assert "no image compatibility/base:debian-13" in told or "base       keep" in told
