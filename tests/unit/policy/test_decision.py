"""What the decision finds wrong, and how it says so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.decision import judge_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import (
    GATE,
    PROVENANCE,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.link import failed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.provenance import count_pairs
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import Revocation
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Subject
from signed_line import BUILDER, NOW, again, digest, found, judge, key, make_line, make_policy

pytestmark = pytest.mark.once

CORE, PHP = 1, 2


def with_statements(number, change, kind=None):
    """Return the line with one image's statements of a type changed; ``None`` drops a statement."""
    line = make_line()
    statements = []
    for signed in line[number].statements:
        matches = kind is None or signed.statement.predicate_type == kind
        statements += [each for each in [change(signed) if matches else signed] if each is not None]
    line[number] = replace(line[number], statements=tuple(statements))
    return line


def with_image(number, **changes):
    line = make_line()
    line[number] = replace(line[number], **changes)
    return line


def with_predicate(number, kind, **changes):
    return with_statements(number, lambda each: again(each, predicate={**each.statement.predicate, **changes}), kind)


def signed_by(*people):
    return lambda signed: replace(signed, signers=tuple(map(key, people)))


def test_a_good_line_keeps_to_its_policy():
    links = judge_image(make_policy(), make_line(), NOW)
    assert failed(links) == []
    names = [link.name for link in links if link.tier == "corebuild"]
    assert names == [
        *("layers", "signature", "provenance", "parent", "source", "builders", "tests", "sbom", "writes", "outdated"),
    ]
    assert [link.name for link in links if link.tier == "base"][-1] == "base age"
    assert [link.name for link in links if not link.tier] == ["policy"]


def test_the_key_of_another_team_does_not_count():
    alice, bob, erin = "alice of team 'operations'", "bob of team 'operations'", "erin of team 'development'"
    line = with_statements(PHP, signed_by("alice", "bob", "erin"))
    assert [(name, detail) for _tier, name, detail in found(line)][:2] == [
        (
            "signature",
            f"signed by {alice}, {bob} and {erin}; 1 valid key of team 'middleware' must sign, and 0 did",
        ),
        ("provenance", "no provenance counts"),
    ]


def test_one_person_is_not_two():
    line = with_statements(CORE, signed_by("alice"), PROVENANCE)
    assert [(name, detail) for _tier, name, detail in found(line)] == [
        (
            "signature",
            "signed by alice of team 'operations'; 2 valid keys of team 'operations' must sign, and 1 did",
        ),
        (
            "builders",
            f"made alike by {BUILDER}one, {BUILDER}two; 2 builders with different keys must agree, and 1 did",
        ),
    ]


def test_a_revoked_key_does_not_count_and_is_named():
    policy = replace(make_policy(), revoked={key("carol").id: Revocation("2026-11-29", "laptop lost")})
    link, *_ = judge(policy=policy)
    assert link.name == "signature"
    assert "carol of team 'middleware', whose key was revoked on 2026-11-29 (laptop lost)" in link.detail
    assert link.action == (
        "let team 'middleware' sign it with `tierwright sign httpd-php`, or build it with its signing key"
    )
    assert found(with_statements(PHP, signed_by("carol", "dave")), policy) == []


def test_an_expired_policy_allows_nothing():
    policy = make_policy()
    assert (
        found(policy=policy, now=policy.expires - timedelta(seconds=1), line=with_image(0, built=policy.expires)) == []
    )
    links = judge(policy=policy, now=policy.expires, line=with_image(0, built=policy.expires))
    assert [(link.name, link.detail) for link in links] == [("policy", "the policy expired on 2027-06-30")]


def test_a_tier_without_a_rule_is_refused():
    policy = make_policy()
    tiers = {tier: rule for tier, rule in policy.tiers.items() if tier != "shop"}
    assert ("shop", "policy", "the policy has no rule for this tier") in found(policy=replace(policy, tiers=tiers))
    tiers["*"] = policy.tiers["shop"]
    assert found(policy=replace(policy, tiers=tiers)) == []


def test_an_extra_subject_is_refused_by_name():
    extra = Subject("evil", digest("evil"))
    line = with_statements(PHP, lambda each: again(each, subjects=(*each.statement.subjects, extra)))
    details = {name: detail for _tier, name, detail in found(line)}
    assert details["provenance"].startswith("the provenance is wrong: it is also about 'evil' sha256:")
    assert details["tests"].startswith("the test result is wrong: it is also about 'evil' sha256:")
    assert details["sbom"].startswith("the bill of materials is wrong: it is also about 'evil' sha256:")


def test_statements_that_are_wrong_do_not_spoil_those_that_are_right():
    line = make_line()
    signed = next(each for each in line[PHP].statements if each.statement.predicate_type == GATE)
    junk = [
        again(signed, predicate={"result": "FAILED"}),
        replace(signed, signers=()),
        again(signed, subjects=(Subject("x", digest("x")),)),
    ]
    line[PHP] = replace(line[PHP], statements=(*junk, *line[PHP].statements))
    assert found(line) == []


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"result": "WARNED"}, "the test result is 'WARNED'; expected PASSED"),
        ({"failedTests": ["test_a", "test_b"]}, "these tests failed: test_a, test_b"),
        ({"failedTests": None}, "these tests failed: None"),
        ({"passedTests": []}, "no test that matches roles/httpd-php/tests/*::* passed"),
        ({"passedTests": ["roles/other/tests/a.py::x"]}, "no test that matches roles/httpd-php/tests/*::* passed"),
        ({"passedTests": [7]}, "the test result has no list of the tests that passed"),
        ({"configuration": []}, "the contract of tier 'corebuild' (team 'operations') was not run on it"),
    ],
)
def test_tests_must_have_passed(changes, detail):
    assert ("httpd-php", "tests", detail) in found(with_predicate(PHP, GATE, **changes))


def test_a_skipped_test_has_not_passed():
    line = with_predicate(PHP, GATE, passedTests=[], warnedTests=["roles/httpd-php/tests/test_it.py::test_works"])
    assert found(line) == [("httpd-php", "tests", "no test that matches roles/httpd-php/tests/*::* passed")]


def test_tests_without_contracts_need_not_run_on_descendants():
    line = make_line()
    own = [{"annotations": {"tier": "httpd-php", "team": "middleware", "kind": "own", "contracts": "none"}}]
    contracts = [{"annotations": {"tier": "corebuild", "team": "operations", "kind": "contract"}}]

    def change(number, configuration):
        statements = tuple(
            again(each, predicate={**each.statement.predicate, "configuration": configuration})
            if each.statement.predicate_type == GATE
            else each
            for each in line[number].statements
        )
        line[number] = replace(line[number], statements=statements)

    change(3, contracts)
    expected = ("wordpress", "tests", "the contract of tier 'httpd-php' (team 'middleware') was not run on it")
    assert expected in found(line)
    change(2, [*own, *contracts])
    assert found(line) == []


def test_tests_are_needed_if_a_rule_or_an_ancestor_requires_them():
    def drop(number):
        return with_statements(number, lambda _signed: None, GATE)

    core = make_policy(corebuild={"tests": ()})
    assert [each for each in found(drop(CORE), core) if each[0] == "corebuild"] == []
    assert ("corebuild", "tests", "no test result is signed; team 'operations' must sign it") in found(drop(CORE))
    php = make_policy(httpd_php={"tests": ()})
    assert ("httpd-php", "tests", "no test result is signed; team 'middleware' must sign it") in found(drop(PHP), php)


def test_an_installed_role_has_a_version_instead_of_a_commit():
    def change(signed):
        predicate = signed.statement.predicate
        definition = predicate["buildDefinition"]
        external = {**definition["externalParameters"], "source": {"version": "1.2.0", "clean": True}}
        resolved = [definition["resolvedDependencies"][0], {"name": "source", "uri": "pkg:ansible/a.b@1.2.0"}]
        changed = {**definition, "externalParameters": external, "resolvedDependencies": resolved}
        return again(signed, predicate={**predicate, "buildDefinition": changed})

    line = with_statements(PHP, change, PROVENANCE)
    assert [name for _tier, name, _detail in found(line)] == ["source"]
    assert found(line, make_policy(httpd_php={"repositories": (), "branches": ()})) == []


def test_the_oldest_time_of_a_base_counts():
    def change(signed):
        predicate = signed.statement.predicate
        definition = {**predicate["buildDefinition"], "internalParameters": {"epoch": 1_700_000_000}}
        return again(signed, predicate={**predicate, "buildDefinition": definition})

    [(tier, name, detail)] = found(with_statements(0, change, PROVENANCE))
    assert (tier, name) == ("base", "base age")
    assert detail.startswith("the base is of 2023-11-14, 1111 days old")


def test_the_test_result_needs_as_many_signatures():
    line = with_statements(CORE, signed_by("alice"), GATE)
    detail = "the test result is signed by alice of team 'operations'; 2 keys of the team must sign it"
    assert found(line) == [("corebuild", "tests", detail)]


@pytest.mark.parametrize(
    ("source", "name", "detail"),
    [
        ({"repository": "https://evil.example.org/x"}, "source", "it was built from the repository 'https://evil.exa"),
        ({"branch": "feature"}, "source", "it was built from the branch 'feature'; allowed are main"),
        ({"clean": False}, "source", "its source had changes that were not committed"),
        ({"commit": "0" * 40}, "source", "the provenance names the commits"),
        ({"version": "1.0", "commit": None}, "source", "the provenance names the commits None, c0ff"),
    ],
)
def test_the_source_must_be_allowed(source, name, detail):
    def change(signed):
        predicate = signed.statement.predicate
        definition = predicate["buildDefinition"]
        external = {**definition["externalParameters"]}
        external["source"] = {**external["source"], **source}
        return again(signed, predicate={**predicate, "buildDefinition": {**definition, "externalParameters": external}})

    [(tier, found_name, found_detail)] = found(with_statements(PHP, change, PROVENANCE))
    assert (tier, found_name) == ("httpd-php", name)
    assert found_detail.startswith(detail)


def test_an_unclean_source_can_be_allowed():
    def change(signed):
        predicate = signed.statement.predicate
        definition = predicate["buildDefinition"]
        external = {**definition["externalParameters"], "source": None}
        return again(signed, predicate={**predicate, "buildDefinition": {**definition, "externalParameters": external}})

    line = with_statements(PHP, change, PROVENANCE)
    policy = make_policy(httpd_php={"repositories": (), "branches": ()})
    assert found(line, policy) == [("httpd-php", "source", "the provenance names no Git repository of the role")]
    assert found(line, make_policy(httpd_php={"repositories": (), "branches": (), "clean": False})) == []


def test_a_layer_that_was_slipped_in_is_found():
    line = with_image(PHP, layers=(*make_line()[PHP].layers[:-1], digest("evil"), make_line()[PHP].layers[-1]))
    details = [(tier, detail) for tier, name, detail in found(line) if name == "layers"]
    assert details[0] == ("httpd-php", "it has 2 layers on its parent 'corebuild'; expected one at most")


def test_a_tier_without_a_layer_of_its_own():
    line = make_line()[: PHP + 1]
    shared = line[CORE].layers

    def without_layer(signed):
        return again(signed, subjects=signed.statement.subjects[:2])

    line[PHP] = replace(line[PHP], layers=shared, statements=tuple(map(without_layer, line[PHP].statements)))
    assert found(line) == []


@pytest.mark.parametrize(
    ("keys", "pairs"),
    [
        ({}, 0),
        ({"one": {"a"}, "two": {"a"}}, 1),
        ({"one": {"a", "b"}, "two": {"a"}}, 2),
        ({"one": {"a", "b"}, "two": {"a"}, "three": {"b"}}, 2),
        ({"one": {"a", "b"}, "two": {"a", "c"}, "three": {"a"}}, 3),
    ],
)
def test_builders_are_paired_with_different_keys(keys, pairs):
    assert count_pairs({builder: {key(each) for each in signers} for builder, signers in keys.items()}) == pairs


def test_a_builder_that_made_something_else_is_named():
    def change(signed):
        if not signed.statement.predicate["runDetails"]["builder"]["id"].endswith("two"):
            return signed
        tier, _config, layer = signed.statement.subjects
        return again(signed, subjects=(tier, Subject("config", digest("other")), layer))

    details = {name: detail for _tier, name, detail in found(with_statements(CORE, change, PROVENANCE))}
    assert f"made alike by {BUILDER}one; {BUILDER}two made something else; 2 builders" in details["builders"]


@pytest.mark.parametrize(
    ("outdated", "detail"),
    [
        ({"openssl": 8}, "security updates are missing too long: openssl for 8 days (allowed 7)"),
        ({"bash": 31}, "security updates are missing too long: bash for 31 days (allowed 30)"),
        ({"libssl3": 4}, "security updates are missing too long: libssl3 for 4 days (allowed 3)"),
        ({"libssl3": 3, "bash": 30}, None),
        (None, "it is not known which security updates are missing: nobody asked an archive"),
    ],
)
def test_updates_must_not_be_missing_too_long(outdated, detail):
    policy = replace(make_policy(), outdated={"openssl": 7, "libssl*": 3, "lib*": 5, "*": 30})
    expected = [] if detail is None else [("httpd-php", "outdated", detail)]
    assert found(with_image(PHP, outdated=outdated), policy) == expected


@pytest.mark.parametrize(
    ("built", "detail"),
    [
        (NOW - timedelta(days=90), None),
        (NOW - timedelta(days=91), "the base is of 2026-08-31, 91 days old; allowed are 90"),
        (NOW + timedelta(days=2), "the base claims to be of 2026-12-02, which is in the future"),
        (None, "the time of the base is not known"),
    ],
)
def test_a_base_must_not_be_too_old(built, detail):
    expected = [] if detail is None else [("base", "base age", detail)]
    assert found(with_image(0, built=built)) == expected


def test_a_path_that_is_not_allowed_is_named():
    written = ("/etc/motd", "/usr/bin/x", "/srv/a", "/etcetera", "/usr", "/opt/b")
    detail = "its layer writes /srv/a, /etcetera, /usr and 1 more; allowed are /etc, /usr/**"
    assert found(with_image(PHP, written=written)) == [("httpd-php", "writes", detail)]


def test_an_empty_line_is_refused():
    assert [(link.name, link.ok) for link in judge_image(make_policy(), [], NOW)] == [
        ("policy", True),
        ("layers", False),
    ]
