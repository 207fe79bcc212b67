"""The configuration of an image: its layers, and the tier, team and role of each."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import layers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import Step, parse
from made_images import config, digest, layer, step, tier_step

ONE, TWO = layer(("a", b"1")), layer(("b", b"2"))


def test_the_owner_of_a_layer():
    content = config(
        [ONE, TWO], [tier_step("base", "operations"), step("ENV x", empty=True), tier_step("web", "middleware")]
    )
    document = parse(content, ("web:latest",), "it")
    assert document.id == digest(content)
    assert [
        (image_layer.number, image_layer.tier, image_layer.team, image_layer.role) for image_layer in layers(document)
    ] == [
        (1, "base", "operations", "base"),
        (2, "web", "middleware", "web"),
    ]
    assert layers(document)[1].created == "2026-01-02T03:04:05Z"


def test_a_similar_history_entry_is_not_a_tier():
    for created_by in ("RUN echo tierwright: tier web: role web", "tierwright: tier web", ""):
        assert Step(0, created_by, "team x", "x", empty=False).tier is None
        assert Step(0, created_by, "team x", "x", empty=False).team is None


def test_the_commit_and_capabilities_after_a_role_are_parsed():
    for commit, revision in (("", None), (" at 4a936f66cfe4", "4a936f66cfe4")):
        for capability in ("", ", with capability SYS_ADMIN"):
            history_step = Step(
                0, f"tierwright: tier web: role team.web.web{commit}{capability}", "team x", "", empty=False
            )
            assert (history_step.tier, history_step.role, history_step.revision) == ("web", "team.web.web", revision)


def test_a_base_has_no_role():
    base = Step(0, "tierwright: tier base: debian bookworm", "", "operations", empty=False)
    assert (base.tier, base.team, base.role) == ("base", "operations", None)


def test_a_history_that_does_not_match_the_layers_is_ignored():
    for steps in ([], [step("one")], [step("one"), step("two"), step("three")]):
        document = parse(config([ONE, TWO], steps), (), "it")
        assert [(image_layer.created_by, image_layer.called) for image_layer in layers(document)] == [
            (None, "layer 1"),
            (None, "layer 2"),
        ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"rootfs": {"diff_ids": ["../../etc/passwd"]}}',
        b'{"rootfs": {"diff_ids": [7]}}',
        b'{"rootfs": {"diff_ids": []}, "created": "yesterday"}',
        b'{"rootfs": {"diff_ids": []}, "history": [1]}',
        b'{"rootfs": {"diff_ids": []}, "config": 7}',
        b"[" * 100_000,
    ],
)
def test_an_invalid_configuration_is_an_error(content):
    with pytest.raises(DamagedError, match="it is damaged"):
        parse(content, (), "it")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists))
def test_any_json_is_an_image_or_an_error_message(value):
    parts = [{key: value} for key in ("rootfs", "history", "config", "created")]
    parts += [{"config": {"Labels": value}}, {"config": {"Env": value}}, {"history": [{"created": value}]}]
    for part in parts:
        content = {"rootfs": {"diff_ids": []}, **part}
        try:
            document = parse(json.dumps(content).encode(), (), "it")
            assert document.labels.get("x") is None
        except DamagedError as error:
            assert "it is damaged" in str(error)  # noqa: PT017 - both ends are right
