"""`molecule test` of roles with a temporary home: it downloads nothing, and installs nothing outside of it.

The gate runs the same tests of each tier, so a change runs Molecule for some roles, and `make soak` runs it for all.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import BIN, ROOT, make_clone

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("demo")]

#: Roles that are tested in place. The remaining role is tested in a fresh clone.
IN_PLACE = sorted({path.parent.name for path in ROOT.glob("roles/*/molecule")} - {"mariadb"})
STEPS = {"engine": ("converge", "idempotence", "verify")}
ALL_STEPS = ("destroy", "create", "converge", "idempotence", "side_effect", "verify", "destroy")


@pytest.fixture
def clone(tmp_path):
    """A copy of the files of this working tree that Git tracks."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in files.stdout.split("\0")[:-1]:
        target = tmp_path / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    make_clone(tmp_path / "clone")
    return tmp_path / "clone"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def molecule(environment, home):
    def run(folder, *arguments, command=("tierwright", "molecule"), **variables):
        report = ROOT / f"reports/molecule-{folder.name}.xml"
        process = subprocess.run(
            [BIN / command[0], *command[1:], *arguments],
            cwd=folder,
            env={
                **environment,
                **variables,
                "HOME": str(home),
                "NO_COLOR": "1",
                "PYTEST_ADDOPTS": f"--junitxml={report}",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=400,
        )
        assert process.returncode == 0, process.stdout
        return process.stdout

    return run


def assert_passed(output, role):
    for step in STEPS.get(role, ALL_STEPS):
        assert f"default > {step}: Executed: Successful" in output
    assert re.search(r" passed(, \d+ skipped)? in ", output)


@pytest.mark.sampled
@pytest.mark.parametrize("role", IN_PLACE)
def test_a_role_passes(molecule, role):
    assert_passed(molecule(ROOT / "roles" / role, "test"), role)


def test_a_role_passes_in_a_fresh_clone_and_leaves_nothing(clone, molecule, home, engine):
    """Molecule itself is called, with the two lines of docs/molecule.md."""
    before = {image.id for image in engine.images.list(all=True)}
    shared = clone / "extensions/molecule"
    output = molecule(
        clone / "roles/mariadb",
        "test",
        command=("molecule", "--base-config", shared / "config.yml"),
        TIERWRIGHT_MOLECULE=str(shared),
        TIERWRIGHT_INVENTORY=str(clone / "inventories/wordpress/chain.yml"),
        ANSIBLE_CONFIG=str(clone / "ansible.cfg"),
    )
    assert_passed(output, "mariadb")
    assert list((home / ".ansible").glob("[!t]*/*")) == []  # files in collections or roles would hide others
    assert {image.id for image in engine.images.list(all=True)} == before
    chains = {container.labels.get(labels.CHAIN, "") for container in engine.containers.list(all=True)}
    assert not [chain for chain in chains if chain.startswith("molecule-mariadb-")]


def test_a_variant_has_its_own_image_names(molecule):
    output = molecule(ROOT / "tests/compatibility", "converge", "-s", "debian-13", "--", "--check")
    assert "wordpress  " in output
    assert "wordpress:latest" not in output
    assert "choice of --tags" not in output
    assert "no image compatibility/base:debian-13" in output or "base       keep" in output
