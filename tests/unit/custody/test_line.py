"""The line of an image is followed by what was signed."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.custody_answer import describe
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.line import Tracer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import CYCLONEDX, GATE, PROVENANCE
from signed_chain import TIERS, SignedChain

pytestmark = pytest.mark.once


@pytest.fixture
def chain():
    return SignedChain()


def keys(chain):
    return [key.public_key for key in chain.keys.values()]


def trace(image, sources, keys, tiers=()):
    return Tracer(sources, keys).trace(image, tiers)


def test_the_line_goes_from_the_base_to_the_image(chain):
    line = trace(chain["shop"].identity, [chain], keys(chain))
    assert [each.evidence.tier for each in line] == list(TIERS)
    assert [each.evidence.config for each in line] == [chain[tier].identity.config for tier in TIERS]
    assert [each.evidence.layers for each in line] == [chain[tier].identity.layers for tier in TIERS]
    assert [each.evidence.manifest for each in line] == [chain[tier].identity.manifest for tier in TIERS]
    assert all(len(each.evidence.statements) == 4 for each in line)
    assert all(statement.signers for each in line for statement in each.evidence.statements)


def test_the_same_statement_of_two_people_is_one_statement_with_two_signers(chain):
    chain.sign("shop", "alice")
    shop = trace(chain["shop"].identity, [chain, chain], keys(chain))[-1]
    assert {len(each.signers) for each in shop.evidence.statements} == {2}
    assert len(shop.evidence.statements) == 4


def test_a_key_that_is_not_known_signs_nothing(chain):
    line = trace(chain["shop"].identity, [chain], [])
    assert [each.evidence.tier for each in line] == list(TIERS)
    assert not any(statement.signers for each in line for statement in each.evidence.statements)


def test_signed_provenance_comes_before_unsigned(chain):
    other = SignedChain()
    forged = other.bundle(
        chain["wordpress"]
        .statements[PROVENANCE]
        .__class__(
            chain["wordpress"].subjects(), PROVENANCE, {"buildDefinition": {"externalParameters": {"tier": "forged"}}}
        ),
        "dan",
    )
    chain["wordpress"].bundles.insert(0, forged)
    line = trace(chain["shop"].identity, [chain], keys(chain))
    assert [each.evidence.tier for each in line] == list(TIERS)


def test_a_line_ends_where_nothing_names_a_parent(chain):
    chain["wordpress"].bundles = []
    line = trace(chain["shop"].identity, [chain], keys(chain))
    assert [each.evidence.tier for each in line] == ["wordpress", "shop"]  # its child names it
    chain["shop"].bundles = []
    line = trace(chain["shop"].identity, [chain], keys(chain))
    assert [each.evidence.tier for each in line] == ["", "shop"]
    line = trace(chain["shop"].identity, [chain], keys(chain), list(TIERS))
    assert [each.evidence.tier for each in line] == ["wordpress", "shop"]


def test_a_line_that_bites_its_tail_ends(chain):
    predicate = chain["wordpress"].statements[PROVENANCE].predicate
    dependency = {"name": "parent", "digest": {"sha256": chain["shop"].identity.config.removeprefix("sha256:")}}
    definition = {**predicate["buildDefinition"], "resolvedDependencies": [dependency]}
    chain.resign("wordpress", PROVENANCE, predicate={**predicate, "buildDefinition": definition})
    line = trace(chain["shop"].identity, [chain], keys(chain))
    assert [each.evidence.tier for each in line] == ["wordpress", "shop"]


def test_damaged_bundles_are_told(chain):
    chain["shop"].bundles += [b"{}", chain["shop"].bundles[0].replace(b"in-toto", b"in-text")]
    shop = trace(chain["shop"].identity, [chain], keys(chain))[-1]
    assert [text.split(":")[0] for text in shop.problems] == [
        "record 4 of shop is damaged",
        "record 5 of shop has the payload type 'application/vnd.in-text+json'; expected application/vnd.in-toto+json",
    ]
    assert len(shop.evidence.statements) == 4


@pytest.mark.parametrize("predicate", [{}, {"buildDefinition": []}, {"buildDefinition": {"resolvedDependencies": [1]}}])
def test_provenance_of_any_form_is_followed_as_far_as_it_goes(chain, predicate):
    chain.resign("shop", PROVENANCE, predicate=predicate)
    line = trace(chain["shop"].identity, [chain], keys(chain))
    assert line[-1].evidence.tier == "shop"  # from its label
    assert describe(line[-1], [], None).person is None


def test_the_answer_quotes_what_was_signed(chain):
    shop = describe(trace(chain["shop"].identity, [chain], keys(chain))[-1], [], None)
    assert (shop.tier, shop.team, shop.role) == ("shop", "development", "shop")
    assert (shop.person, shop.builder) == ("dan on ci-1", "https://tierwright.github.io/builder/ci-1")
    assert (shop.repository, shop.branch) == ("https://git.example.org/development/roles.git", "main")
    assert (shop.commit, shop.clean) == (f"{5:040x}", True)
    assert shop.inputs == ["https://deb.debian.org/debian sha256:" + "ab" * 32]
    assert (shop.tests, shop.packages) == (5, 1)
    assert shop.contracts == ["base", "corebuild", "httpd-php", "wordpress"]
    assert shop.layer == chain["shop"].identity.layers[-1]


@pytest.mark.parametrize("kind", [GATE, CYCLONEDX])
def test_what_nobody_said_is_unknown(chain, kind):
    chain["shop"].bundles = [each for each in chain["shop"].bundles if each not in chain["shop"].bundles_of(kind)]
    shop = describe(trace(chain["shop"].identity, [chain], keys(chain))[-1], [], None)
    assert (shop.tests is None, shop.packages is None) == (kind == GATE, kind == CYCLONEDX)
