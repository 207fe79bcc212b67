"""`tierwright custody` and `tierwright verify`: tables, JSON, SARIF and exit codes."""

from __future__ import annotations

import json
import os

import jsonschema
import pytest
from click.testing import CliRunner

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from signed_chain import TIERS, SignedChain

pytestmark = pytest.mark.once


@pytest.fixture
def chain(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TIERWRIGHT_POLICY_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    return SignedChain()


@pytest.fixture
def run(chain, tmp_path):
    """A function that writes the chain and its policy, and runs the command with the image of `shop`."""

    def run_command(verb, *options, tiers=None, key=True):
        place = chain.write(tmp_path / "layout")
        path, owner = chain.write_policy(tmp_path, tiers or {})
        keys = ["--policy-key", str(owner)] if key else []
        return CliRunner().invoke(tierwright, [verb, f"{place}:shop", "--policy", str(path), *keys, *options])

    return run_command


def test_custody_shows_people_commits_and_tests_from_the_base_to_the_image(run):
    result = run("custody")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["TIER", "TEAM", "SIGNED", "BY", "BUILT", "BY", "COMMIT", "TESTS", "PACKAGES", "RESULT"]
    assert [line.split()[0] for line in lines[2:7]] == list(TIERS)
    assert lines[6].split()[1:] == [
        *("development", "dan", "of", "team", "'development'", "dan", "on", "ci-1"),
        *("000000000000", "5", "1", "verified"),
    ]
    assert "shop: from https://git.example.org/development/roles.git, branch main" in result.stdout
    assert "shop: passed the contracts of base, corebuild, httpd-php, wordpress" in lines
    assert lines[-1].startswith("all ")


def test_a_failed_link_is_named_and_decides_the_exit_code(run, chain):
    chain["corebuild"].bundles = []
    chain.sign("corebuild", "mia")
    result = run("custody")
    assert result.exit_code == 1
    row = next(line for line in result.stdout.splitlines() if line.startswith("corebuild"))
    assert "fails: signature" in row
    assert "tier 'corebuild', signature: " in result.stdout
    result = run("verify")
    assert result.exit_code == 1
    assert "tier 'corebuild', signature: " in result.stdout
    assert " links do not hold, by " in result.stdout.splitlines()[-1]


def test_verify_is_short_if_all_links_hold(run):
    result = run("verify")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1), result.output


@pytest.mark.parametrize("verb", ["custody", "verify"])
def test_json_has_the_form_of_its_schema(run, verb):
    result = run(verb, "--json")
    answer = json.loads(result.stdout)
    jsonschema.validate(answer, schemas.schema(verb))
    assert answer["verified"]
    assert [tier["tier"] for tier in answer["tiers"]] == list(TIERS)


def test_sarif_has_one_result_for_each_failed_link(run, chain, tmp_path):
    chain["shop"].bundles = []
    result = run("verify", "--sarif", str(tmp_path / "out.sarif"))
    log = json.loads((tmp_path / "out.sarif").read_text())
    driver, results = log["runs"][0]["tool"]["driver"], log["runs"][0]["results"]
    assert log["version"] == "2.1.0"
    assert len(results) == sum(line.startswith("tier 'shop', ") for line in result.stdout.splitlines()) > 0
    assert {each["ruleId"] for each in results} == {rule["id"] for rule in driver["rules"]}
    assert len({each["partialFingerprints"]["custodyLink/v1"] for each in results}) == len(results)
    assert all(each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results)


def test_without_a_policy_custody_says_that_nothing_is_verified(chain, tmp_path):
    place = chain.write(tmp_path / "layout")
    result = CliRunner().invoke(tierwright, ["custody", f"{place}:shop"])
    assert result.exit_code == 0, result.output
    assert "nothing is verified, because there is no policy" in result.stdout.splitlines()[-1]
    assert "not verified" in result.stdout
    result = CliRunner().invoke(tierwright, ["verify", f"{place}:shop"])
    assert result.exit_code == 2
    assert "verifying needs a policy" in result.stderr


def test_a_policy_without_a_key_is_not_believed(run):
    result = run("verify", key=False)
    assert result.exit_code == 8
    assert "cannot be trusted without a root key" in result.stderr


def test_the_keys_can_come_from_the_environment(chain, tmp_path, monkeypatch):
    place = chain.write(tmp_path / "layout")
    _path, key = chain.write_policy(tmp_path)
    other = tmp_path / "other.pub"
    other.write_text(chain.keys["dan"].public_key.pem)
    monkeypatch.setenv("TIERWRIGHT_POLICY_KEYS", os.pathsep.join([str(other), str(key)]))
    result = CliRunner().invoke(tierwright, ["verify", f"{place}:shop"])
    assert result.exit_code == 0, result.output


def test_content_reads_the_layers_again(run, chain, tmp_path):
    result = run("verify", "--content")
    assert result.exit_code == 0, result.output
    layer = chain["shop"].identity.layers[-1].removeprefix("sha256:")
    blob = tmp_path / "layout/blobs/sha256" / layer
    result = run("verify")  # its index is cached
    blob.write_bytes(blob.read_bytes().replace(b"4", b"5", 1))
    place = f"oci:{tmp_path / 'layout'}:shop"
    options = ["--policy", "chain-policy.yml", "--policy-key", "owner.pub"]
    assert CliRunner().invoke(tierwright, ["verify", place, *options]).exit_code == 0
    result = CliRunner().invoke(tierwright, ["verify", place, *options, "--content"])
    assert result.exit_code == 1, result.output
    assert "the image, content: " in result.stdout


def test_an_older_policy_than_was_seen_is_refused(chain, tmp_path):
    place = chain.write(tmp_path / "layout")
    options = ["verify", f"{place}:shop", "--policy", str(tmp_path / "chain-policy.yml")]
    for version, code in ((2, 0), (1, 8)):
        _path, key = chain.write_policy(tmp_path, version=version)
        result = CliRunner().invoke(tierwright, [*options, "--policy-key", str(key)])
        assert result.exit_code == code, result.output
    assert "version 1" in result.stderr
