"""Each kind of input makes its tier and the descendants stale; nothing else does."""

from __future__ import annotations

import hashlib
import os
import shutil
import textwrap
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from .world import PASSWORD, World

CHAIN = """
all:
  vars: {tier_chain: shop}
tiers:
  children:
    operations:
      hosts:
        base: {tier_import: {archive: base.tar, checksum: "sha256:CHECKSUM"}}
        core: {tier_parent: base}
    middleware:
      hosts:
        web: {tier_parent: core, web_port: 80, web_url: "db://u:{{ web_secret }}@x"}
        db: {tier_parent: core}
    development:
      hosts:
        app: {tier_parent: web}
"""
TIERS = ("base", "core", "web", "db", "app")
ARCHIVE = "base"
CHECKSUM = hashlib.sha256(ARCHIVE.encode()).hexdigest()
INCLUDES = """
- name: Include by name
  block:
    - name: Include
      ansible.builtin.include_role: {name: included}
"""
INPUTS = f"""
web_tier_inputs:
  - file: ../../certificates
  - url: "https://example.org/{{{{ web_port }}}}.tar"
    checksum: sha256:{CHECKSUM}
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def vaulted(text: str) -> str:
    secret = VaultLib([("default", VaultSecret(PASSWORD))]).encrypt(text).decode()
    return "web_secret: !vault |\n" + textwrap.indent(secret, "  ")


def project(folder: Path) -> Path:
    inventory = folder / "inventories/shop"
    write(inventory / "base.tar", ARCHIVE)
    write(inventory / "chain.yml", CHAIN.replace("CHECKSUM", CHECKSUM))
    write(inventory / "group_vars/middleware.yml", "shared: 1\n")
    write(inventory / "host_vars/web.yml", vaulted("hunter2"))
    write(folder / "certificates/ca.pem", "one\n")
    write(folder / "files/motd.txt", "hello\n")
    for role in ("core", "web", "db", "app", "below", "included", "other"):
        write(folder / f"roles/{role}/tasks/main.yml", f"# {role}\n[]\n")
        write(folder / f"roles/{role}/files/run", "#!/bin/sh\n")
        write(folder / f"roles/{role}/README.md", "Role\n")
    write(folder / "roles/web/meta/main.yml", "dependencies: [below]\n")
    write(folder / "roles/web/tasks/included.yml", INCLUDES)
    write(folder / "roles/web/defaults/main.yml", INPUTS)
    return folder


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def world(tmp_path):
    """A chain that was built. The role of `db` read a file outside the role and listed a folder."""
    world = World(project(tmp_path / "clone"))
    world.build({"db": ["files/motd.txt", "files/"]})
    assert world.built() == []
    return world


def edit(path: str, text: str = "# other\n[]\n"):
    return lambda world: write(world.folder / path, text)


def replace(path: str, old: str, new: str):
    def change(world):
        file = world.folder / path
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    return change


INVENTORY = "inventories/shop/chain.yml"
WEB = ["web", "app"]


@pytest.mark.parametrize(
    ("change", "stale", "reason"),
    [
        (edit("roles/core/tasks/main.yml"), ["core", "web", "db", "app"], "role core/tasks/main.yml changed"),
        (edit("roles/web/tasks/main.yml"), WEB, "role web/tasks/main.yml changed"),
        (edit("roles/db/tasks/main.yml"), ["db"], "role db/tasks/main.yml changed"),
        (edit("roles/app/files/new"), ["app"], "role app/files/new is new"),
        (lambda world: (world.folder / "roles/app/files/run").chmod(0o755), ["app"], "role app/files/run changed"),
        (lambda world: (world.folder / "roles/app/files/run").unlink(), ["app"], "role app/files/run was removed"),
        (edit("roles/below/tasks/main.yml"), WEB, "role below/tasks/main.yml changed"),
        (edit("roles/included/tasks/main.yml"), WEB, "role included/tasks/main.yml changed"),
        (replace(INVENTORY, "web_port: 80", "web_port: 81"), WEB, "variable web_port changed"),
        (edit("inventories/shop/group_vars/middleware.yml", "shared: 2\n"), ["web", "db", "app"], "variable shared"),
        (edit("inventories/shop/host_vars/web.yml", vaulted("hunter3")), WEB, "variable web_secret changed"),
        (edit("inventories/shop/host_vars/app.yml", "tier_epoch: 1\n"), ["app"], "tier_epoch is now 1"),
        (edit("inventories/shop/host_vars/core.yml", "tier_protects: [x]\n"), list(TIERS[1:]), "tier_protects is new"),
        (edit("inventories/shop/host_vars/base.yml", "tier_protects: [/x]\n"), list(TIERS), "source of the base"),
        (edit("inventories/shop/host_vars/app.yml", "tier_team: x\n"), ["app"], "team changed from development to x"),
        (edit("inventories/shop/host_vars/app.yml", "tier_parent: db\n"), ["app"], "parent db is a different image"),
        (edit("certificates/ca.pem", "two\n"), WEB, "outside input file ../../certificates changed"),
        (replace("roles/web/defaults/main.yml", CHECKSUM, "1e" * 32), WEB, "outside input url example.org/80.tar"),
        (edit("files/motd.txt", "bye\n"), ["db"], "file files/motd.txt changed"),
        (edit("files/another", ""), ["db"], "list of files in folder files changed"),
        (lambda world: world.extra.update(anything=1), list(TIERS[1:]), "variable anything is new"),
        (lambda world: setattr(world, "ansible", "2.21"), list(TIERS[1:]), "ansible-core changed from 2.19 to 2.21"),
        (lambda world: world.tags.update(ansible_run_tags=["x"]), list(TIERS[1:]), "choice of --tags"),
    ],
    ids=lambda value: value.replace("/", " ") if isinstance(value, str) else "",
)
def test_an_input_makes_its_tier_and_the_descendants_stale(world, change, stale, reason):
    change(world)
    decisions = world.decide()
    assert world.built() == stale
    assert any(reason in line for line in decisions[stale[0]].reasons), decisions[stale[0]].reasons
    for name in stale[1:]:
        parent = decisions[name].tier.parent
        assert decisions[name].reasons[-1] == f"parent {parent} is built" if parent in stale else True


def test_an_earlier_image_with_the_same_inputs_is_used_again(world):
    before = {name: decision.image for name, decision in world.decide().items()}
    write(world.folder / "files/motd.txt", "bye\n")
    world.build({"db": ["notes/other"]})
    assert world.decide()["db"].image != before["db"]
    write(world.folder / "files/motd.txt", "hello\n")
    write(world.folder / "notes/other", "now it is there\n")
    decision = world.decide()["db"]
    assert decision.image == before["db"]
    assert "built before" in decision.reasons[0]


@pytest.fixture
def clone(world, tmp_path):
    """A second clone of the project, with the same engine."""
    folder = tmp_path / "elsewhere/another clone"
    shutil.copytree(world.folder, folder)
    return World(folder, world.engine)


def test_a_different_path_changes_nothing(clone):
    assert clone.built() == []


def test_a_different_user_changes_nothing(clone, monkeypatch, tmp_path):
    for name, value in {"HOME": str(tmp_path / "home"), "USER": "somebody", "LOGNAME": "somebody"}.items():
        monkeypatch.setenv(name, value)
    if os.geteuid() == 0:
        for path in [clone.folder, *clone.folder.rglob("*")]:
            os.chown(path, 12345, 12345)
    assert clone.built() == []


@pytest.mark.parametrize("umask", [0o077, 0o002])
def test_a_different_umask_changes_nothing(clone, umask):
    for path in clone.folder.rglob("*"):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
    assert clone.built() == []


def test_different_file_times_change_nothing(clone):
    for path in clone.folder.rglob("*"):
        os.utime(path, (1, 1))
    assert clone.built() == []


def test_a_different_order_of_directory_entries_changes_nothing(clone, monkeypatch):
    scandir = os.scandir

    class Reversed:
        def __init__(self, path):
            with scandir(path) as listing:
                self.entries = iter(sorted(listing, key=lambda entry: entry.name, reverse=True))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def __iter__(self):
            return self.entries

        def __next__(self):
            return next(self.entries)

    monkeypatch.setattr(os, "scandir", Reversed)
    assert clone.built() == []


@pytest.mark.parametrize(
    "path", ["README.md", "molecule/default/molecule.yml", "tests/test_web.py", "tasks/__pycache__/x.pyc"]
)
def test_a_file_that_no_tier_uses_changes_nothing(world, path):
    write(world.folder / "roles/web" / path, "other")
    assert world.built() == []


def test_a_role_that_no_tier_uses_changes_nothing(world):
    write(world.folder / "roles/other/tasks/main.yml", "- other\n")
    assert world.built() == []
