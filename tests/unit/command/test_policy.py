"""`tierwright policy`, as people use it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

import schemas
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import NOT_TRUSTED, USAGE, tierwright
from policy_files import policy_text, signers  # noqa: F401 - fixtures

pytestmark = pytest.mark.once

PASSPHRASE = "canary-of-a-passphrase"
POLICY = Path("chain-policy.yml")
SIGN = ("sign", "--key", "keys/owner.key", "--passphrase-file", "pass")


@pytest.fixture
def run(monkeypatch, tmp_path, policy_text):  # noqa: F811 - the fixture
    """A function that runs the command in a folder with a policy, the keys of two owners, and a passphrase."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIERWRIGHT_POLICY_KEYS", raising=False)
    Path("pass").write_text(f"{PASSPHRASE}\n")
    POLICY.write_text(policy_text)
    for name in ("owner", "deputy"):
        arguments = ["keys", "new", name, "--team", "operations", "--passphrase-file", "pass"]
        assert CliRunner().invoke(tierwright, arguments).exit_code == 0

    def run_(*arguments):
        result = CliRunner().invoke(tierwright, ["policy", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert PASSPHRASE not in result.output
        return result.exit_code, result.stdout, result.stderr

    return run_


def owner_id():
    return json.loads(CliRunner().invoke(tierwright, ["keys", "show", "keys/owner.pub", "--json"]).stdout)["id"]


def test_a_policy_is_signed_and_checked(run):
    short = owner_id()[:12]
    code, out, err = run(*SIGN)
    assert (code, err) == (0, "")
    assert out == f"chain-policy.yml.sigstore.json has 1 signature; the key {short} signed\n"
    expected = f"chain-policy.yml: version 3 is valid until 2099-07-01 00:00 UTC, and is signed by {short}\n"
    assert run("check", "--policy-key", "keys/owner.pub") == (0, expected, "")


def test_the_root_keys_can_come_from_the_environment(run, monkeypatch):
    run(*SIGN)
    monkeypatch.setenv("TIERWRIGHT_POLICY_KEYS", "keys/deputy.pub:keys/owner.pub")
    assert run("check")[0] == 0
    code, _out, err = run("check", "--policy-key", "keys/deputy.pub")  # the option counts instead
    assert code == NOT_TRUSTED
    assert "has no signature of a root key" in err


def test_both_owners_sign(run):
    run(*SIGN)
    code, out, _err = run("sign", "--key", "keys/deputy.key", "--passphrase-file", "pass")
    assert (code, out[:51]) == (0, "chain-policy.yml.sigstore.json has 2 signatures; th")
    answer = json.loads(run("show", "--json", "--policy-key", "keys/deputy.pub", "--policy-key", "keys/owner.pub")[1])
    assert len(answer["signed_by"]) == 2
    assert owner_id() in answer["signed_by"]


@pytest.mark.parametrize("verb", [("check",), ("render", "--format", "kyverno", "--repository", "a=r.example.org/a")])
def test_what_is_not_verified_is_refused(run, verb):
    assert (code := run(*verb))[0] == NOT_TRUSTED
    assert "cannot be trusted without a root key" in code[2]
    code, out, err = run(*verb, "--policy-key", "keys/owner.pub")
    assert (code, out) == (NOT_TRUSTED, "")
    assert "chain-policy.yml is not signed" in err


def test_only_the_content_can_be_checked(run):
    code, out, _err = run("check", "--unsigned")
    assert (code, out) == (
        0,
        "chain-policy.yml: version 3 is valid until 2099-07-01 00:00 UTC; its signature was not checked\n",
    )
    POLICY.write_text(POLICY.read_text().replace("signatures: 2", "signatures: 3"))
    code, _out, err = run("check", "--unsigned")
    assert code == NOT_TRUSTED
    assert err.startswith("tierwright: chain-policy.yml: tiers.corebuild.signatures is 3, but team 'operations' has 2")
    assert run(*SIGN)[0] == NOT_TRUSTED


def test_a_key_that_would_not_count_does_not_sign(run):
    code, _out, err = run(*SIGN, "--policy-key", "keys/deputy.pub")
    assert code == USAGE
    assert "which is no root key" in err
    assert not Path("chain-policy.yml.sigstore.json").exists()


def test_a_changed_policy_is_refused(run):
    run(*SIGN)
    POLICY.write_text(POLICY.read_text().replace("clean: true", "clean: false"))
    code, _out, err = run("check", "--policy-key", "keys/owner.pub")
    assert code == NOT_TRUSTED
    assert "was changed after it was signed" in err


def test_a_revoked_key_takes_a_new_signature(run):
    run(*SIGN)
    key = json.loads(CliRunner().invoke(tierwright, ["keys", "show", "keys/deputy.pub", "--json"]).stdout)
    lines = "".join(f"        {line}\n" for line in key["public_key"].splitlines())
    POLICY.write_text(POLICY.read_text().replace("      bob: |", f"      dan: |\n{lines}      bob: |"))
    assert run(*SIGN)[0] == 0
    arguments = ["keys", "revoke", "operations/dan", "--reason", "laptop lost"]
    assert CliRunner().invoke(tierwright, arguments).exit_code == 0
    code, _out, err = run("check", "--policy-key", "keys/owner.pub")
    assert code == NOT_TRUSTED
    assert "was changed after it was signed" in err
    assert run(*SIGN)[0] == 0
    answer = json.loads(run("show", "--json", "--policy-key", "keys/owner.pub")[1])
    assert answer["version"] == 4
    [revoked] = [each for each in answer["keys"] if each["revoked"]]
    assert (revoked["name"], revoked["id"], revoked["revoked"][10:]) == ("dan", key["id"], " (laptop lost)")


def test_show_tells_what_is_required(run):
    code, out, err = run("show")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith("version 3, until 2099-07-01T00:00:00Z, not verified, because no root key is given")
    [core] = [line for line in lines if line.startswith("corebuild")]
    assert core.split()[:4] == ["corebuild", "operations", "2", "2"]
    assert "from https://git.example.org/ops/*, branch main, test roles/corebuild/tests/*::*, writes /etc/**" in core
    assert [line.split()[:3] for line in lines if line.startswith("base")] == [["base", "vendor", "1"]]
    assert any(line.split()[:2] == ["operations", "alice"] for line in lines)
    run(*SIGN)
    assert f"signed by {owner_id()[:12]}" in run("show", "--policy-key", "keys/owner.pub")[1]


def test_the_answer_has_its_schema(run):
    run(*SIGN)
    for options in ((), ("--policy-key", "keys/owner.pub")):
        answer = json.loads(run("show", "--json", *options)[1])
        jsonschema.validate(answer, schemas.schema("policy show"))
        assert answer["signed_by"] == ([owner_id()] if options else None)
        assert {rule["tier"] for rule in answer["tiers"]} == {"base", "corebuild", "*"}


def test_a_verified_policy_is_rendered(run):
    run(*SIGN)
    options = ("--policy-key", "keys/owner.pub", "--repository", "corebuild=registry.example.org/operations/corebuild")
    for kind, what in {
        "kyverno": "ClusterPolicy",
        "kyverno-image": "ImageValidatingPolicy",
        "policy-controller": "ClusterImagePolicy",
    }.items():
        code, out, err = run("render", "--format", kind, *options)
        assert (code, {each["kind"] for each in yaml.safe_load_all(out)}) == (0, {what})
        assert "It checks signatures only" in err
    code, out, err = run("render", "--format", "containers", *options)
    assert (code, list(json.loads(out))) == (0, ["default", "transports"])
    assert "REJECT" in err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["corebuild"], "--repository is 'corebuild'; expected TIER=REPOSITORY"),
        (["=a"], "--repository is '=a'; expected TIER=REPOSITORY"),
        (["a=r.example.org/a", "a=r.example.org/b"], "--repository names a tier twice"),
    ],
)
def test_wrong_repositories_are_refused(run, values, message):
    code, _out, err = run(
        "render", "--format", "kyverno", *(word for each in values for word in ("--repository", each))
    )
    assert code == USAGE
    assert message in err
