"""Bundles in registries are found as cosign 3 stores them, and whatever was tampered with there does not count."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core import local_files
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody import registry_records
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.bundle_artifact import make_artifact
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.image_identity import ImageIdentity
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.registry_records import (
    RegistryPlace,
    RegistryRecords,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    DamagedError,
    EngineError,
    EngineUnavailableError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.bundle import BUNDLE, LARGEST, write_bundle
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.envelope import sign_statement
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.signing.statement import Statement, Subject
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import registry_client, registry_writer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers import EMPTY, fallback_tag
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers_writer import (
    describe_subject,
    write_referrers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_client import RegistryClient
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest, fake_registry
from made_records import KeyInMemory, made_bundle

pytestmark = pytest.mark.once

KEY = KeyInMemory()
KIND = "application/vnd.docker.distribution.manifest.v2+json"


def manifest_of(name):
    return json.dumps({"mediaType": KIND, "config": {"digest": digest(name.encode())}}).encode()


CORE, WEB = manifest_of("core"), manifest_of("web")


@pytest.fixture(autouse=True)
def folders(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(registry_client, "_DELAYS", ())
    monkeypatch.setattr(registry_writer, "_LOOKS", (0,))


@pytest.fixture
def registry():
    with fake_registry() as registry:
        registry.put("ops/core", digest(CORE), CORE)
        yield registry


@pytest.fixture(params=[True, False], ids=["referrers", "fallback tag"])
def both(registry, request):
    registry.referrers = request.param
    return registry


def attach(registry, *bundles, image=CORE, repository="ops/core"):
    """Attach bundles to an image, and return the digests of their artifacts."""
    writer = RegistryWriter(registry.host)
    registry.put(repository, digest(image), image)
    subject = describe_subject(writer, repository, digest(image))
    made = [make_artifact(bundle, "a bundle", subject) for bundle in bundles]
    write_referrers(writer, repository, digest(image), made)
    return [each.digest for each in made]


def identity(image=CORE, *, manifest=True):
    config = json.loads(image)["config"]["digest"]
    return ImageIdentity(config, digest(image) if manifest else None, (), {}, "core")


class Reader:
    """Reads the records of an image, and keeps the lines about what was skipped."""

    def __init__(self, registry, *places):
        self.lines = []
        places = places or [("ops/core", CORE)]
        client = RegistryClient(registry.host)
        self.records = RegistryRecords(
            [RegistryPlace(client, repository, digest(image)) for repository, image in places], self.lines.append
        )

    def read(self, image=None):
        return [bundle for _title, bundle in self.records.bundles(image or identity())]


def read(registry, image=None):
    return Reader(registry).read(image)


ONE, TWO = made_bundle(KEY, digest(CORE)), made_bundle(KEY, digest(CORE), "https://example.org/other/v1")


def test_bundles_are_found(both):
    attach(both, ONE, TWO)
    assert sorted(read(both)) == sorted([ONE, TWO])


def test_an_image_without_bundles(both):
    assert read(both) == []


def test_the_artifact_has_the_form_of_cosign(registry):
    (artifact,) = attach(registry, ONE)
    document = json.loads(registry.manifests["ops/core", artifact])
    assert document == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": BUNDLE,
        "config": {"mediaType": EMPTY, "digest": digest(b"{}"), "size": 2},
        "layers": [{"mediaType": BUNDLE, "digest": digest(ONE), "size": len(ONE)}],
        "subject": {"mediaType": KIND, "digest": digest(CORE), "size": len(CORE)},
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://example.org/test/v1",
            "org.opencontainers.image.created": "1970-01-01T00:00:00Z",
        },
    }


def test_the_time_of_an_artifact_is_that_of_its_statement():
    finished = {"runDetails": {"metadata": {"finishedOn": "2026-11-30T01:02:03Z"}}}
    times = [
        (finished, "2026-11-30T01:02:03Z"),
        ({"https://tierwright.github.io/tested-on": "2026-11-30T01:02:04Z"}, "2026-11-30T01:02:04Z"),
        ({"created": "2026-11-30T01:02:05Z"}, "2026-11-30T01:02:05Z"),
        ({"created": "yesterday"}, "1970-01-01T00:00:00Z"),
        ({"runDetails": [1]}, "1970-01-01T00:00:00Z"),
    ]
    for predicate, expected in times:
        statement = Statement((Subject("core", digest(CORE)),), "https://example.org/test/v1", predicate)
        bundle = write_bundle(sign_statement(statement, KEY), KEY.public_key)
        assert make_artifact(bundle, "x").annotations["org.opencontainers.image.created"] == expected


def put_index(registry, *entries, image=CORE):
    content = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    registry.put("ops/core", fallback_tag(digest(image)), content)


def listed(registry, **changes):
    """List one bundle under the fallback tag, in a changed form."""
    (artifact,) = attach(registry, ONE)
    put_index(registry, {"digest": artifact, **changes})
    return artifact


@pytest.mark.parametrize("kind", [{"artifactType": EMPTY}, {"artifactType": BUNDLE}, {}], ids=["empty", "bundle", "no"])
def test_bundles_are_found_under_the_types_that_tools_write(registry, kind):
    listed(registry, **kind)
    assert read(registry) == [ONE]


def test_artifacts_of_others_are_ignored_in_silence(registry):
    (artifact,) = attach(registry, ONE)
    other = registry.put("ops/core", digest(b'{"layers": []}'), b'{"layers": []}')
    put_index(
        registry,
        {"digest": other, "artifactType": EMPTY},
        {"digest": digest(b"gone"), "artifactType": "application/vnd.tierwright.attachment.v1"},
        {"digest": artifact, "artifactType": BUNDLE},
    )
    reader = Reader(registry)
    assert (reader.read(), reader.lines) == ([ONE], [])


def test_the_cache_serves_the_content_but_not_the_list(registry):
    attach(registry, ONE, TWO)
    assert len(read(registry)) == 2
    registry.requests.clear()
    assert len(read(registry)) == 2
    assert [path.split("/")[-2] for _method, path in registry.requests] == ["referrers", "manifests"]
    put_index(registry)
    assert read(registry) == []


def test_the_cache_is_private_and_verified(registry):
    attach(registry, ONE)
    read(registry)
    files = sorted((local_files.cache() / "bundles").iterdir())
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]
    assert files[0].parent.stat().st_mode & 0o777 == 0o700
    for path in files:
        path.write_bytes(b"changed")
    assert read(registry) == [ONE]
    assert files[0].read_bytes() == ONE


def test_a_cache_that_cannot_be_written_only_costs_time(registry):
    local_files.all_caches().write_text("a file")
    attach(registry, ONE)
    assert read(registry) == [ONE]


def flip(content):
    return content[:100] + bytes([content[100] ^ 1]) + content[101:]


def test_a_flipped_bundle_does_not_count(both):
    attach(both, ONE, TWO)
    both.blobs["ops/core", digest(ONE)] = flip(ONE)
    reader = Reader(both)
    assert reader.read() == [TWO]
    (line,) = reader.lines
    assert line.startswith("bundle sha256:")
    assert f"it has the digest {digest(flip(ONE))}, expected {digest(ONE)}" in line


def test_a_flipped_manifest_of_a_bundle_does_not_count(both):
    (artifact,) = attach(both, ONE)
    both.manifests["ops/core", artifact] = both.manifests["ops/core", artifact].replace(b"envelope", b"envelopE")
    reader = Reader(both)
    assert reader.read() == []
    assert f"expected {artifact}; it is ignored" in reader.lines[0]


def test_a_bundle_of_a_different_image_does_not_count(registry):
    (theirs,) = attach(registry, made_bundle(KEY, digest(WEB)), image=WEB)
    (own,) = attach(registry, ONE)
    put_index(registry, {"digest": theirs, "artifactType": BUNDLE}, {"digest": own, "artifactType": BUNDLE})
    reader = Reader(registry)
    assert reader.read() == [ONE]
    assert f"{theirs} of ops/core@{digest(CORE)}" in reader.lines[0]
    assert "belongs to a different image" in reader.lines[0]


def test_a_bundle_that_was_removed_does_not_count(registry):
    artifact = listed(registry, artifactType=BUNDLE)
    del registry.manifests["ops/core", artifact]
    reader = Reader(registry)
    assert reader.read() == []
    assert "registry" in reader.lines[0]
    assert artifact in reader.lines[0]


def forge(registry, **changes):
    """List a bundle whose manifest is changed."""
    artifact = listed(registry)
    document = {**json.loads(registry.manifests["ops/core", artifact]), **changes}
    forged = registry.put("ops/core", digest(json.dumps(document).encode()), json.dumps(document).encode())
    put_index(registry, {"digest": forged, "artifactType": BUNDLE})


def layer(**changes):
    return {"layers": [{"mediaType": BUNDLE, "digest": digest(ONE), "size": len(ONE), **changes}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (layer(size=1 << 30), f"it says that its bundle has {1 << 30} bytes; at most {LARGEST} are allowed"),
        (layer(size=10**400), "at most"),
        (layer(size=len(ONE) - 1), f"larger than its limit of {len(ONE) - 1} bytes"),
        (layer(size=-1), "the size -1"),
        (layer(size=True), "the size True"),
        (layer(size="7"), "the size '7'"),
        (layer(digest="../../etc/passwd"), "the digest '../../etc/passwd'"),
        (layer(digest=7), "the digest 7"),
        (layer(digest=digest(b"gone")), "has no bundle"),
        ({"subject": None}, "belongs to a different image"),
        ({"subject": [digest(CORE)]}, "belongs to a different image"),
        ({"subject": {"digest": digest(WEB)}}, "belongs to a different image"),
    ],
)
def test_a_forged_artifact_does_not_count(registry, changes, message):
    forge(registry, **changes)
    reader = Reader(registry)
    assert reader.read() == []
    assert message in reader.lines[0]


def test_a_claimed_gigabyte_is_not_downloaded(registry):
    forge(registry, **layer(size=1 << 30))
    before = registry.count("GET", "/blobs/")
    read(registry)
    assert registry.count("GET", "/blobs/") == before


def test_too_many_bundles_are_an_error_before_one_is_read(registry):
    put_index(registry, *({"digest": digest(b"%d" % each), "artifactType": BUNDLE} for each in range(10_000)))
    with pytest.raises(DamagedError, match="has 10000 bundles; at most 1000 are allowed"):
        read(registry)
    assert registry.count("GET", "/manifests/sha256:") == 0


def test_bundles_that_are_too_large_together_are_an_error(registry, monkeypatch):
    monkeypatch.setattr(registry_records, "_LARGEST_TOTAL", len(ONE) + 10)
    attach(registry, ONE, TWO)
    with pytest.raises(DamagedError, match="have more than"):
        read(registry)


@pytest.mark.parametrize("part", ["/referrers/", "/manifests/sha256-", "/manifests/sha256:", "/blobs/"])
def test_a_registry_that_fails_is_an_error_and_not_a_missing_bundle(registry, part):
    attach(registry, ONE)
    registry.fault = lambda _method, path: 500 if part in path else None
    with pytest.raises(EngineUnavailableError, match="HTTP status 500"):
        read(registry)


def test_a_registry_that_refuses_is_an_error(registry):
    attach(registry, ONE)
    registry.fault = lambda _method, path: 403 if "/blobs/" in path else None
    with pytest.raises(EngineError, match="HTTP status 403"):
        read(registry)


def test_an_ancestor_is_found_in_its_own_repository(registry):
    other = made_bundle(KEY, digest(WEB))
    attach(registry, ONE)
    attach(registry, other, image=WEB, repository="mid/web")
    reader = Reader(registry, ("mid/web", WEB), ("ops/core", CORE))
    assert reader.read(identity(WEB)) == [other]
    assert reader.read(identity(CORE)) == [ONE]


def test_an_image_without_known_manifest_is_found_by_its_configuration(registry):
    attach(registry, ONE)
    attach(registry, made_bundle(KEY, digest(WEB)), image=WEB, repository="mid/web")
    reader = Reader(registry, ("mid/web", WEB), ("ops/core", CORE))
    assert reader.read(identity(CORE, manifest=False)) == [ONE]


def test_an_ancestor_without_repository_is_found_in_that_of_its_descendant(registry):
    other = made_bundle(KEY, digest(CORE))
    attach(registry, made_bundle(KEY, digest(WEB)), image=WEB, repository="mid/web")
    attach(registry, other, repository="mid/web")
    assert Reader(registry, ("mid/web", WEB)).read(identity(CORE)) == [other]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([digest(CORE), BUNDLE, EMPTY]),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from(["digest", "artifactType", "layers", "mediaType", "subject", "size", "manifests"]), values
        )
    ),
    max_leaves=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(index={"digest": digest(CORE), "artifactType": [0]}, document=None)
@given(index=_JSON, document=_JSON)
def test_wild_lists_and_manifests_never_break_the_reader(registry, index, document):
    content = json.dumps(document).encode()
    registry.put("ops/core", digest(content), content)
    registry.put(
        "ops/core",
        fallback_tag(digest(CORE)),
        json.dumps({"manifests": [{"digest": digest(content)}, index]} if isinstance(index, dict) else index).encode(),
    )
    with suppress(DamagedError):
        assert read(registry) == []
