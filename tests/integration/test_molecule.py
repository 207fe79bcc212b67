"""`molecule test` of every role, with a home of its own: nothing is downloaded, and nothing is installed for others."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from .conftest import BIN, ROOT, make_clone

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("demo")]

#: Roles that are tested where they lie; what is left out is tested in a fresh clone.
IN_PLACE = sorted({path.parent.name for path in ROOT.glob("roles/*/molecule")} - {"mariadb"})
STEPS = {"engine": ("converge", "idempotence", "verify")}
ALL_STEPS = ("destroy", "create", "converge", "idempotence", "side_effect", "verify", "destroy")


@pytest.fixture
def clone(tmp_path):
    """What git knows of this working tree."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.split("\0")[:-1]:
        to = tmp_path / "clone" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, to, follow_symlinks=False)
    make_clone(tmp_path / "clone")
    return tmp_path / "clone"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def molecule(environment, home):
    def run(folder, *arguments):
        report = ROOT / f"reports/molecule-{folder.name}.xml"
        done = subprocess.run(
            [BIN / "molecule", *arguments],
            cwd=folder,
            env={**environment, "HOME": str(home), "NO_COLOR": "1", "PYTEST_ADDOPTS": f"--junitxml={report}"},
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


def passes(told, role):
    for step in STEPS.get(role, ALL_STEPS):
        assert f"default > {step}: Executed: Successful" in told
    assert re.search(r" passed(, \d+ skipped)? in ", told)


@pytest.mark.parametrize("role", IN_PLACE)
def test_a_role_passes(molecule, role):
    passes(molecule(ROOT / "roles" / role, "test"), role)


def test_a_role_passes_in_a_fresh_clone_and_leaves_nothing_behind(clone, molecule, home, engine):
    before = {image.id for image in engine.images.list(all=True)}
    passes(molecule(clone / "roles/mariadb", "test"), "mariadb")
    assert list((home / ".ansible").glob("[!t]*/*")) == []  # in collections or roles it would hide others
    assert {image.id for image in engine.images.list(all=True)} == before
    assert not engine.containers.list(all=True, filters={"label": "io.tierwright.chain=molecule-mariadb"})


def test_a_variant_is_planned_under_names_of_its_own(molecule):
    told = molecule(ROOT / "tests/compatibility", "converge", "-s", "debian-13", "--", "--check")
    assert "wordpress  " in told
    assert "wordpress:latest" not in told
    assert "choice of --tags" not in told
    assert "no image compatibility/base:debian-13" in told or "base       keep" in told
