from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import layers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import Step, parse
from made_images import config, digest, layer, ours, step

ONE, TWO = layer(("a", b"1")), layer(("b", b"2"))


def test_whose_a_layer_is():
    told = config([ONE, TWO], [ours("base", "operations"), step("ENV x", empty=True), ours("web", "middleware")])
    document = parse(told, ("web:latest",), "it")
    assert document.id == digest(told)
    assert [(each.number, each.tier, each.team, each.role) for each in layers(document)] == [
        (1, "base", "operations", "base"),
        (2, "web", "middleware", "web"),
    ]
    assert layers(document)[1].created == "2026-01-02T03:04:05Z"


def test_a_command_that_only_looks_like_ours():
    for by in ("RUN echo tierwright: tier web: role web", "tierwright: tier web", ""):
        assert Step(0, by, "team x", "x", empty=False).tier is None
        assert Step(0, by, "team x", "x", empty=False).team is None


def test_what_follows_a_role():
    for commit, revision in (("", None), (" at 4a936f66cfe4", "4a936f66cfe4")):
        for allowed in ("", ", with capability SYS_ADMIN"):
            made = Step(0, f"tierwright: tier web: role team.web.web{commit}{allowed}", "team x", "", empty=False)
            assert (made.tier, made.role, made.revision) == ("web", "team.web.web", revision)


def test_a_base_has_no_role():
    base = Step(0, "tierwright: tier base: debian bookworm", "", "operations", empty=False)
    assert (base.tier, base.team, base.role) == ("base", "operations", None)


def test_a_history_that_does_not_match_says_nothing():
    for steps in ([], [step("one")], [step("one"), step("two"), step("three")]):
        document = parse(config([ONE, TWO], steps), (), "it")
        assert [(each.created_by, each.called) for each in layers(document)] == [(None, "layer 1"), (None, "layer 2")]


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
def test_what_is_no_configuration(content):
    with pytest.raises(DamagedError, match="it is damaged"):
        parse(content, (), "it")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists))
def test_any_json_is_an_image_or_a_sentence(value):
    parts = [{key: value} for key in ("rootfs", "history", "config", "created")]
    parts += [{"config": {"Labels": value}}, {"config": {"Env": value}}, {"history": [{"created": value}]}]
    for part in parts:
        told = {"rootfs": {"diff_ids": []}, **part}
        try:
            document = parse(json.dumps(told).encode(), (), "it")
            assert document.labels.get("x") is None
        except DamagedError as error:
            assert "it is damaged" in str(error)  # noqa: PT017 - both ends are right
