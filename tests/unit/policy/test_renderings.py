"""A policy in the languages of engines and clusters."""

from __future__ import annotations

import base64
import json
from itertools import combinations

import pytest
import yaml
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.renderings import (
    SignatureRule,
    resource_name,
    signature_rules,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import Team, TierRule
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.public_key import read_public_key
from rendered_policies import FOLDER, PEOPLE, POLICY, RENDERINGS, REPOSITORIES, key, text

pytestmark = pytest.mark.once

VALID = {PEOPLE[name].pem for name in ("alice", "bob", "carol")}


def resources(name):
    return list(yaml.safe_load_all(text(name)))


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_files_are_up_to_date(name):
    assert (FOLDER / name).read_text() == text(name), (
        "run: PYTHONPATH=collections:tests python tests/rendered_policies.py"
    )


@pytest.mark.parametrize("name", RENDERINGS)
def test_every_rendering_says_what_it_does_not_check(name):
    rendering = RENDERINGS[name](POLICY, REPOSITORIES)
    assert any("It checks signatures only" in note for note in rendering.notes)
    assert any("REJECT" in note for note in rendering.notes)
    if name.endswith(".yml"):
        comments = [line.removeprefix("# ") for line in rendering.text.splitlines() if line.startswith("#")]
        assert comments[1:] == list(rendering.notes)
        assert "version 3 of the policy (abababababab)" in comments[0]


@pytest.mark.parametrize("name", RENDERINGS)
def test_a_revoked_key_is_in_no_rendering(name):
    lost = PEOPLE["dave"].pem
    assert lost.splitlines()[1] not in text(name)
    assert base64.b64encode(lost.encode()).decode() not in text(name)


def test_containers_reject_what_is_not_named():
    document = json.loads(text("policy.json"))
    assert document["default"] == [{"type": "reject"}]
    assert list(document["transports"]) == ["docker"]
    assert list(document["transports"]["docker"]) == list(REPOSITORIES.values())


def test_two_of_three_keys_are_three_choices_of_two():
    document = json.loads(text("policy.json"))["transports"]["docker"][REPOSITORIES["corebuild"]]
    choices = [{base64.b64decode(each).decode() for each in requirement["keyDatas"]} for requirement in document]
    assert choices == [set(pair) for pair in combinations([PEOPLE[name].pem for name in ("alice", "bob", "carol")], 2)]
    assert {requirement["type"] for requirement in document} == {"sigstoreSigned"}
    assert {requirement["signedIdentity"]["type"] for requirement in document} == {"matchRepository"}
    controller = [each for each in resources("policy-controller.yml") if "corebuild" in each["metadata"]["name"]]
    assert [{each["key"]["data"] for each in one["spec"]["authorities"]} for one in controller] == choices


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (3, 1), (3, 2), (3, 3), (5, 3)])
def test_the_choices_are_satisfied_by_enough_keys_only(count, needed):
    keys = tuple((str(number), key(number + 1)) for number in range(count))
    choices = SignatureRule("x", "registry.example.org/x", keys, needed).choices()
    for size in range(count + 1):
        for signers in combinations(keys, size):
            assert all(set(choice) & set(signers) for choice in choices) == (size >= needed)


def test_a_threshold_that_takes_too_many_rules_is_refused():
    people = {str(number): key(number + 1) for number in range(12)}
    policy = replace(
        POLICY, teams={"many": Team("many", people)}, tiers={"x": TierRule(team="many", signatures=6)}, revoked={}
    )
    for name in ("policy.json", "policy-controller.yml"):
        with pytest.raises(TrustError, match=r"tiers\.x needs 6 of 12 keys, .* use --format kyverno"):
            RENDERINGS[name](policy, {"x": "registry.example.org/x"})
    assert RENDERINGS["kyverno.yml"](policy, {"x": "registry.example.org/x"}).text.count("publicKeys") == 24


def test_a_cluster_policy_counts_signatures_of_image_and_provenance():
    [resource] = resources("kyverno.yml")
    rules = {rule["name"]: rule["verifyImages"][0] for rule in resource["spec"]["rules"]}
    core, base = rules["tierwright-corebuild"], rules["tierwright-base"]
    assert core["type"] == "SigstoreBundle"
    assert (core["failureAction"], core["required"], core["verifyDigest"]) == ("Enforce", True, True)
    for attestors in (core["attestors"], core["attestations"][0]["attestors"]):
        assert attestors[0]["count"] == 2
        assert {entry["keys"]["publicKeys"] for entry in attestors[0]["entries"]} == VALID
        assert all(entry["keys"]["rekor"] == {"ignoreTlog": True} for entry in attestors[0]["entries"])
    assert "attestations" not in base
    assert base["attestors"][0]["count"] == 1
    assert base["imageReferences"] == [f"{REPOSITORIES['base']}:*", f"{REPOSITORIES['base']}@*"]


def test_an_image_validating_policy_ignores_other_containers_of_the_pod():
    by_name = {each["metadata"]["name"]: each["spec"] for each in resources("kyverno-image.yml")}
    spec = by_name["tierwright-httpd-php"]
    repository = REPOSITORIES["httpd-php"]
    assert [each["glob"] for each in spec["matchImageReferences"]] == [
        repository,
        f"{repository}:*",
        f"{repository}@*",
    ]
    [containers, initial, ephemeral] = [each["expression"] for each in spec["validations"]]
    assert containers == (
        f'images.containers.filter(image, image == "{repository}" || image.startsWith("{repository}:") || '
        f'image.startsWith("{repository}@")).map(image, verifyImageSignatures(image, [attestors.key1]))'
        ".all(count, count >= 1)"
    )
    assert initial == containers.replace("images.containers", "images.initContainers")
    assert ephemeral == containers.replace("images.containers", "images.ephemeralContainers")
    core = by_name["tierwright-corebuild"]
    assert {each["cosign"]["key"]["data"] for each in core["attestors"]} == VALID
    assert all("count >= 2" in each["expression"] for each in core["validations"])


def test_keys_survive_the_rendering():
    for resource in resources("policy-controller.yml"):
        for authority in resource["spec"]["authorities"]:
            read_public_key(authority["key"]["data"], "key")


@pytest.mark.parametrize(
    ("repositories", "message"),
    [
        ({}, "no repository is given; add --repository TIER=REPOSITORY"),
        (
            {"corebuild": "corebuild"},
            "the repository of tier 'corebuild' is 'corebuild'; expected the host of a registry",
        ),
        (
            {"corebuild": "registry.example.org/x:latest"},
            "expected the host of a registry and a name there, without a tag",
        ),
        ({"corebuild": 'registry.example.org/x"'}, "expected the host of a registry"),
    ],
)
@pytest.mark.parametrize("name", RENDERINGS)
def test_wrong_repositories_are_refused(name, repositories, message):
    with pytest.raises(TrustError, match=message):
        RENDERINGS[name](POLICY, repositories)


def test_a_tier_without_a_rule_is_refused():
    policy = replace(POLICY, tiers={"base": POLICY.tiers["base"]})
    with pytest.raises(TrustError, match=r"the policy has no rule for tier 'corebuild', and none for '\*'"):
        signature_rules(policy, REPOSITORIES)


def test_two_tiers_in_one_repository_are_refused():
    repositories = {"corebuild": "registry.example.org/x", "httpd-php": "registry.example.org/x"}
    with pytest.raises(TrustError, match=r"tiers 'corebuild' and 'httpd-php' have the same repository"):
        signature_rules(POLICY, repositories)


@pytest.mark.parametrize(
    ("tier", "name"),
    [("httpd-php", "tierwright-httpd-php"), ("Über_Tier.2", "tierwright-ber-tier-2"), ("…", "tierwright-tier")],
)
def test_names_of_resources_are_valid(tier, name):
    assert resource_name(tier) == name
    assert resource_name(tier, 2) == f"{name}-2"
