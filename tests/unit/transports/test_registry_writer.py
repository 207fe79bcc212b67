"""Blobs, manifests and tags in a registry, and what registries may answer."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    DamagedError,
    EngineError,
    EngineUnavailableError,
    NotFoundError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_access import RegistryAccess
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest, fake_registry

LAYER = b"layer" * 1000
MANIFEST = b'{"config": {"digest": "sha256:1"}}'


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", (0.01, 0.01))
    monkeypatch.setattr(registry_writer, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(registry_writer, "_LOOKS", (0, 0.01))


@pytest.fixture
def registry():
    with fake_registry() as registry:
        yield registry


@pytest.fixture
def writer(registry):
    return RegistryWriter(registry.host)


def write(writer, content=LAYER, claimed=None, chunks=None):
    sent = []
    blob = claimed or digest(content)
    writer.write_blob("team/web", blob, len(content), chunks or [content[:100], content[100:]], sent.append)
    return sent


def test_a_blob_is_uploaded_with_its_length(registry, writer):
    assert writer.blob_size("team/web", digest(LAYER)) is None
    assert write(writer) == [100, len(LAYER) - 100]
    assert registry.blobs == {("team/web", digest(LAYER)): LAYER}
    assert writer.blob_size("team/web", digest(LAYER)) == len(LAYER)


def test_the_registry_checks_the_digest(writer):
    with pytest.raises(EngineError, match=r"the upload of blob sha256:0+ to team/web with HTTP status 400"):
        write(writer, claimed="sha256:" + 64 * "0")


def test_a_blob_is_mounted_from_another_repository(registry, writer):
    registry.blobs["team/base", digest(LAYER)] = LAYER
    assert writer.mount_blob("team/web", digest(LAYER), "team/base")
    assert ("team/web", digest(LAYER)) in registry.blobs


def test_an_upload_that_replaces_a_mount_is_cancelled(registry, writer):
    registry.mounts = False
    assert not writer.mount_blob("team/web", digest(LAYER), "team/base")
    assert registry.count("DELETE", "/uploads/1") == 1


def test_a_manifest_is_written_and_read(registry, writer):
    assert writer.image_at("team/web", "1") is None
    writer.write_manifest("team/web", digest(MANIFEST), MANIFEST, "application/json")
    assert registry.tags == {}
    writer.write_manifest("team/web", "1", MANIFEST, "application/json")
    assert writer.image_at("team/web", "1") == (digest(MANIFEST), "sha256:1")
    assert writer.manifest("team/web", digest(MANIFEST)) == MANIFEST
    with pytest.raises(NotFoundError):
        writer.manifest("team/web", digest(b"other"))


def test_a_manifest_with_a_wrong_digest_is_damaged(registry, writer):
    registry.manifests["team/web", digest(MANIFEST)] = b"{}"
    registry.tags["team/web", "1"] = digest(MANIFEST)
    with pytest.raises(DamagedError, match="expected " + digest(MANIFEST)):
        writer.image_at("team/web", "1")
    with pytest.raises(DamagedError):
        writer.manifest("team/web", digest(MANIFEST))


def failing(times, status):
    """Answer the first requests with an error."""
    left = [status] * times
    return lambda _method, _path: left.pop() if left else None


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_temporary_errors_are_repeated(registry, writer, status):
    registry.fault = failing(2, status)
    assert writer.image_at("team/web", "1") is None
    assert len(registry.requests) == 3


def test_a_lasting_error_is_reported_with_the_registry_s_reason(registry, writer):
    registry.fault = failing(9, 503)
    with pytest.raises(EngineError, match=r"team/web:1 with HTTP status 503 \(made by the test\)"):
        writer.image_at("team/web", "1")
    assert len(registry.requests) == 3


def test_a_rejected_login_says_what_to_do(registry, writer):
    registry.fault = failing(9, 403)
    with pytest.raises(EngineError, match=r"403 \(made by the test\); log in with `docker login`"):
        write(writer)


def test_an_upload_is_repeated_from_its_beginning(registry, writer):
    left = [500]
    registry.fault = lambda method, _path: left.pop() if method == "PUT" and left else None
    rest = len(LAYER) - 100
    assert write(writer) == [100, rest, -len(LAYER), 100, rest]
    assert registry.count("POST", "/uploads/") == 2
    assert registry.blobs == {("team/web", digest(LAYER)): LAYER}


def test_an_upload_is_not_repeated_for_ever(registry, writer):
    registry.fault = lambda method, _path: 500 if method == "PUT" else None
    with pytest.raises(EngineUnavailableError, match="HTTP status 500"):
        write(writer)
    assert registry.count("PUT", "/uploads/") == 3


def test_a_registry_that_does_not_answer():
    sentence = r"registry 127.0.0.1:1 does not answer the request for team/web:1 \(Connection refused\)"
    with pytest.raises(EngineUnavailableError, match=sentence):
        RegistryWriter("127.0.0.1:1").image_at("team/web", "1")


def test_an_upload_to_a_different_host_is_rejected(writer):
    with (
        pytest.raises(EngineError, match=r"to a different address, evil\.example\.org/upload"),
        writer._client.request("PUT", "team/web", "https://evil.example.org/upload?token=secret", "a layer"),
    ):
        pass


def test_a_registry_without_tls_is_named_at_once(registry):
    sentence = r"registry 127.0.0.1:\d+ does not answer the request for team/web:1 \(.*(wrong version|record layer).*\)"
    with pytest.raises(EngineUnavailableError, match=sentence):
        RegistryWriter(registry.host, RegistryAccess(insecure=False)).image_at("team/web", "1")
    assert registry.requests == []


def test_a_registry_that_no_name_server_knows():
    sentence = r"registry registry.invalid does not answer the request for team/web:1 \(.*(resolution|not known).*\)"
    with pytest.raises(EngineUnavailableError, match=sentence):
        RegistryWriter("registry.invalid").image_at("team/web", "1")


def test_a_proxy_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:secret@127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    sentence = r"registry registry.invalid does not answer the request for team/web:1 \(the proxy: Connection refused\)"
    with pytest.raises(EngineUnavailableError, match=sentence):
        RegistryWriter("registry.invalid").image_at("team/web", "1")
