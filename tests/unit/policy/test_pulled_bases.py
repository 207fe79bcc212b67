"""What the decision finds wrong with bases that were pulled, and with the signatures of others."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.decision import judge_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.evidence import (
    PROVENANCE,
    SIGNATURE,
    PulledImage,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.link import failed
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.policy.rules import Revocation, TierRule
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Subject
from signed_line import NOW, again, digest, found, key, make_line, make_policy, sign

pytestmark = pytest.mark.once

VENDOR = {"vendor": key("vendor"), "mirror": key("mirror")}
MANIFEST = digest("published by the vendor")


def pulled_line(signers=("vendor",), manifest=MANIFEST, **origin):
    """Return a line whose base was pulled from an image that others signed."""
    line = make_line()
    layers = (digest("lower"), digest("upper"))
    signed = sign(SIGNATURE, [Subject("", manifest)], {}, *signers)
    line[0] = replace(line[0], layers=layers, statements=(), origin=PulledImage(MANIFEST, layers, (signed,)))
    line[0] = replace(line[0], origin=replace(line[0].origin, **origin))
    for number in range(1, 5):
        line[number] = replace(line[number], layers=(*layers, *line[number].layers[1:]))
    return line


def others_policy(team=None):
    policy = make_policy()
    return replace(policy, tiers={**policy.tiers, "base": TierRule(team=team, signed_by=VENDOR)})


def test_a_base_of_others_needs_their_signature():
    assert found(pulled_line(), others_policy()) == []
    [(tier, name, detail)] = found(pulled_line(signers=("alice",)), others_policy())
    assert (tier, name) == ("base", "signature")
    assert detail.endswith("is signed by alice of team 'operations'; expected vendor or mirror")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        (
            {"signers": ()},
            f"the pulled image {MANIFEST} is signed by nobody that the policy knows; expected vendor or mir",
        ),
        ({"manifest": digest("x")}, f"the pulled image {MANIFEST} is signed by nobody that the policy knows"),
        ({"layers": (digest("x"),)}, f"its layers are not those of the image {MANIFEST} that it was pulled from"),
        ({"changed_settings": ("Env",)}, "it has other settings than the pulled image (Env), and nobody signs them"),
    ],
)
def test_a_base_of_others_must_be_what_they_signed(changes, detail):
    [(tier, name, text)] = found(pulled_line(**changes), others_policy())
    assert (tier, name) == ("base", "signature")
    assert text.startswith(detail)


def test_a_revoked_key_of_others_does_not_count():
    policy = replace(others_policy(), revoked={key("vendor").id: Revocation("2026-11-01", "")})
    [(_tier, _name, detail)] = found(pulled_line(), policy)
    assert "signed by vendor, whose key was revoked on 2026-11-01; expected" in detail
    assert found(pulled_line(signers=("vendor", "mirror")), policy) == []


def test_signatures_of_others_are_only_for_bases():
    policy = make_policy()
    policy = replace(policy, tiers={**policy.tiers, "shop": TierRule(signed_by=VENDOR)})
    detail = "signed_by is for a pulled base, but this image has a parent"
    assert found(policy=policy) == [("shop", "signature", detail)]


def own_pulled_line(*, with_layers=False, digest_of_origin=MANIFEST, **changes):
    """Return a line whose base our own team pulled and signed."""
    line = pulled_line()
    named = {"name": "base", "uri": "docker://debian", "digest": {"sha256": digest_of_origin.removeprefix("sha256:")}}
    layers = tuple(Subject("layer", each) for each in line[0].layers) if with_layers else ()

    def adapt(signed):
        predicate = signed.statement.predicate
        if signed.statement.predicate_type == PROVENANCE:
            definition = predicate["buildDefinition"]
            resolved = [*definition["resolvedDependencies"], named]
            predicate = {**predicate, "buildDefinition": {**definition, "resolvedDependencies": resolved}}
        return again(signed, subjects=(*signed.statement.subjects[:2], *layers), predicate=predicate)

    line[0] = replace(line[0], statements=tuple(map(adapt, make_line()[0].statements)))
    line[0] = replace(line[0], **changes)
    return line


def test_a_pulled_base_of_our_own_team_has_no_own_layer():
    assert found(own_pulled_line(), others_policy(team="operations")) == []
    assert found(own_pulled_line(origin=None, layers_read=True), make_policy()) == []
    links = found(own_pulled_line(digest_of_origin=digest("x")), others_policy("operations"))
    assert [(tier, name) for tier, name, _detail in links] == [("base", "parent")]


def test_the_team_of_a_base_vouches_for_the_signature_of_others_if_the_pulled_image_is_gone():
    line = own_pulled_line(origin=None, layers_read=True)
    links = judge_image(others_policy("operations"), line, NOW)
    assert failed(links) == []
    [link] = [each for each in links if "vendor or mirror" in each.detail]
    assert (
        link.detail
        == f"pulled from {MANIFEST}, as team 'operations' signed; vendor or mirror signed it when it was pulled"
    )
    unsigned = [replace(line[0], statements=()), *line[1:]]
    assert ("base", "signature") in [
        (tier, name) for tier, name, _detail in found(unsigned, others_policy("operations"))
    ]
    not_pulled = [make_line()[0], *line[1:]]
    details = [detail for tier, _name, detail in found(not_pulled, others_policy("operations")) if tier == "base"]
    assert any("its configuration was not read" in detail for detail in details)


def test_the_image_itself_was_read():
    line = pulled_line()[:1]
    alone = replace(line[0], origin=None, manifest=MANIFEST, statements=line[0].origin.statements)
    assert found([alone], others_policy()) == []


def test_layers_of_a_pulled_base_must_be_read_or_named():
    """Otherwise, whoever signs a child could put other layers below it: the configuration of the base is not there."""
    [(tier, name, detail), *_] = found(own_pulled_line(origin=None), make_policy())
    assert (tier, name) == ("base", "provenance")
    assert detail.startswith("the provenance is wrong: it is not about 'layer' sha256:")
    assert found(own_pulled_line(origin=None, with_layers=True), make_policy()) == []
    line = own_pulled_line(origin=None, with_layers=True)
    line = [replace(image, layers=(digest("evil"), *image.layers[1:])) for image in line]
    assert ("base", "provenance") in [(tier, name) for tier, name, _detail in found(line)]


def test_layers_of_a_base_of_others_must_be_read():
    line = pulled_line()
    signed = line[0].origin.statements
    line[0] = replace(line[0], origin=None, manifest=MANIFEST, statements=signed)
    detail = "its configuration was not read, so nothing connects its layers with what was signed"
    assert ("base", "signature", detail) in found(line, others_policy())
    line[0] = replace(line[0], layers_read=True)
    assert "base" not in [tier for tier, _name, _detail in found(line, others_policy())]
