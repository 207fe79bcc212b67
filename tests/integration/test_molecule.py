"""Molecule in a fresh clone, with a home of its own: nothing is downloaded, and nothing is installed for others."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

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


@pytest.mark.usefixtures("demo")
def test_a_role_passes_in_a_fresh_clone_and_leaves_nothing_behind(clone, environment, engine, tmp_path):
    before = {image.id for image in engine.images.list(all=True)}
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [BIN / "molecule", "test"],
        cwd=clone / "roles/mariadb",
        env={**environment, "HOME": str(home), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    for step in ("create", "converge", "idempotence", "side_effect", "verify", "destroy"):
        assert f"default > {step}: Executed: Successful" in done.stdout
    assert " passed" in done.stdout
    assert not {"collections", "ansible_collections", "roles"} & _names(home)
    assert {image.id for image in engine.images.list(all=True)} == before
    assert not engine.containers.list(all=True, filters={"label": "io.tierwright.chain=molecule-mariadb"})


def _names(folder: Path) -> set[str]:
    return {part for path in folder.rglob("*") for part in path.relative_to(folder).parts}
