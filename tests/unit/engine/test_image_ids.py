"""The names of images on an engine with containerd's store, and how their IDs are found."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import image_ids, system
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.image_ids import ImageNames
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError

OURS = {"io.tierwright.tier": "web"}
AMD, ARM, UNKNOWN = (
    {"os": system, "architecture": machine}
    for system, machine in (("linux", "amd64"), ("linux", "arm64"), ("unknown", "unknown"))
)


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def manifest(config):
    return json.dumps({"config": {"digest": digest(config)}, "layers": [{"digest": "sha256:aa", "size": 90}]}).encode()


def index(*entries):
    manifests = [{"digest": digest(content), "platform": platform, **more} for content, platform, more in entries]
    return json.dumps({"manifests": manifests}).encode()


class FakeApi:
    """Stands for the HTTP API of an engine; counts how often it packed an image."""

    def __init__(self, listed=(), archive=()):
        self.listed, self.archive, self.packed = list(listed), list(archive), 0

    def json(self, path):
        if path == "/version":
            return {"Os": "linux", "Arch": "amd64"}
        assert path == "/images/json?all=true"
        return [{"Id": image, "Labels": labels} for image, labels in self.listed]

    @contextmanager
    def stream(self, _path):
        self.packed += 1
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for content in self.archive:
                member = tarfile.TarInfo(f"blobs/sha256/{digest(content)[7:]}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        buffer.seek(0)
        yield buffer


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_ids, "_STORES", (str(tmp_path / "store"),))

    def make_names(api, kind=system.CONTAINERD, address="unix:///x"):
        return ImageNames(SimpleNamespace(address=address, http=api), lambda: kind)

    return make_names


@pytest.fixture
def store(tmp_path):
    """A function that writes a blob to the folder of containerd, and returns its digest."""
    folder = tmp_path / "store" / image_ids._BLOBS
    folder.mkdir(parents=True)

    def put(content, name=None):
        (folder / (name or digest(content))[7:]).write_bytes(content)
        return digest(content)

    return put


def test_other_engines_use_the_id_of_an_image_as_its_name(make):
    api = FakeApi()
    names = make(api, system.DOCKER)
    assert names.image_id("sha256:a") == names.engine_name("sha256:a") == "sha256:a"
    assert names.listed_id("sha256:a", OURS) == "sha256:a"
    assert names.note_loaded(manifest(b"config")) == digest(b"config")
    assert names.manifest("sha256:a") is None
    assert api.packed == 0


def test_a_local_store_is_read_directly(make, store):
    name, api = store(manifest(b"config")), FakeApi()
    assert make(api).image_id(name) == digest(b"config")
    assert api.packed == 0


def test_a_remote_engine_packs_the_image_once(make, store):
    name = store(manifest(b"config"))
    api = FakeApi(archive=[b"{}", manifest(b"config"), b"a layer"])
    assert make(api, address="tcp://host:2375").image_id(name) == digest(b"config")
    assert make(api, address="tcp://host:2375").image_id(name) == digest(b"config")  # from the cache
    assert api.packed == 1


def test_content_that_does_not_match_its_digest_is_ignored(make, store, tmp_path):
    name = digest(manifest(b"config"))
    store(manifest(b"another"), name)
    cache = tmp_path / "cache/tierwright/manifests"
    cache.mkdir(parents=True)
    (cache / name[7:]).write_bytes(manifest(b"a third one"))
    api = FakeApi(archive=[manifest(b"config")])
    assert make(api).image_id(name) == digest(b"config")


def test_the_manifest_for_the_platform_of_the_engine_is_used(make):
    matching, other = manifest(b"amd"), manifest(b"arm")
    attestation = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    image_index = index((manifest(b"of the attestation"), UNKNOWN, attestation), (other, ARM, {}), (matching, AMD, {}))
    api = FakeApi(archive=[image_index, matching])
    assert make(api).image_id(digest(image_index)) == digest(b"amd")


@pytest.mark.parametrize("content", [index((manifest(b"arm"), ARM, {})), b"[]", b"not JSON", b'{"config": 5}'])
def test_an_image_that_cannot_be_read_is_reported(make, content):
    with pytest.raises(EngineError, match=r"has no manifest of it for its own platform; pull or load it again"):
        make(FakeApi(archive=[content])).image_id(digest(content))


def test_a_damaged_archive_is_reported(make):
    api = FakeApi()
    api.stream = lambda _path: nullcontext(io.BytesIO(b"no archive" * 100))
    with pytest.raises(EngineError, match="the archive that the engine packs is damaged"):
        make(api).image_id(f"sha256:{'0' * 64}")


def test_only_images_of_chains_are_packed_for_a_list(make):
    content = manifest(b"mine")
    api = FakeApi(archive=[content])
    names = make(api)
    assert names.listed_id("sha256:foreign", {"maintainer": "somebody"}) == "sha256:foreign"
    assert names.listed_id("sha256:foreign", None) == "sha256:foreign"
    assert api.packed == 0
    assert names.listed_id(digest(content), OURS) == digest(b"mine")
    assert api.packed == 1


def test_a_full_or_short_id_is_found_on_the_engine(make):
    content = manifest(b"mine")
    api = FakeApi([(digest(content), OURS), (f"sha256:{'f' * 64}", {})], [content])
    names = make(api)
    assert names.engine_name(digest(b"mine")) == digest(content)
    assert names.engine_name(digest(b"mine")[7:19]) == digest(content)
    for other in ("web:latest", f"sha256:{'f' * 64}", f"sha256:{'0' * 64}", "ffffffffffff"):
        assert names.engine_name(other) in {other, f"sha256:{'f' * 64}"}


def test_an_ambiguous_short_id_is_not_resolved(make):
    api = FakeApi([("sha256:" + "f" * 64, {}), ("sha256:" + "f" * 63 + "0", {})])
    assert make(api).engine_name("f" * 12) == "f" * 12


def test_a_loaded_image_is_known_until_it_is_forgotten(make):
    names = make(FakeApi())
    assert names.note_loaded(manifest(b"config")) == digest(b"config")
    name = digest(manifest(b"config"))
    assert names.engine_name(digest(b"config")) == name
    assert names.manifest(digest(b"config"))["layers"] == [{"digest": "sha256:aa", "size": 90}]
    assert names.forget(name)
    assert not names.forget(name)
    assert names.engine_name(digest(b"config")) == digest(b"config")


def test_cached_manifests_are_private_and_expire(make, tmp_path):
    make(FakeApi()).note_loaded(manifest(b"config"))
    [file] = (tmp_path / "cache/tierwright/manifests").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    os.utime(file, (0, 0))
    make(FakeApi()).note_loaded(manifest(b"another"))
    assert [path.name for path in file.parent.iterdir()] == [digest(manifest(b"another"))[7:]]


def test_the_size_excludes_the_archives_of_layers(make, store):
    content = manifest(b"{}")
    store(content)
    names = make(FakeApi([(digest(content), OURS)]))
    assert names.size(digest(content), 190) == 100
    assert names.size(digest(content), 80) == 80  # an engine that counts differently
    assert names.size("sha256:unknown", 190) == 190
    assert make(FakeApi(), system.DOCKER).size(digest(content), 190) == 190


def test_the_size_of_uncompressed_layers_is_that_of_their_archives(make, store):
    layers = [{"digest": "sha256:aa", "size": 90, "mediaType": "application/vnd.oci.image.layer.v1.tar"}]
    content = json.dumps({"config": {"digest": digest(b"{}")}, "layers": layers}).encode()
    store(content)
    assert make(FakeApi([(digest(content), OURS)])).size(digest(content), 190) == 90
