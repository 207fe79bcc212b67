"""Facts about builds and tests come back as they were noted; the addresses in them have no credentials."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.outside_inputs import DigestedInput
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.parts import digest_key
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.chain.tier import Bootstrap, Cage, Import, Pull
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import build_facts
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.build_facts import (
    BuildTools,
    Material,
    collect_facts,
    digest_set,
    note_facts,
    noted_facts,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.gate_facts import note_gate, noted_gate
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.record_store import LocalRecords
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.plan.decision import Action
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.plan_records import Planned
from made_records import CONFIG, FACTS, GATE

pytestmark = pytest.mark.once

SUM = f"sha256:{'5a' * 32}"


@pytest.fixture
def records(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return LocalRecords()


def test_facts_come_back(records):
    note_facts(records, CONFIG, FACTS)
    note_gate(records, CONFIG, GATE)
    assert noted_facts(records, CONFIG) == FACTS
    assert noted_gate(records, CONFIG) == GATE


def test_tests_that_failed_do_not_replace_those_that_passed(records):
    note_gate(records, CONFIG, msgspec.structs.replace(GATE, failed=("x",)))
    assert noted_gate(records, CONFIG) is None
    note_gate(records, CONFIG, GATE)
    note_gate(records, CONFIG, msgspec.structs.replace(GATE, failed=("x",)))
    assert noted_gate(records, CONFIG) == GATE


def collect(planned, parts, tools=None):
    return collect_facts(
        planned, "run", parts, epoch=5, layer=None, parent=None, began=1_700_000_000.9, tools=tools or BuildTools()
    )


@pytest.fixture
def planned(make_tier):
    def plan(name="web", parent="base", **options):
        builder = options.pop("builder", "ci-1")
        inputs = options.pop("inputs", ())
        tier = msgspec.structs.replace(make_tier(name, parent), **options)
        return Planned("shop", tier, Action.BUILD, None, {}, None, inputs=inputs, builder=builder)

    return plan


def test_a_build_is_described_by_its_plan_and_its_tools(planned):
    parts = {"parent": "sha256:1", "collection/acme.site": "1" * 32, "collection/acme.loose": "2" * 32, "role/a": "3"}
    plan = planned(cage=Cage(("KILL",)), inputs=(DigestedInput("https://example.org/x", SUM),))
    facts = collect(plan, parts, BuildTools("2.19.1", {"acme.site": "1.2.0", "acme.loose": ""}))
    assert facts.key == digest_key(parts)
    assert facts.cage == {"capabilities": ("KILL",), "memory": 4 << 30, "pids": 4096}
    assert facts.materials == (
        Material("collection", "pkg:ansible/acme.loose", {"tierwright": "2" * 32}),
        Material("collection", "pkg:ansible/acme.site@1.2.0", {"tierwright": "1" * 32}),
        Material("input", "https://example.org/x", {"sha256": "5a" * 32}),
    )
    assert (facts.builder, facts.ansible_core) == ("ci-1", "2.19.1")
    assert facts.started == "2023-11-14T22:13:20Z"
    assert datetime.fromisoformat(facts.finished) > datetime.fromisoformat(facts.started)


def test_the_builder_is_the_machine_if_it_has_no_name(planned, monkeypatch):
    monkeypatch.setattr(build_facts, "machine", lambda: "host-7")
    assert collect(planned(builder=""), {}).builder == "host-7"


@pytest.mark.parametrize(
    ("source", "materials"),
    [
        (Pull(f"docker.io/library/debian:12@{SUM}"), [("docker://docker.io/library/debian", {"sha256": "5a" * 32})]),
        (Import("/home/alice/base.tar.xz", SUM), [("file:base.tar.xz", {"sha256": "5a" * 32})]),
        (
            Bootstrap("bookworm", mirror="https://u:p@deb.example.org/debian/", security_mirror="http://x/security"),
            [
                ("https://deb.example.org/debian/dists/bookworm", {}),
                ("https://deb.example.org/debian/dists/bookworm-updates", {}),
                ("http://x/security/dists/bookworm-security", {}),
            ],
        ),
        (Bootstrap("sid", mirror="copy:/srv/debian"), [("copy:///srv/debian/dists/sid", {})]),
    ],
    ids=["pulled", "imported", "bootstrapped", "copied"],
)
def test_a_base_is_described_by_its_source(planned, source, materials):
    facts = collect(planned("base", None, source=source, role=None), {}, BuildTools("2.19.1"))
    assert [(each.uri, dict(each.digest)) for each in facts.materials] == materials
    assert (facts.cage, facts.ansible_core, facts.role) == ({}, "", None)


def test_own_digests_are_not_called_sha256():
    assert digest_set(SUM) == {"sha256": "5a" * 32}
    assert digest_set("ab" * 16) == {"tierwright": "ab" * 16}
