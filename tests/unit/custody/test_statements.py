"""Statements have exactly the form of the published messages of in-toto and SLSA, and of docs/custody.md."""

from __future__ import annotations

import json

import msgspec
import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult as Results
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement as PublishedStatement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.build_key.source_version import Commit
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.predicates import TESTED_ON, TierImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.statements import (
    gate_statement,
    provenance_statement,
    signature_statement,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import (
    Subject,
    read_statement,
    write_statement,
)
from made_records import COMMIT, CONFIG, FACTS, GATE, IMAGE, LAYER, MANIFEST, PARENT

pytestmark = pytest.mark.once


def published(statement, *extensions):
    """The statement as the messages of in-toto read it. Unknown fields are errors, except these."""
    document = json.loads(write_statement(statement))
    message = json_format.Parse(json.dumps(document), StatementMessage())
    PublishedStatement.copy_from_pb(message).validate()
    return {name: value for name, value in document["predicate"].items() if name not in extensions}


@pytest.fixture
def predicate():
    return provenance_statement(IMAGE, FACTS).predicate


def test_provenance_is_slsa_provenance():
    message = json_format.ParseDict(published(provenance_statement(IMAGE, FACTS)), Provenance())
    assert message.build_definition.build_type == "https://tierwright.github.io/tier/v1"
    assert message.run_details.metadata.started_on.ToJsonString() == "2026-11-30T01:02:03Z"
    for resource in [*message.build_definition.resolved_dependencies, *message.run_details.byproducts]:
        ResourceDescriptor.copy_from_pb(resource)
    assert all(each.uri or each.digest for each in message.build_definition.resolved_dependencies)


def test_provenance_names_source_and_builder(predicate):
    assert predicate["buildDefinition"]["externalParameters"] == {
        "chain": "shop",
        "tier": "httpd-php",
        "team": "middleware",
        "role": "httpd_php",
        "source": {
            "repository": "https://git.example.org/mid/roles.git",
            "branch": "main",
            "commit": COMMIT,
            "clean": True,
        },
    }
    assert predicate["buildDefinition"]["internalParameters"] == {
        "key": FACTS.key,
        "parts": FACTS.parts,
        "cage": {"capabilities": [], "memory": 4 << 30, "pids": 4096},
        "ansible-core": "2.19.1",
        "epoch": 1_700_000_000,
    }
    assert predicate["runDetails"] == {
        "builder": {"id": "https://tierwright.github.io/builder/ci-1", "version": {"tierwright": "0.9.0"}},
        "metadata": {
            "invocationId": "20261130T010203Z-0123abcd",
            "startedOn": "2026-11-30T01:02:03Z",
            "finishedOn": "2026-11-30T01:02:33Z",
        },
        "byproducts": [{"name": "who", "annotations": {"user": "alice", "machine": "ci-1.example.org"}}],
    }


def test_provenance_names_everything_that_the_image_was_made_from(predicate):
    assert predicate["buildDefinition"]["resolvedDependencies"] == [
        {
            "name": "parent",
            "uri": "tier:corebuild",
            "digest": {"sha256": PARENT.removeprefix("sha256:")},
            "annotations": {"manifest": f"sha256:{'ee' * 32}"},
        },
        {
            "name": "source",
            "uri": "git+https://git.example.org/mid/roles.git@refs/heads/main",
            "digest": {"gitCommit": COMMIT},
        },
        {
            "name": "collection",
            "uri": "pkg:ansible/community.general@10.1.0",
            "digest": {"tierwright": "cd" * 16},
        },
        {
            "name": "input",
            "uri": "https://deb.debian.org/debian/dists/bookworm/InRelease",
            "digest": {"tierwright": "ef" * 16},
        },
    ]


@pytest.mark.parametrize(
    ("changes", "source", "dependency"),
    [
        ({"commit": None, "source": None}, None, None),
        (
            {"role": "acme.site.web", "commit": Commit("1.4.0", 0, clean=False), "source": None},
            {"version": "1.4.0", "clean": False},
            {"name": "source", "uri": "pkg:ansible/acme.site@1.4.0"},
        ),
        ({"commit": Commit("v2", 0), "source": None}, {"version": "v2", "clean": True}, None),
        (
            {"source": msgspec.structs.replace(FACTS.source, repository="", branch="")},
            {"repository": "", "branch": "", "commit": COMMIT, "clean": True},
            {"name": "source", "digest": {"gitCommit": COMMIT}},
        ),
    ],
    ids=["unknown", "collection", "installed role", "no remote"],
)
def test_the_source_of_a_role_that_is_not_in_a_usual_repository(changes, source, dependency):
    statement = provenance_statement(IMAGE, msgspec.structs.replace(FACTS, **changes))
    json_format.ParseDict(published(statement), Provenance())
    definition = statement.predicate["buildDefinition"]
    assert definition["externalParameters"].get("source") == source
    found = [each for each in definition["resolvedDependencies"] if each["name"] == "source"]
    assert found == ([dependency] if dependency else [])


@pytest.mark.parametrize(("role", "around"), [(False, True), (True, False)])
def test_a_source_is_clean_only_if_all_files_are(role, around):
    facts = msgspec.structs.replace(
        FACTS, commit=Commit(COMMIT, 0, clean=role), source=msgspec.structs.replace(FACTS.source, clean=around)
    )
    definition = provenance_statement(IMAGE, facts).predicate["buildDefinition"]
    assert definition["externalParameters"]["source"]["clean"] is False


def test_the_provenance_of_a_base_has_no_role_and_no_parent():
    facts = msgspec.structs.replace(FACTS, role=None, commit=None, source=None, cage={}, ansible_core="", parent=None)
    statement = provenance_statement(IMAGE, facts)
    json_format.ParseDict(published(statement), Provenance())
    definition = statement.predicate["buildDefinition"]
    assert set(definition["externalParameters"]) == {"chain", "tier", "team"}
    assert set(definition["internalParameters"]) == {"key", "parts", "epoch"}
    assert {each["name"] for each in definition["resolvedDependencies"]} == {"collection", "input"}


def test_a_build_with_the_same_content_names_what_it_really_made():
    statement = provenance_statement(IMAGE, msgspec.structs.replace(FACTS, built=f"sha256:{'12' * 32}"))
    message = json_format.ParseDict(published(statement), Provenance())
    assert [each.name for each in message.run_details.byproducts] == ["who", "same content"]
    assert message.run_details.byproducts[1].digest["sha256"] == "12" * 32


def test_a_gate_is_a_test_result():
    statement = gate_statement(IMAGE, GATE)
    message = json_format.ParseDict(published(statement, TESTED_ON), Results())
    assert (message.result, list(message.passed_tests)) == ("PASSED", list(GATE.passed))
    assert list(message.warned_tests) == list(GATE.skipped)
    assert list(message.failed_tests) == []
    for resource in message.configuration:
        ResourceDescriptor.copy_from_pb(resource).validate()
    assert statement.predicate[TESTED_ON] == "2026-11-30T01:03:00Z"
    assert statement.predicate["configuration"][1:] == [
        {
            "name": "tests of corebuild",
            "digest": {"sha256": "22" * 32},
            "annotations": {
                "tier": "corebuild",
                "team": "operations",
                "kind": "contract",
                "origin": f"registry.example.org/core@{PARENT}",
            },
        },
        {"name": "neighbour mariadb", "digest": {"sha256": "db" * 32}, "annotations": {"kind": "neighbour"}},
    ]


@pytest.mark.parametrize(
    ("kind", "contracts", "said"), [("own", True, None), ("own", False, "none"), ("contract", False, None)]
)
def test_a_gate_says_if_a_tier_has_no_contracts(kind, contracts, said):
    folder = msgspec.structs.replace(GATE.folders[0], kind=kind, contracts=contracts)
    statement = gate_statement(IMAGE, msgspec.structs.replace(GATE, folders=(folder,)))
    assert statement.predicate["configuration"][0]["annotations"].get("contracts") == said


def test_a_failed_test_fails_the_gate():
    assert gate_statement(IMAGE, msgspec.structs.replace(GATE, failed=("x",))).predicate["result"] == "FAILED"


@pytest.mark.parametrize("statement", [provenance_statement(IMAGE, FACTS), gate_statement(IMAGE, GATE)])
def test_the_subjects_are_image_configuration_and_own_layer(statement):
    assert statement.subjects == (
        Subject("httpd-php", MANIFEST),
        Subject("config", CONFIG),
        Subject("layer", LAYER),
    )


def test_an_image_without_its_own_layer_has_no_such_subject():
    subjects = TierImage("base", MANIFEST, CONFIG, ()).subjects()
    assert subjects == (Subject("base", MANIFEST), Subject("config", CONFIG))


def test_a_signature_is_the_statement_of_cosign():
    assert json.loads(write_statement(signature_statement(MANIFEST))) == {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "subject": [{"digest": {"sha256": MANIFEST.removeprefix("sha256:")}}],
        "predicate": {},
    }


def test_equal_facts_give_equal_bytes():
    shuffled = msgspec.structs.replace(FACTS, parts=dict(reversed(FACTS.parts.items())))
    first, second = (write_statement(provenance_statement(IMAGE, each)) for each in (FACTS, shuffled))
    assert first == second
    assert read_statement(first, "x").digests() == {MANIFEST, CONFIG, LAYER}
