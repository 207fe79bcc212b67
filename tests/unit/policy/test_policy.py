"""A policy file is read strictly: each fault is one sentence with the path of the value."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import TrustError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.policy import LARGEST, read_policy
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import (
    ReleaseRule,
    Revocation,
    Team,
    TierRule,
)

pytestmark = pytest.mark.once


def read(text):
    return read_policy(text.encode(), "chain-policy.yml")


@pytest.fixture
def refused(policy_text):
    """Return the message for the policy with one text replaced, and check that it is one line."""

    def refuse(old, new):
        assert old in policy_text
        with pytest.raises(TrustError) as raised:
            read(policy_text.replace(old, new))
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return refuse


def test_every_key_is_read(policy_text, signers):
    policy = read(policy_text)
    keys = {person: signer.public_key for person, signer in signers.items()}
    assert (policy.version, policy.expires) == (3, datetime(2099, 7, 1, tzinfo=UTC))
    assert policy.teams == {
        "operations": Team("operations", {"alice": keys["alice"], "bob": keys["bob"]}),
        "middleware": Team("middleware", {"carol": keys["carol"]}),
    }
    assert policy.rule("base") == TierRule(signed_by={"vendor": keys["vendor"]})
    assert policy.rule("corebuild") == TierRule(
        team="operations",
        signatures=2,
        builders=2,
        repositories=("https://git.example.org/ops/*",),
        branches=("main",),
        clean=True,
        tests=("roles/corebuild/tests/*::*",),
        writes=("/etc/**", "/usr/**"),
        sbom=True,
    )
    assert policy.rule("anything") == TierRule(team="middleware", clean=False)
    assert (policy.base_age, policy.outdated) == (90, {"openssl": 7, "*": 30})
    assert policy.releases == ReleaseRule(("operations",), 14)
    assert set(policy.keys()) == {keys[person] for person in ("alice", "bob", "carol", "vendor")}
    assert policy.owner(keys["bob"]) == "bob of team 'operations'"
    assert policy.owner(keys["vendor"]) == "vendor"
    assert policy.owner(keys["owner"]) == f"the unknown key {keys['owner']}"


def test_without_a_default_other_tiers_have_no_rule(policy_text):
    assert read(policy_text.replace('  "*": {team: middleware, clean: false}\n', "")).rule("anything") is None


def test_a_time_can_be_exact(policy_text):
    policy = read(policy_text.replace("2099-06-30", "2099-06-30T12:00:00+02:00"))
    assert policy.expires == datetime(2099, 6, 30, 10, tzinfo=UTC)


def test_a_revoked_key_stays_listed(policy_text, signers):
    carol, unknown = signers["carol"].public_key, "0" * 64
    text = policy_text.replace("{team: middleware, clean: false}", "{team: operations}")
    policy = read(f'{text}revoked: {{{carol.id}: "2026-11-30 laptop lost", {unknown}: 2026-11-01}}\n')
    assert policy.revoked == {carol.id: Revocation("2026-11-30", "laptop lost"), unknown: Revocation("2026-11-01", "")}
    assert policy.valid_keys("middleware") == frozenset()
    assert policy.owner(carol) == "carol of team 'middleware', whose key was revoked on 2026-11-30 (laptop lost)"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 3\n", "", "version is missing; a policy needs it"),
        ("version: 3\n", "version: three\n", "version is 'three'; expected a whole number of at least 1"),
        ("version: 3\n", "version: 0\n", "version is '0'; expected a whole number of at least 1"),
        ("version: 3\n", "version: 1e3\n", "version is '1e3'; expected a whole number"),
        ("version: 3\n", "version: 3\nversion: 4\n", "'version' occurs twice"),
        ("version: 3\n", "version: 3\nverison: 4\n", "verison is not a key of a policy; did you mean version?"),
        ("version: 3\n", "version: 3\nzzz: 4\n", "zzz is not a key of a policy; known are version, expires"),
        ("2099-06-30", "soon", "expires is 'soon'; expected a day such as 2027-06-30"),
        ("2099-06-30", "2099-02-30", "expires is '2099-02-30'; expected a day"),
        ("2099-06-30", "2099-06-30T12:00:00", "expires is '2099-06-30T12:00:00'; expected a time with Z"),
        ("2099-06-30", "9999-12-31", "expires is '9999-12-31'; expected a day"),
        ("2099-06-30", "[1]", "expires is a list; expected a day"),
        ("signatures: 2", "signatures: 3", "tiers.corebuild.signatures is 3, but team 'operations' has 2 keys"),
        ("builders: 2", "builders: 9", "tiers.corebuild.builders is 9, but team 'operations' has 2 keys"),
        ("team: operations\n", "team: ops\n", "tiers.corebuild names the team 'ops'; known are operations, middleware"),
        ("team: operations\n", "team:\n", "tiers.corebuild.team is empty; expected the name of a team"),
        ("    team: operations\n", "", "tiers.corebuild has no team; name the team that signs"),
        ("sbom: true", "sbom: yes", "tiers.corebuild.sbom is 'yes'; expected true or false"),
        ("sbom: true", "sbom: [true]", "tiers.corebuild.sbom is a list; expected true or false"),
        ("sbom: true", "sboms: true", "tiers.corebuild.sboms is not a key of a policy; did you mean sbom?"),
        ("branches: [main]", "branches: main", "tiers.corebuild.branches is 'main'; expected a list of patterns"),
        ("branches: [main]", "branches: []", "tiers.corebuild.branches is an empty list; expected a list of"),
        ("branches: [main]", "branches: ['']", "tiers.corebuild.branches[0] is empty; expected a list of patterns"),
        (
            "branches: [main]",
            "branches: ['a', '[z-a]']",
            "tiers.corebuild.branches[1] is '[z-a]': it is not a valid pat",
        ),
        ('["/etc/**",', '["etc/**",', "tiers.corebuild.writes[0] is 'etc/**'; expected a pattern of absolute paths"),
        ('["/etc/**",', '["/etc/../x",', "tiers.corebuild.writes[0] is '/etc/../x'; expected a pattern of absolute"),
        ("base_age: 90", "base_age: -1", "base_age is '-1'; expected a whole number of at least 1"),
        ("openssl: 7", "openssl: soon", "outdated.openssl is 'soon'; expected a whole number of at least 0"),
        ("openssl: 7", "'[z-a]': 7", "outdated.[z-a] names no package: it is not a valid pattern"),
        ("{teams: [operations], valid: 14}", "{teams: [operations]}", "releases.valid is missing"),
        ("{teams: [operations], valid: 14}", "{teams: [ops], valid: 1}", "releases.teams[0] names the team 'ops'"),
        ("{teams: [operations], valid: 14}", "7", "releases is '7'; expected a dictionary with teams, valid"),
        ('  "*": {team: middleware, clean: false}', '  "*": {}', "tiers.* has no team; name the team"),
        ('  "*": {team: middleware, clean: false}', '  "*": 7', "tiers.* is '7'; expected a dictionary with team"),
        ("signed_by:\n", "signed_by: {}\n    x:\n", "tiers.base.x is not a key of a policy"),
        (
            "base_age: 90",
            "revoked: {abc: 2026-11-30}",
            "revoked.abc does not name a key; expected its ID, 64 hexadecim",
        ),
        ("base_age: 90", f"revoked: {{x.{'0' * 64}: 2026-11-30}}", "does not name a key; expected its ID"),
        ("base_age: 90", f"revoked: {{{'0' * 64}: lost}}", "is 'lost'; expected a day and a reason"),
        ("base_age: 90", f"revoked: {{{'0' * 64}: 2026-13-01}}", "is '2026-13-01'; expected a day and a reason"),
        ("  base:\n", "  base:\n    sbom: true\n", "tiers.base has sbom, but no team; name the team"),
        ("openssl: 7", "openssl: *a", "it has an alias"),
    ],
)
def test_a_wrong_value_is_named(refused, old, new, message):
    assert message in refused(old, new)


def test_keys_of_teams_are_needed(refused, signers):
    alice, bob, carol = (signers[person].public_key.pem.splitlines()[1] for person in ("alice", "bob", "carol"))
    assert "teams.operations.keys.bob is the same key as teams.operations.keys.alice" in refused(bob, alice)
    assert "teams.middleware.keys.carol is the same key as teams.operations.keys.alice" in refused(carol, alice)
    assert "teams.operations.keys.alice is something else" in refused(alice, "x")
    assert "teams.operations.keys.alice is a private key" in refused(
        "      alice: |\n", "      alice: PRIVATE KEY\n      z: |\n"
    )


@pytest.mark.parametrize("keys", ["", "{}", "[]", "7"])
def test_a_team_has_keys(keys):
    teams, tiers = f"{{operations: {{keys: {keys}}}}}", "{base: {team: operations}}"
    text = f"version: 1\nexpires: 2099-01-01\nteams: {teams}\ntiers: {tiers}\n"
    with pytest.raises(TrustError, match=r"teams\.operations\.keys is .*; expected a dictionary of public keys in PEM"):
        read(text)


def test_a_key_that_is_still_needed_cannot_be_revoked(policy_text, signers):
    text = f'{policy_text}revoked: {{{signers["alice"].public_key.id}: "2026-11-30 laptop lost"}}\n'
    with pytest.raises(TrustError) as raised:
        read(text)
    assert str(raised.value) == (
        "chain-policy.yml: tiers.corebuild needs 2 keys of team 'operations', but only 1 are valid; revoked are alice "
        "(2026-11-30 (laptop lost)); add a new key to teams.operations.keys"
    )
    text = f"{policy_text}revoked: {{{signers['vendor'].public_key.id}: 2026-11-30}}\n"
    with pytest.raises(TrustError, match=r"tiers\.base\.signed_by has only revoked keys"):
        read(text)


WRONG = [b"", b"7", b"[]", b"\xff\xfe\x00", b"{", b"a: " * 5000, b"[" * 5000, b"x" * (LARGEST + 1)]


@pytest.mark.parametrize("content", WRONG)
def test_what_is_no_policy_is_refused(content):
    with pytest.raises(TrustError, match=r"^chain-policy\.yml"):
        read_policy(content, "chain-policy.yml")


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_lead_to_another_error(content):
    with pytest.raises(TrustError):
        read_policy(content, "it")


KEYS = "version expires teams tiers releases base_age outdated revoked operations keys team signed_by signatures tests"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.dates() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS.split()) | st.text(max_size=8), inner, max_size=5)
    ),
)


@given(st.fixed_dictionaries({"version": st.just(1), "expires": VALUES, "teams": VALUES, "tiers": VALUES}) | VALUES)
def test_no_document_leads_to_another_error(document):
    with pytest.raises(TrustError):
        read_policy(yaml.safe_dump(document).encode(), "it")


def test_the_examples_of_the_documentation_are_valid(signers):
    page = (Path(__file__).parents[3] / "docs/policy.md").read_text()
    first, second = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    lines = [signer.public_key.pem.splitlines()[1] for name, signer in signers.items() if name != "owner"]

    def with_keys(text):
        numbers = itertools.count()
        return re.sub(r"(?<= )…$", lambda _match: lines[next(numbers)], text, flags=re.MULTILINE)

    assert read(with_keys(first)).rule("corebuild").signatures == 2
    assert read(with_keys(first.partition("tiers:\n")[0] + second)).rule("base").signed_by
