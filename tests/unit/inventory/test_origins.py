"""Where the content of a tier comes from, and who signs it, is read from the project and not from a build container."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.action import tier_promote
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key import repository_source
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.repository_source import RepositorySource
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.sign_records import SignedImages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory import tier_roles
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.inventory.ansible_settings import describe_tools
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.release.promotion import Promotion
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.private_key import make_key_pair

from .test_stale_inputs import caches, edit, project  # noqa: F401 - `caches` is a fixture
from .world import World

FOLDER = "inventories/shop"


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    world = World(project(tmp_path / "clone"))

    def git(*arguments):
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=world.folder, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "https://u:p@git.example.org/shop.git")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    world.revision = git("rev-parse", "HEAD")
    return world


def origin(world, tier, planner=None):
    return (planner or world.planner()).origin(tier)


def test_the_origin_of_a_role_is_its_commit_and_its_repository(world):
    found = origin(world, "web")
    assert found.commit.id == world.revision
    assert found.source == RepositorySource("https://git.example.org/shop.git", "main", clean=True)
    assert found.builder == ""


@pytest.mark.parametrize(
    ("path", "clean"), [("roles/below/tasks/main.yml", False), ("roles/other/tasks/main.yml", True)]
)
def test_changes_count_in_roles_that_the_role_depends_on(world, path, clean):
    edit(path)(world)
    found = origin(world, "web")
    assert (found.commit.clean, found.source.clean) == (True, clean)


def test_changes_count_in_task_files_around_the_role(world):
    edit(f"{FOLDER}/tasks/ca.yml", "[]\n")(world)
    edit(f"{FOLDER}/host_vars/db.yml", "tier_before: [tasks/ca.yml]\n")(world)
    assert origin(world, "db").source.clean is False


def test_a_base_and_a_role_without_a_commit_have_no_source(world):
    assert origin(world, "base").source is None
    (world.folder / ".git").rename(world.folder / "no.git")
    assert origin(world, "web").source is None


def test_git_is_asked_once_for_each_role(world, monkeypatch):
    asked = []
    for module in (tier_roles, repository_source):
        name = "last_commit" if module is tier_roles else "ask_git"
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *words, original=original: asked.append(words) or original(*words))
    planner = world.planner()
    for _ in range(10):
        origin(world, "db", planner)
    assert len(asked) == 4  # the last commit, the address, the branch, and changes


def test_what_a_role_downloads_is_a_part_of_its_origin(world):
    planner = world.planner()
    planner.decide(world.engine, [])
    assert all(each.uri.startswith(("file:", "https://", "http://")) for each in origin(world, "web", planner).inputs)
    assert origin(world, "web", planner).inputs


def test_the_builder_has_the_name_that_the_inventory_sets(world):
    edit(f"{FOLDER}/host_vars/db.yml", "tier_builder: ci-{{ 1 }}\n")(world)
    assert origin(world, "db").builder == "ci-1"


@pytest.mark.parametrize("value", ["''", "'a b'", "7", "[a]", f"'{'x' * 200}'"])
def test_a_builder_without_a_usual_name_is_rejected(world, value):
    edit(f"{FOLDER}/host_vars/db.yml", f"tier_builder: {value}\n")(world)
    with pytest.raises(ChainError, match=r"tier 'db': tier_builder is .*; expected a name without spaces"):
        origin(world, "db")


def test_the_name_of_the_builder_changes_no_key(world):
    world.build()
    edit(f"{FOLDER}/group_vars/all.yml", "tier_builder: ci-2\n")(world)
    assert world.built() == []


def test_versions_of_collections_come_from_what_is_installed():
    tools = describe_tools(["collection/tierwright.chain", "collection/none.such", "role/a", "parent"])
    assert set(tools.collections) == {"tierwright.chain", "none.such"}
    assert tools.collections["none.such"] == ""
    assert tools.ansible_core.startswith("2.")


@pytest.fixture
def promote(world, monkeypatch):
    """A function that promotes in this world, and returns the public key with which each tier would be signed."""
    planner = world.planner()

    def run(hostvars):
        found = {}

        def prepare(_engine, images, _moving, read_signer, **_options):
            for tier in images:
                signer = read_signer(tier)
                found[tier] = signer and signer.public_key
            return SignedImages(dict.fromkeys(found, 1))

        def promote_run(_engine, _journal, prepare):
            prepare({"web": "sha256:1", "db": "sha256:2"}, ["web"])
            return Promotion(None, {}, ())

        monkeypatch.setattr(tier_promote, "connect", lambda: world.engine)
        monkeypatch.setattr(tier_promote, "prepare_promotion", prepare)
        monkeypatch.setattr(tier_promote, "promote_run", promote_run)
        action = object.__new__(tier_promote.ActionModule)
        action._task = SimpleNamespace(args={"run": "/none"})
        result = action.work({**planner.inventory._task_vars, "hostvars": hostvars})
        assert result == {"changed": True, "release": "", "promoted": {}, "signed": {"web": 1, "db": 1}}
        return found

    return run


def test_each_tier_is_signed_with_the_key_of_its_team(world, promote):
    public = make_key_pair("ed25519", world.folder / FOLDER / "keys/db.key", "x")
    edit(f"{FOLDER}/host_vars/db.yml", "tier_signing_key: keys/db.key\ntier_signing_passphrase: x\n")(world)
    assert promote(world.hostvars()) == {"web": None, "db": public}


def test_a_build_container_cannot_choose_the_key(world, promote):
    """A module in it can return facts with any name."""
    public = make_key_pair("ed25519", world.folder / FOLDER / "keys/db.key", "x")
    edit(f"{FOLDER}/host_vars/db.yml", "tier_signing_key: keys/db.key\ntier_signing_passphrase: x\n")(world)
    hostvars = world.hostvars()
    for tier in ("web", "db"):
        hostvars._variable_manager.set_nonpersistent_facts(tier, {"tier_signing_key": "keys/evil.key"})
    with pytest.raises(TrustError):
        tier_promote.read_signer(hostvars["web"], world.folder / FOLDER)  # these facts are seen otherwise
    assert promote(hostvars) == {"web": None, "db": public}
