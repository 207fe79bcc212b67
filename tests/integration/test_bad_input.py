"""Invalid input is rejected by one message that names tier and variable, before any container starts."""

from __future__ import annotations

import secrets

import pytest
import yaml

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

from .conftest import ROOT

BASE = {"tier_bootstrap": {"suite": "bookworm"}}
NO_DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def rejection(playbook, engine, tmp_path):
    """Run an invalid inventory; return the message."""
    name = f"twtest-{secrets.token_hex(4)}"

    def run(tiers, *arguments, **options):
        inventory = tmp_path / "chain.yml"
        chain = {"all": {"vars": {"tier_chain": name}}}
        inventory.write_text(yaml.safe_dump({**chain, "tiers": {"children": {"operations": {"hosts": tiers}}}}))
        before = {image.id for image in engine.images.list(all=True)}
        result = playbook("build-chain.yml", "-i", str(inventory), *arguments, **options)
        assert result.code != 0, result.output
        assert "PLAY [Make the bases]" not in result.output
        assert {image.id for image in engine.images.list(all=True)} == before
        return result.message

    yield run
    for claim in engine.volumes.list(filters={"label": f"{labels.CHAIN}={name}"}):
        claim.remove()


@pytest.mark.once
@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        pytest.param({"web": {"tier_parent": "bsae"}, "base": BASE}, "tier 'web': tier_parent is 'bsae'", id="parent"),
        pytest.param(
            {"a": {"tier_parent": "b"}, "b": {"tier_parent": "a"}},
            "tier_parent leads back to the tier itself",
            id="cycle",
        ),
        pytest.param(
            {"base": {"tier_import": {"archive": str(ROOT / "README.md"), "checksum": NO_DIGEST}}},
            "tier 'base': tier_import.checksum does not match",
            id="checksum",
        ),
        pytest.param(
            {"base": {"tier_import": {"archive": "nowhere.tar", "checksum": NO_DIGEST}}},
            "tier 'base': tier_import.archive",
            id="archive",
        ),
        pytest.param({"base": {**BASE, "tier_tag": "no good"}}, "tier 'base': tier_tag is 'no good'", id="tag"),
        pytest.param({"base": {**BASE, "tier_image": "No"}}, "tier 'base': tier_image is 'No'", id="image"),
        pytest.param({"base": {"tier_pull": "debian:12"}}, "tier 'base': tier_pull is 'debian:12'", id="pull"),
        pytest.param(
            {"base": BASE, "corebuild": {"tier_parent": "base", "tier_config": {"prots": ["80"]}}},
            "tier 'corebuild': tier_config",
            id="config",
        ),
    ],
)
def test_an_invalid_inventory_is_rejected(rejection, tiers, message):
    assert message in rejection(tiers)


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        pytest.param(
            {"base": BASE, "web": {"tier_parent": "base", "tier_role": "nosuch"}},
            "tier 'web': tier_role is 'nosuch', but there is no such role in",
            id="role",
        ),
        pytest.param(
            {"base": BASE, "web": {"tier_parent": "base", "tier_role": "no.such.role"}},
            "tier 'web': tier_role is 'no.such.role', but that collection is not installed",
            id="collection role",
        ),
        pytest.param(
            {"base": BASE, "corebuild": {"tier_parent": "base", "corebuild_upgrade": "sometimes"}},
            "tier 'corebuild': variables of role corebuild:",
            id="role variable",
        ),
    ],
)
def test_a_missing_role_or_an_invalid_role_variable_is_rejected(rejection, tiers, message):
    assert message in rejection(tiers)


def test_an_unknown_forced_tier_is_rejected(rejection):
    assert "tier_force names 'nobody'" in rejection({"base": BASE}, "-e", "tier_force=nobody")


def test_an_engine_that_does_not_answer_is_reported(rejection):
    message = rejection({"base": BASE}, env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert "no container engine answers at unix:///nonexistent/docker.sock" in message
    assert "playbooks/engine.yml" in message


def test_an_invalid_inventory_is_rejected_without_an_engine(rejection):
    message = rejection({"base": {}}, env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert "tier 'base': it has neither tier_parent nor a source" in message


def test_an_inventory_without_tiers_is_rejected(playbook, tmp_path):
    (tmp_path / "hosts.yml").write_text("all: {hosts: {web: {}}}")
    result = playbook("build-chain.yml", "-i", str(tmp_path / "hosts.yml")).expect(2)
    assert "no hosts in the group 'tiers'" in result.message


def test_limit_needs_an_image_of_the_parent(rejection):
    tiers = {"nobody-built-this": BASE, "web": {"tier_parent": "nobody-built-this", "tier_role": "corebuild"}}
    assert "tier 'web': its parent 'nobody-built-this' has no image" in rejection(tiers, "--limit", "web")


@pytest.mark.once
@pytest.mark.parametrize(
    "inventory",
    [pytest.param(None, id="missing"), pytest.param("", id="empty"), pytest.param("garbage: [", id="garbage")],
)
@pytest.mark.parametrize("name", ["build-chain.yml", "playbooks/prune.yml"])
def test_a_run_without_tiers_fails(playbook, tmp_path, inventory, name):
    path = tmp_path / "typo.yml"
    if inventory is not None:
        path.write_text(inventory)
    result = playbook(name, "-i", str(path)).expect(1)
    assert "nothing was done: no host began. The inventory has no tiers (-i names it" in result.message


@pytest.mark.once
def test_a_run_without_its_plan_fails(playbook):
    result = playbook("build-chain.yml", "--skip-tags", "always").expect(1)
    assert "--start-at-task excluded the first task" in result.message


@pytest.mark.once
def test_a_limit_without_tiers_fails(playbook, tmp_path):
    inventory = tmp_path / "chain.yml"
    groups = {"operations": {"hosts": {"base": BASE}}}
    inventory.write_text(yaml.safe_dump({"tiers": {"children": groups}, "others": {"hosts": {"other": {}}}}))
    result = playbook("build-chain.yml", "-i", str(inventory), "--limit", "other").expect(2)
    assert (
        "--limit selects the hosts other, and none of them is in the group 'tiers'; tiers are: base" in result.message
    )
