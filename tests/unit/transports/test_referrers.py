"""What refers to a manifest is read from both lists of a registry, and hostile lists are rejected."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError, EngineUnavailableError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers import (
    fallback_tag,
    fetch,
    list_referrers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers_writer import (
    Artifact,
    describe_subject,
    write_artifact,
    write_referrers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_client import RegistryClient
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest, fake_registry

pytestmark = pytest.mark.once

IMAGE = b'{"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {}}'
KIND = "application/vnd.example.note"


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))
    with fake_registry() as registry:
        registry.put("ops/core", digest(IMAGE), IMAGE)
        yield registry


@pytest.fixture(params=[True, False], ids=["referrers", "fallback tag"])
def both(registry, request):
    registry.referrers = request.param
    return registry


def artifacts(registry, *texts):
    subject = describe_subject(RegistryWriter(registry.host), "ops/core", digest(IMAGE))
    return [Artifact(KIND, {"text/plain": text}, {"number": str(number)}, subject) for number, text in enumerate(texts)]


def write(registry, *texts):
    made = artifacts(registry, *texts)
    write_referrers(RegistryWriter(registry.host), "ops/core", digest(IMAGE), made)
    return [each.digest for each in made]


def listed(registry, kinds=(KIND,)):
    return list_referrers(RegistryClient(registry.host), "ops/core", digest(IMAGE), kinds, "notes")


def put_index(registry, *entries):
    content = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    registry.put("ops/core", fallback_tag(digest(IMAGE)), content)


def test_all_artifacts_are_listed_with_their_annotations(both):
    written = write(both, b"one", b"two")
    found = listed(both)
    assert [each.digest for each in found] == written
    assert [each.annotations for each in found] == [{"number": "0"}, {"number": "1"}]


def test_several_artifacts_are_one_change_of_the_tag(registry):
    write(registry, b"one", b"two", b"three")
    assert registry.count("PUT", f"/manifests/{fallback_tag(digest(IMAGE))}") == 1


def test_artifacts_that_were_listed_before_the_registry_had_the_api_are_found(registry):
    old = write(registry, b"old")
    registry.manifests["elsewhere", old[0]] = registry.manifests.pop(("ops/core", old[0]))
    registry.referrers = True
    new = write(registry, b"new")
    assert {each.digest for each in listed(registry)} == {*old, *new}


def test_artifacts_of_other_types_are_ignored(both):
    write(both, b"one")
    assert listed(both, {"other"}) == []


def test_an_entry_without_type_is_found_as_such(registry):
    put_index(registry, {"digest": digest(b"x")}, {"digest": digest(b"y"), "artifactType": None})
    assert [each.digest for each in listed(registry, {""})] == [digest(b"x"), digest(b"y")]


@pytest.mark.parametrize("wanted", ["../../x", 7, None, ["sha256:" + "0" * 64], "sha512:" + "0" * 128])
def test_an_entry_without_a_digest_is_rejected_unless_it_is_of_another_type(registry, wanted):
    put_index(registry, {"digest": wanted, "artifactType": KIND})
    with pytest.raises(DamagedError, match="the list of notes of ops/core"):
        listed(registry)
    assert listed(registry, {"other"}) == []


def test_too_many_artifacts_are_rejected_before_one_is_read(registry):
    put_index(registry, *({"digest": digest(b"%d" % number), "artifactType": KIND} for number in range(10_000)))
    before = len(registry.requests)
    with pytest.raises(DamagedError, match="has 10000 notes; at most 1000 are allowed; remove those"):
        listed(registry)
    assert len(registry.requests) == before + 2


def test_too_many_entries_of_others_are_rejected(registry):
    put_index(registry, *({"digest": "x"} for _number in range(20_001)))
    with pytest.raises(DamagedError, match="has 20001 entries"):
        listed(registry)


def test_a_list_without_end_is_rejected(registry):
    def endless(request):
        if "/referrers/" not in request.path:
            return False
        request.answer(200, b'{"manifests": []}', {"Link": f'<{request.path}>; rel="next"'})
        return True

    registry.wild = endless
    with pytest.raises(DamagedError, match="more than 20 pages"):
        listed(registry)


@pytest.mark.parametrize("part", ["/referrers/", "/manifests/sha256-"])
def test_a_registry_that_fails_has_no_empty_list(registry, part):
    registry.fault = lambda _method, path: 500 if part in path else None
    with pytest.raises(EngineUnavailableError, match="HTTP status 500"):
        listed(registry)


def test_a_blob_that_grows_is_cut_off(registry):
    registry.blobs["ops/core", digest(b"x")] = b"x" * 1000
    with pytest.raises(DamagedError, match="larger than its limit of 999 bytes"):
        fetch(RegistryClient(registry.host), "ops/core", "blobs", digest(b"x"), "note", 999)


def test_an_artifact_without_subject_is_written_under_a_tag_once(registry):
    writer, artifact = RegistryWriter(registry.host), Artifact(KIND, {"text/plain": b"x"}, {})
    assert not write_artifact(writer, "ops/core", artifact, "note")
    assert registry.tags["ops/core", "note"] == artifact.digest
    document = json.loads(artifact.manifest)
    assert document["artifactType"] == KIND
    assert "subject" not in document
    assert "annotations" not in document
    sent = registry.count("POST", "/uploads/")
    write_artifact(writer, "ops/core", artifact)
    assert registry.count("POST", "/uploads/") == sent
