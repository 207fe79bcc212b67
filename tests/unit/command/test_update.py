"""`tierwright update`, with Ansible's real inventory and a registry in memory."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from fake_registry import fake_registry
from published_chain import PublishedChain
from published_images import publish, tier_layer
from signed_chain import SignedChain

ROOT = Path(__file__).parents[3]
BASE = tier_layer(1)
CHAIN = """
tiers:
  vars: {tier_chain: shop}
  children:
    operations:
      vars: {registry: "HOST"}
      hosts:
        corebuild: {tier_follow: {image: "{{ registry }}/ops/corebuild", tag: "{{ 'sta' ~ 'ble' }}"}}
        database: {tier_follow: {image: "{{ registry }}/ops/database"}}
    development:
      hosts:
        app: {tier_parent: corebuild}
"""


@pytest.fixture(scope="module")
def shared_registry():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def registry(shared_registry, monkeypatch, tmp_path):
    """A registry with two images, and an inventory that follows them."""
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "DOCKER_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(ROOT / "collections"))
    monkeypatch.chdir(tmp_path)
    publish(shared_registry, "ops/corebuild", "stable", [BASE, tier_layer(2)])
    publish(shared_registry, "ops/database", "latest", [BASE, tier_layer(2)], owners=["base", "database"])
    (tmp_path / "chain.yml").write_text(CHAIN.replace("HOST", shared_registry.host))
    return shared_registry


def update(*arguments):
    result = CliRunner().invoke(tierwright, ["update", "-i", "chain.yml", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, result.stderr


def locked():
    return {name: entry["digest"] for name, entry in yaml.safe_load(Path("chain.lock").read_text()).items()}


def test_check_writes_nothing_and_says_by_its_exit_code_that_something_is_newer(registry, tmp_path):
    code, out, err = update("--check")
    assert (code, err) == (1, "")
    assert f"corebuild, team operations: {registry.host}/ops/corebuild:stable is " in out
    assert not (tmp_path / "chain.lock").exists()


def test_the_lock_is_written_and_then_nothing_is_newer(registry):
    code, out, err = update()
    assert (code, err) == (0, "")
    assert out.endswith("chain.lock is written\nno chain-policy.yml: signatures are not verified\n")
    assert out.count("not verified") == 1
    digests = {
        name: registry.tags[f"ops/{name}", tag] for name, tag in (("corebuild", "stable"), ("database", "latest"))
    }
    assert locked() == digests
    code, out, err = update("--check")
    assert (code, err) == (0, "")
    assert "is still" in out


def test_only_named_tiers_move(registry):
    update()
    first = locked()
    publish(registry, "ops/corebuild", "stable", [BASE, tier_layer(3)])
    publish(registry, "ops/database", "latest", [BASE, tier_layer(3)], owners=["base", "database"])
    assert update("--check", "database")[0] == 1
    code, out, _err = update("database", "--", "-e", "registry=" + registry.host)
    assert code == 0
    assert "package ~ ssl 2 -> 3" in out
    assert locked() == {**first, "database": registry.tags["ops/database", "latest"]}


def test_json_matches_the_documented_schema(registry):
    code, out, err = update("--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    jsonschema.validate(answer, json.loads(schemas.path("update").read_text()))
    assert [tier["tier"] for tier in answer["tiers"]] == ["corebuild", "database"]
    assert answer["tiers"][0]["newest"] == registry.tags["ops/corebuild", "stable"]


@pytest.mark.parametrize(
    ("tiers", "more", "code", "message"),
    [
        (["app"], [], 2, "'app' cannot be updated: no tier with this name follows an image of another team"),
        ([], ["-e", "registry=r"], 2, "tier 'corebuild': tier_follow.image is 'r/ops/corebuild'"),
        (["gone"], [], 3, "tier 'gone' follows HOST/ops/gone:latest: registry HOST has no ops/gone:latest"),
        (
            ["database"],
            ["-e", "registry=127.0.0.1:1"],
            5,
            "tier 'database' follows 127.0.0.1:1/ops/database:latest: registry",
        ),
    ],
)
def test_an_error_is_one_sentence(registry, tmp_path, tiers, more, code, message):
    more_hosts = {
        "tiers": {"hosts": {"gone": {"tier_team": "x", "tier_follow": {"image": f"{registry.host}/ops/gone"}}}}
    }
    (tmp_path / "more.yml").write_text(yaml.safe_dump(more_hosts))
    found, out, err = update("-i", "more.yml", *tiers, "--", *more)
    assert (found, out) == (code, "")
    assert err.startswith(f"tierwright: {message.replace('HOST', registry.host)}"), err
    assert len(err.splitlines()) == 1


@pytest.fixture
def signed(registry, tmp_path):
    """The same chain follows an image that its team signed, by a policy."""
    chain = SignedChain()
    published = PublishedChain(registry, chain, ("base", "corebuild"))
    (tmp_path / "chain.yml").write_text(
        "tiers:\n  children:\n    operations:\n      hosts:\n        corebuild:\n"
        f"          tier_follow: {{image: {published.name('corebuild')}}}\n"
    )
    _policy, key = chain.write_policy(tmp_path, releases={"teams": ["operations"], "valid": 21})
    return published, ["--", "-e", f"tier_policy_keys={key.name}", "-e", "tier_chain=x"]


def test_an_image_that_the_policy_allows_is_locked(signed):
    published, options = signed
    code, out, err = update(*options)
    assert (code, err) == (0, "")
    assert locked() == {"corebuild": published.registry.tags["shop/corebuild", "latest"]}
    assert "not verified" not in out


def test_an_image_that_the_policy_refuses_is_not_locked(signed, tmp_path):
    published, options = signed
    update(*options)
    before = (tmp_path / "chain.lock").read_bytes()
    other = SignedChain()
    PublishedChain(published.registry, other, ("base", "corebuild"))  # signed by keys that the policy does not know
    published.registry.tags["shop/corebuild", "latest"] = published.registry.put(
        "shop/corebuild", "x", other["corebuild"].manifest.replace(b"{", b"{ ", 1)
    )
    published.registry.tags.pop(("shop/corebuild", "x"))
    code, _out, err = update(*options)
    assert code != 0
    assert "tier 'corebuild' is not updated: " in err
    assert (tmp_path / "chain.lock").read_bytes() == before


def test_a_policy_that_was_changed_is_an_error(signed, tmp_path):
    _published, options = signed
    policy = tmp_path / "chain-policy.yml"
    policy.write_text(policy.read_text() + "# changed\n")
    code, _out, err = update(*options)
    assert code != 0
    assert "was changed after it was signed" in err
    assert not (tmp_path / "chain.lock").exists()
