"""Attacks on the records of a chain: each tampers with what is stored, and is refused by name, with what to do."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
import yaml
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.verification import Verifier
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import (
    CYCLONEDX,
    GATE,
    PROVENANCE,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import read_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Subject
from made_images import digest, layer
from signed_chain import TIERS, KeyInMemory, SignedChain, SignedImage

pytestmark = pytest.mark.once

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def chain():
    return SignedChain()


def verifier(chain, tiers={}, **more):  # noqa: B006 - never changed
    policy = read_policy(yaml.safe_dump(chain.policy(tiers, **more)).encode(), "the policy of this test")
    return Verifier(policy, [chain], NOW)


def failed(chain, tier="shop", tiers={}, **more):  # noqa: B006 - never changed
    """The failed links, as (tier, name) to a text, after a check that each says what to do."""
    links = verifier(chain, tiers, **more).verify(chain[tier].identity).failed
    assert all(link.action for link in links), links
    return {(link.tier, link.name): link.detail for link in links}


def changed(statement, **changes):
    """The predicate of a statement, with changes at dotted paths."""
    predicate = json.loads(json.dumps(statement.predicate))
    for path, value in changes.items():
        *folders, name = path.split("__")
        place = predicate
        for folder in folders:
            place = place[folder]
        place[name] = value
    return predicate


def test_an_honest_chain_is_verified(chain):
    required = {tier: {"sbom": True, "branches": ["main"]} for tier in TIERS}
    assert failed(chain, tiers=required) == {}
    verifier(chain).require(chain["shop"].identity, "tier 'shop' is not deployed")


# 3, 4: what a registry or an engine serves


def test_a_layer_that_was_exchanged(chain):
    shop = chain["shop"]
    evil = layer(("etc/shop", b"evil"))
    info = json.loads(shop.document)
    info["rootfs"]["diff_ids"][-1] = digest(evil)
    forged = SignedImage("shop", json.dumps(info).encode(), [*shop.layers[:-1], evil], shop.parent)
    with pytest.raises(
        TrustError, match="not deployed: the policy refuses shop: tier 'shop', signature: no provenance is signed"
    ):
        verifier(chain).require(forged.identity, "tier 'shop' is not deployed")


@pytest.mark.parametrize("number", range(5))
def test_a_layer_that_is_missing(chain, number):
    info = json.loads(chain["shop"].document)
    del info["rootfs"]["diff_ids"][number]
    forged = SignedImage("shop", json.dumps(info).encode(), chain["shop"].layers, chain["shop"].parent)
    assert verifier(chain).verify(forged.identity).failed


def test_a_layer_that_was_slipped_in(chain):
    info = json.loads(chain["shop"].document)
    info["rootfs"]["diff_ids"].insert(2, digest(layer(("evil", b""))))
    forged = SignedImage("shop", json.dumps(info).encode(), chain["shop"].layers, chain["shop"].parent)
    assert verifier(chain).verify(forged.identity).failed


def test_records_that_were_removed(chain):
    chain["httpd-php"].bundles = []
    assert ("httpd-php", "provenance") in failed(chain)


@pytest.mark.parametrize(
    ("tier", "kind"), [(tier, kind) for tier in TIERS for kind in (PROVENANCE, GATE) if (tier, kind) != ("base", GATE)]
)  # without a signed result, nobody knows that the base has tests
def test_a_bundle_with_one_changed_byte(chain, tier, kind):
    (bundle,) = chain[tier].bundles_of(kind)
    document = json.loads(bundle)
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(b"2026", b"2027", 1)).decode()
    chain[tier].bundles = [each for each in chain[tier].bundles if each != bundle] + [json.dumps(document).encode()]
    assert (tier, "provenance" if kind == PROVENANCE else "tests") in failed(chain)


def test_records_of_another_image(chain):
    chain["shop"].bundles = list(chain["wordpress"].bundles)
    assert ("shop", "provenance") in failed(chain)


# 6: the wrong team, too few people


@pytest.mark.parametrize(("tier", "person"), [("corebuild", "mia"), ("corebuild", "dan"), ("shop", "alice")])
def test_a_tier_that_another_team_signed(chain, tier, person):
    chain[tier].bundles = []
    chain.sign(tier, person)
    found = failed(chain)
    assert {where for where, _name in found} == {tier}
    assert person in str(found)


def test_one_signature_where_two_are_needed(chain):
    two = {"corebuild": {"signatures": 2}}
    assert {where for where, _name in failed(chain, tiers=two)} == {"corebuild"}
    chain.sign("corebuild", "alice")  # the same person twice
    assert failed(chain, tiers=two)
    chain.sign("corebuild", "bob")
    assert failed(chain, tiers=two) == {}


def test_a_key_that_nobody_knows(chain):
    chain.keys["dan"] = KeyInMemory()
    policy = chain.policy()
    chain.keys["dan"] = KeyInMemory()
    chain["shop"].bundles = []
    chain.sign("shop", "dan")
    found = Verifier(read_policy(yaml.safe_dump(policy).encode(), "policy"), [chain], NOW)
    assert ("shop", "provenance") in {(link.tier, link.name) for link in found.verify(chain["shop"].identity).failed}


def test_a_key_that_was_revoked(chain):
    revoked = {chain.keys["alice"].public_key.id: "2026-11-29 laptop lost"}
    found = failed(chain, revoked=revoked)
    assert {where for where, _name in found} == {"base", "corebuild"}
    assert "2026-11-29" in str(found)
    for tier in ("base", "corebuild"):
        chain.sign(tier, "bob")
    assert failed(chain, revoked=revoked) == {}


# 5 of in-toto: what was signed is about something else


def test_another_parent_than_the_signed_one(chain):
    other = SignedChain()
    chain.images["corebuild"] = other["corebuild"]
    assert failed(chain)


def test_a_build_from_another_repository_branch_or_a_dirty_tree(chain):
    rules = {"shop": {"repositories": ["https://git.example.org/development/*"], "branches": ["main", "release-*"]}}
    assert failed(chain, tiers=rules) == {}
    for change in (
        {"repository": "https://evil.example.org/development/roles.git"},
        {"branch": "my-branch"},
        {"clean": False},
    ):
        source = {**chain["shop"].statements[PROVENANCE].predicate["buildDefinition"]["externalParameters"]["source"]}
        predicate = changed(
            chain["shop"].statements[PROVENANCE],
            buildDefinition__externalParameters__source=source | change,
        )
        chain.resign("shop", PROVENANCE, predicate=predicate)
        assert ("shop", "source") in failed(chain, tiers=rules), change


# 8: tests


def test_tests_that_failed_or_are_missing(chain):
    gate = chain["shop"].statements[GATE]
    chain.resign("shop", GATE, predicate={**gate.predicate, "result": "FAILED", "failedTests": ["test_x"]})
    assert ("shop", "tests") in failed(chain)
    chain.resign("shop", GATE, predicate=gate.predicate)
    assert failed(chain, tiers={"shop": {"tests": ["roles/shop/tests/*::test_it"]}}) == {}
    assert ("shop", "tests") in failed(chain, tiers={"shop": {"tests": ["*::test_security"]}})


def test_contracts_of_an_ancestor_that_were_left_out(chain):
    gate = chain["shop"].statements[GATE].predicate
    kept = [each for each in gate["configuration"] if each["annotations"]["tier"] != "corebuild"]
    chain.resign("shop", GATE, predicate={**gate, "configuration": kept})
    found = failed(chain)
    assert ("shop", "tests") in found
    assert "corebuild" in found["shop", "tests"]


def test_a_bill_of_materials_that_is_missing(chain):
    chain["shop"].bundles = [each for each in chain["shop"].bundles if each not in chain["shop"].bundles_of(CYCLONEDX)]
    assert failed(chain) == {}
    assert ("shop", "sbom") in failed(chain, tiers={"shop": {"sbom": True}})


# 16: a builder that was taken over


def test_two_builders_that_do_not_agree(chain):
    two = {"shop": {"builders": 2}}
    assert ("shop", "builders") in failed(chain, tiers=two)
    statement = chain["shop"].statements[PROVENANCE]
    elsewhere = changed(statement, runDetails__builder__id="https://tierwright.github.io/builder/ci-2")
    trojan = (*statement.subjects[:2], Subject("layer", digest(b"trojan")))
    honest = list(chain["shop"].bundles)
    chain["shop"].bundles.append(chain.bundle(replace(statement, subjects=trojan, predicate=elsewhere), "dora"))
    assert ("shop", "builders") in failed(chain, tiers=two)
    chain["shop"].bundles = [*honest, chain.bundle(replace(statement, predicate=elsewhere), "dan")]
    assert ("shop", "builders") in failed(chain, tiers=two)  # the same key for both
    chain["shop"].bundles = [*honest, chain.bundle(replace(statement, predicate=elsewhere), "dora")]
    assert failed(chain, tiers=two) == {}


# 17: confusion of types and subjects


def test_a_statement_with_one_more_subject(chain):
    statement = chain["shop"].statements[PROVENANCE]
    more = (*statement.subjects, Subject("evil", digest(b"evil")))
    chain.resign("shop", PROVENANCE, subjects=more)
    found = failed(chain)
    assert ("shop", "provenance") in found
    assert "evil" in found["shop", "provenance"]


def test_a_statement_of_another_type(chain):
    chain.resign("shop", PROVENANCE, predicate_type="https://slsa.dev/provenance/v0.2")
    assert ("shop", "provenance") in failed(chain)


def test_a_payload_of_another_type(chain):
    (bundle,) = chain["shop"].bundles_of(PROVENANCE)
    document = json.loads(bundle)
    document["dsseEnvelope"]["payloadType"] = "application/json"
    chain["shop"].bundles = [json.dumps(document).encode()]
    verification = verifier(chain).verify(chain["shop"].identity)
    assert "payload type 'application/json'" in verification.line[-1].problems[0]
    assert verification.failed


def test_a_signature_that_is_repeated_counts_once(chain):
    (bundle,) = chain["corebuild"].bundles_of(PROVENANCE)
    document = json.loads(bundle)
    document["dsseEnvelope"]["signatures"] *= 5
    chain["corebuild"].bundles.append(json.dumps(document).encode())
    assert {where for where, _name in failed(chain, tiers={"corebuild": {"signatures": 2}})} == {"corebuild"}


# 1: paths of others


def test_a_layer_that_writes_what_it_may_not(chain):
    policy = read_policy(yaml.safe_dump(chain.policy({"shop": {"writes": ["/srv/**"]}})).encode(), "policy")
    for paths, names in ((("/srv/shop",), []), (("/srv/shop", "/usr/sbin/sshd"), ["writes"]), (None, ["writes"])):
        found = Verifier(policy, [chain], NOW, lambda _layers, paths=paths: paths).verify(chain["shop"].identity)
        assert [link.name for link in found.failed] == names, paths


def test_a_tier_that_the_policy_does_not_know(chain):
    policy = chain.policy()
    del policy["tiers"]["shop"]
    found = Verifier(read_policy(yaml.safe_dump(policy).encode(), "policy"), [chain], NOW)
    assert ("shop", "policy") in {(link.tier, link.name) for link in found.verify(chain["shop"].identity).failed}


def test_a_policy_that_has_expired(chain):
    policy = read_policy(yaml.safe_dump(chain.policy(expires="2026-12-01")).encode(), "policy")
    assert Verifier(policy, [chain], NOW).verify(chain["shop"].identity).failed == []
    late = Verifier(policy, [chain], datetime(2026, 12, 2, tzinfo=UTC)).verify(chain["shop"].identity).failed
    assert [link.name for link in late] == ["policy"]


def test_the_refusal_names_what_is_refused_tier_link_and_what_to_do(chain):
    chain["shop"].bundles = []
    with pytest.raises(TrustError) as raised:
        verifier(chain).require(chain["shop"].identity, "tier 'shop' is not promoted")
    text = str(raised.value)
    assert text.startswith("tier 'shop' is not promoted: the policy refuses shop: tier 'shop', ")
    assert len(text) < 1500


def test_a_statement_with_more_signers_of_other_teams_does_not_hide_the_right_one(chain):
    junk = replace(chain["shop"].statements[PROVENANCE], predicate={"buildDefinition": {}})
    chain["shop"].bundles += [chain.bundle(junk, person) for person in ("alice", "bob", "mia")]
    assert failed(chain) == {}
