"""Attachments are found, verified and kept; hostile ones are rejected."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import DamagedError, NotFoundError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover import attachments
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.attachments import (
    PublishedParent,
    PublishedPlace,
    find_attachment,
    list_attachments,
    read_attachment,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.tests_archive import (
    PackedFile,
    pack,
    unpack,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.upstream import upstream_ancestors
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.attach import attach
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.referrers import fallback_tag
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_client import RegistryClient
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest, fake_registry

TESTS = {
    "test_contract.py": PackedFile(b"def test(): pass\n"),
    "conftest.py": PackedFile(b"\n"),
    "data/tool": PackedFile(b"#!/bin/sh\n", executable=True),
}
PLACE = PublishedPlace("core", "operations", "shop", None, ("etc/ssl",))
IMAGE = b'{"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {}}'


@pytest.fixture(params=[True, False], ids=["referrers", "fallback tag"])
def both(registry, request):
    registry.referrers = request.param
    return registry


def publish(registry, place=PLACE, tests=TESTS, repository="ops/core", image=IMAGE):
    manifest = registry.put(repository, digest(image), image)
    return manifest, attach(RegistryWriter(registry.host), repository, manifest, place, tests)


def find(registry, manifest, repository="ops/core"):
    return find_attachment(RegistryClient(registry.host), repository, manifest)


def test_an_attachment_is_found_with_its_tests_and_place(both):
    manifest, attachment = publish(both)
    found = find(both, manifest)
    assert (found.digest, found.subject, found.place) == (attachment, manifest, PLACE)
    assert (found.tests / "test_contract.py").read_bytes() == b"def test(): pass\n"
    assert (found.tests / "data/tool").stat().st_mode & 0o777 == 0o700
    assert ("ops/core", fallback_tag(manifest)) in both.tags or both.referrers


def test_an_image_without_attachment(both):
    assert find(both, both.put("ops/core", digest(IMAGE), IMAGE)) is None


def test_a_tier_without_tests(both):
    manifest, _ = publish(both, tests={})
    assert find(both, manifest).tests is None


def test_the_same_attachment_is_written_once(both):
    manifest, first = publish(both)
    writes = both.count("PUT", "/")
    assert publish(both) == (manifest, first)
    assert both.count("PUT", "/") == writes


def test_equal_attachments_have_equal_bytes(registry):
    with fake_registry() as other:
        assert publish(registry) == publish(other, tests=dict(reversed(TESTS.items())))


def test_changed_tests_replace_the_attachment_and_keep_the_old_one(both):
    manifest, first = publish(both)
    changed = {**TESTS, "test_contract.py": PackedFile(b"def test_more(): pass\n")}
    _, second = publish(both, tests=changed)
    assert second != first
    assert find(both, manifest).digest == second
    assert read_attachment(RegistryClient(both.host), "ops/core", manifest, first).digest == first
    _, third = publish(both)
    assert third not in {first, second}
    assert find(both, manifest).digest == third


def test_entries_of_others_stay_under_the_fallback_tag(registry):
    manifest = registry.put("ops/core", digest(IMAGE), IMAGE)
    theirs = {"mediaType": "m", "digest": digest(b"signature"), "size": 9, "artifactType": "signature", "x": 1}
    registry.put("ops/core", fallback_tag(manifest), json.dumps({"schemaVersion": 2, "manifests": [theirs]}).encode())
    publish(registry)
    index = json.loads(registry.manifests["ops/core", registry.tags["ops/core", fallback_tag(manifest)]])
    assert index["manifests"][0] == theirs
    assert len(index["manifests"]) == 2


def test_a_publication_that_was_killed_before_the_tag_is_finished(registry):
    manifest, attachment = publish(registry)
    del registry.tags["ops/core", fallback_tag(manifest)]
    assert find(registry, manifest) is None
    publish(registry)
    assert find(registry, manifest).digest == attachment


def test_the_cache_serves_without_the_registry(registry):
    manifest, attachment = publish(registry)
    find(registry, manifest)
    registry.requests.clear()
    assert read_attachment(RegistryClient(registry.host), "ops/core", manifest, attachment).place == PLACE
    assert registry.requests == []


def change_content(tests):
    (tests / "conftest.py").write_bytes(b"import os\n")


def add_a_file(tests):
    (tests / "test_more.py").write_bytes(b"")


def add_a_link(tests):
    (tests / "link").symlink_to("/etc/passwd")


def make_executable(tests):
    (tests / "conftest.py").chmod(0o700)


def change_place(tests):
    (tests.parent / "place.json").write_bytes(b"{}")


@pytest.mark.parametrize("change", [change_content, add_a_file, add_a_link, make_executable, change_place])
def test_a_changed_cache_is_downloaded_again(registry, change):
    manifest, attachment = publish(registry)
    change(find(registry, manifest).tests)
    again = read_attachment(RegistryClient(registry.host), "ops/core", manifest, attachment)
    assert sorted(path.name for path in again.tests.iterdir()) == ["conftest.py", "data", "test_contract.py"]
    assert (again.tests / "conftest.py").read_bytes() == b"\n"


def test_an_attachment_of_a_different_image_is_rejected(registry):
    _, attachment = publish(registry)
    other = registry.put("ops/core", digest(IMAGE + b" "), IMAGE + b" ")
    with pytest.raises(DamagedError, match="belongs to a different image"):
        read_attachment(RegistryClient(registry.host), "ops/core", other, attachment)


def hostile(registry, **changes):
    """Publish, replace parts of the attachment's manifest, and list the result."""
    manifest, attachment = publish(registry)
    document = {**json.loads(registry.manifests["ops/core", attachment]), **changes}
    forged = registry.put("ops/core", digest(json.dumps(document).encode()), json.dumps(document).encode())
    entry = {"digest": forged, "artifactType": attachments.ARTIFACT, "annotations": {attachments.REVISION: "9"}}
    registry.put("ops/core", fallback_tag(manifest), json.dumps({"manifests": [entry]}).encode())
    return manifest


def layer(registry, kind, content):
    registry.blobs["ops/core", digest(content)] = content
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def place_layer(registry, content=None):
    good = b'{"tier": "core", "team": "operations", "chain": "shop", "parent": null, "protects": []}'
    return layer(registry, attachments.PLACE, good if content is None else content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"artifactType": "other"}, "has the type 'other'"),
        ({"subject": {"digest": "sha256:" + "0" * 64}}, "belongs to a different image"),
        ({"subject": ["x"]}, "belongs to a different image"),
        ({"layers": None}, "its layers are not"),
        ({"layers": [1]}, "its layers are not"),
        ({"layers": []}, "its layers are not"),
        ({"layers": [{"mediaType": attachments.PLACE, "digest": "../../etc"}]}, "its layers are not"),
        ({"layers": [{"mediaType": ["x"], "digest": "sha256:" + "0" * 64}]}, "its layers are not"),
    ],
)
def test_a_hostile_manifest_is_rejected(registry, changes, message):
    manifest = hostile(registry, **changes)
    with pytest.raises(DamagedError, match=message):
        find(registry, manifest)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"tier": 1, "team": "a", "chain": "b", "parent": null, "protects": []}',
        b'{"tier": "a\\u001b[31m", "team": "a", "chain": "b", "parent": null, "protects": []}',
        b'{"tier": "", "team": "a", "chain": "b", "parent": null, "protects": []}',
        b'{"tier": "a", "team": "a", "chain": "b", "parent": {"image": "core", "digest": "x"}, "protects": []}',
        b'{"tier": "a", "team": "a", "chain": "b", "parent": {"image": "h.test/core", "digest": "x"}, "protects": []}',
        b'{"tier": "%s", "team": "a", "chain": "b", "parent": null, "protects": []}' % (b"a" * 300),
        b" " * (2 << 20),
    ],
)
def test_a_hostile_place_is_rejected(registry, content):
    manifest = hostile(registry, layers=[place_layer(registry, content)])
    with pytest.raises(DamagedError):
        find(registry, manifest)


def test_a_blob_with_a_different_digest_is_rejected(registry):
    manifest, _ = publish(registry)
    for key in registry.blobs:
        registry.blobs[key] += b" "
    with pytest.raises(DamagedError, match="it has the digest"):
        find(registry, manifest)
    assert not any((attachments.local_files.cache() / "attachments").glob("*"))


@pytest.mark.parametrize(
    "index",
    [
        b"[]",
        b"x",
        b'{"manifests": [1]}',
        b'{"manifests": [{"artifactType": "application/vnd.tierwright.attachment.v1", "digest": "../x"}]}',
    ],
)
def test_a_hostile_list_is_rejected(registry, index):
    manifest, _ = publish(registry)
    registry.put("ops/core", fallback_tag(manifest), index)
    with pytest.raises(DamagedError):
        find(registry, manifest)


@pytest.mark.parametrize("number", ["-1", "1" * 5000, "x", 7, "²"])
def test_a_hostile_number_is_rejected(registry, number):
    manifest, attachment = publish(registry)
    entry = {"digest": attachment, "artifactType": attachments.ARTIFACT, "annotations": {attachments.REVISION: number}}
    registry.put("ops/core", fallback_tag(manifest), json.dumps({"manifests": [entry]}).encode())
    with pytest.raises(DamagedError, match="with number"):
        list_attachments(RegistryClient(registry.host), "ops/core", manifest)


def archive(*members, content=b"x", kind=tarfile.REGTYPE, form=tarfile.USTAR_FORMAT, **fields):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o644
            for field, value in fields.items():
                setattr(info, field, value)
            info.size = len(content) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        archive("../x"),
        archive("a/../../x"),
        archive("/etc/cron.d/x"),
        archive("a//x"),
        archive("./x"),
        archive("a" * 2000, form=tarfile.PAX_FORMAT),
        archive("x", kind=tarfile.SYMTYPE, linkname="/etc"),
        archive("x", kind=tarfile.LNKTYPE, linkname="/etc/passwd"),
        archive("x", kind=tarfile.FIFOTYPE),
        archive("x", kind=tarfile.CHRTYPE),
        archive("x", uid=1),
        archive("x", mtime=1),
        archive("x", mode=0o4755),
        archive("x", "x"),
        archive("b", "a"),
        archive("x", pax_headers={"path": "../x"}, form=tarfile.PAX_FORMAT),
        archive("x", "x/y"),
        pack(TESTS) + b"\0" * 512,
        pack(TESTS)[:600],
        pack(TESTS)[:-1],
        b"",
        b"\x1f\x8b" + b"\0" * 1000,
        b"x" * 10240,
        b"\0" * (17 << 20),
    ],
)
def test_a_hostile_archive_is_rejected(content):
    with pytest.raises(DamagedError, match="cannot be accepted"):
        unpack(content, "the tests")


def test_an_archive_is_read_back():
    assert unpack(pack(TESTS), "the tests") == TESTS
    assert pack(TESTS) == pack(dict(reversed(TESTS.items())))


def test_a_hostile_archive_writes_nothing(registry, tmp_path):
    tests = layer(registry, attachments.TESTS, archive("../../../x"))
    manifest = hostile(registry, layers=[place_layer(registry), tests])
    with pytest.raises(DamagedError, match="cannot be accepted"):
        find(registry, manifest)
    assert not list(tmp_path.rglob("x"))
    assert not any((attachments.local_files.cache() / "attachments").glob("*"))


def chain_of(registry, length):
    """Publish tiers t0, t1 … each on the one before."""
    parent, published = None, []
    for number in range(length):
        place = PublishedPlace(f"t{number}", "operations", "shop", parent, ())
        manifest, _ = publish(registry, place, repository=f"ops/t{number}", image=IMAGE + b" " * number)
        parent = PublishedParent(f"{registry.host}/ops/t{number}", manifest)
        published.append(parent)
    return published


def ancestors(registry, image):
    attachment = find(registry, image.digest, image.image.partition("/")[2])
    return upstream_ancestors(RegistryClient, image, attachment)


def test_ancestors_are_followed_also_into_other_registries(registry):
    with fake_registry() as other:
        above = chain_of(other, 2)
        place = PublishedPlace("web", "middleware", "web", above[-1], ())
        manifest, _ = publish(registry, place, repository="mid/web", image=IMAGE + b" " * 7)
        found = ancestors(registry, PublishedParent(f"{registry.host}/mid/web", manifest))
    assert [each.attachment.place.tier for each in found] == ["t1", "t0"]
    assert [each.image for each in found] == [above[1], above[0]]


def test_a_cycle_of_ancestors_is_rejected(registry):
    image = registry.put("ops/core", digest(IMAGE), IMAGE)
    itself = PublishedParent(f"{registry.host}/ops/core", image)
    publish(registry, PublishedPlace("core", "operations", "shop", itself, ()))
    with pytest.raises(DamagedError, match=r"'core' of team operations .* is its own ancestor"):
        ancestors(registry, itself)


def test_too_many_ancestors_are_rejected(registry, monkeypatch):
    monkeypatch.setattr("ansible_collections.tierwright.chain.plugins.plugin_utils._core.handover.upstream._MOST", 3)
    with pytest.raises(DamagedError, match="more than 3 ancestors"):
        ancestors(registry, chain_of(registry, 5)[-1])


def test_an_ancestor_without_attachment_is_an_error(registry):
    missing = PublishedParent(f"{registry.host}/ops/gone", "sha256:" + "1" * 64)
    manifest, _ = publish(registry, PublishedPlace("core", "operations", "shop", missing, ()))
    with pytest.raises(NotFoundError, match=r"'core' of team operations .* publish it again"):
        ancestors(registry, PublishedParent(f"{registry.host}/ops/core", manifest))


def test_an_upstream_team_cannot_send_a_reader_to_its_own_machine(registry):
    manifest, _ = publish(
        registry,
        PublishedPlace("core", "operations", "shop", PublishedParent("localhost:1/x", "sha256:" + "1" * 64), ()),
    )
    attachment = find(registry, manifest)
    image = PublishedParent("registry.example.org/ops/core", manifest)
    with pytest.raises(DamagedError, match="names a parent in a registry on this machine"):
        upstream_ancestors(RegistryClient, image, attachment)
