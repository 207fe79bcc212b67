"""What an engine with containerd's store calls images, and how their IDs are found."""

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
    listed = [{"digest": digest(each), "platform": platform, **more} for each, platform, more in entries]
    return json.dumps({"manifests": listed}).encode()


class Asked:
    """An engine's answers; it counts what it had to pack."""

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
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w") as tar:
            for content in self.archive:
                member = tarfile.TarInfo(f"blobs/sha256/{digest(content)[7:]}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        written.seek(0)
        yield written


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_ids, "_STORES", (str(tmp_path / "store"),))

    def made(asked, which=system.CONTAINERD, address="unix:///x"):
        return ImageNames(SimpleNamespace(address=address, http=asked), lambda: which)

    return made


@pytest.fixture
def store(tmp_path):
    """Put a blob where containerd has it."""
    folder = tmp_path / "store" / image_ids._BLOBS
    folder.mkdir(parents=True)

    def put(content, name=None):
        (folder / (name or digest(content))[7:]).write_bytes(content)
        return digest(content)

    return put


def test_other_engines_call_an_image_by_its_id(make):
    asked = Asked()
    naming = make(asked, system.DOCKER)
    assert naming.image_id("sha256:a") == naming.engine_name("sha256:a") == "sha256:a"
    assert naming.listed_id("sha256:a", OURS) == "sha256:a"
    assert naming.note_loaded(manifest(b"config")) == digest(b"config")
    assert naming.manifest("sha256:a") is None
    assert asked.packed == 0


def test_the_store_s_own_files_tell_where_they_are_here(make, store):
    called, asked = store(manifest(b"config")), Asked()
    assert make(asked).image_id(called) == digest(b"config")
    assert asked.packed == 0


def test_an_engine_elsewhere_packs_the_image_once(make, store):
    called = store(manifest(b"config"))
    asked = Asked(archive=[b"{}", manifest(b"config"), b"a layer"])
    assert make(asked, address="tcp://host:2375").image_id(called) == digest(b"config")
    assert make(asked, address="tcp://host:2375").image_id(called) == digest(b"config")  # it is remembered
    assert asked.packed == 1


def test_what_is_not_what_its_name_says_is_not_believed(make, store, tmp_path):
    called = digest(manifest(b"config"))
    store(manifest(b"another"), called)
    kept = tmp_path / "cache/tierwright/manifests"
    kept.mkdir(parents=True)
    (kept / called[7:]).write_bytes(manifest(b"a third one"))
    asked = Asked(archive=[manifest(b"config")])
    assert make(asked).image_id(called) == digest(b"config")


def test_an_index_is_read_for_the_engine_s_platform(make):
    mine, other = manifest(b"amd"), manifest(b"arm")
    beside = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    listed = index((manifest(b"of the attestation"), UNKNOWN, beside), (other, ARM, {}), (mine, AMD, {}))
    asked = Asked(archive=[listed, mine])
    assert make(asked).image_id(digest(listed)) == digest(b"amd")


@pytest.mark.parametrize("content", [index((manifest(b"arm"), ARM, {})), b"[]", b"not JSON", b'{"config": 5}'])
def test_an_image_that_cannot_be_read_is_told(make, content):
    with pytest.raises(EngineError, match=r"has no manifest of it for its own platform; pull or load it again"):
        make(Asked(archive=[content])).image_id(digest(content))


def test_an_archive_that_is_damaged_is_told(make):
    asked = Asked()
    asked.stream = lambda _path: nullcontext(io.BytesIO(b"no archive" * 100))
    with pytest.raises(EngineError, match="the archive that the engine packs is damaged"):
        make(asked).image_id(f"sha256:{'0' * 64}")


def test_a_list_makes_the_engine_pack_nothing_that_is_not_of_a_chain(make):
    mine = manifest(b"mine")
    asked = Asked(archive=[mine])
    naming = make(asked)
    assert naming.listed_id("sha256:foreign", {"maintainer": "somebody"}) == "sha256:foreign"
    assert naming.listed_id("sha256:foreign", None) == "sha256:foreign"
    assert asked.packed == 0
    assert naming.listed_id(digest(mine), OURS) == digest(b"mine")
    assert asked.packed == 1


def test_an_id_or_its_beginning_is_found_among_what_the_engine_holds(make):
    mine = manifest(b"mine")
    asked = Asked([(digest(mine), OURS), (f"sha256:{'f' * 64}", {})], [mine])
    naming = make(asked)
    assert naming.engine_name(digest(b"mine")) == digest(mine)
    assert naming.engine_name(digest(b"mine")[7:19]) == digest(mine)
    for other in ("web:latest", f"sha256:{'f' * 64}", f"sha256:{'0' * 64}", "ffffffffffff"):
        assert naming.engine_name(other) in {other, f"sha256:{'f' * 64}"}


def test_of_two_images_with_one_beginning_none_is_meant(make):
    asked = Asked([("sha256:" + "f" * 64, {}), ("sha256:" + "f" * 63 + "0", {})])
    assert make(asked).engine_name("f" * 12) == "f" * 12


def test_what_was_loaded_is_known_until_it_is_gone(make):
    naming = make(Asked())
    assert naming.note_loaded(manifest(b"config")) == digest(b"config")
    called = digest(manifest(b"config"))
    assert naming.engine_name(digest(b"config")) == called
    assert naming.manifest(digest(b"config"))["layers"] == [{"digest": "sha256:aa", "size": 90}]
    assert naming.forget(called)
    assert not naming.forget(called)
    assert naming.engine_name(digest(b"config")) == digest(b"config")


def test_manifests_are_for_the_user_and_forgotten_after_a_while(make, tmp_path):
    make(Asked()).note_loaded(manifest(b"config"))
    [kept] = (tmp_path / "cache/tierwright/manifests").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    os.utime(kept, (0, 0))
    make(Asked()).note_loaded(manifest(b"another"))
    assert [each.name for each in kept.parent.iterdir()] == [digest(manifest(b"another"))[7:]]


def test_the_size_is_that_of_the_layers_and_not_of_blobs_besides(make, store):
    mine = manifest(b"{}")
    store(mine)
    naming = make(Asked([(digest(mine), OURS)]))
    assert naming.size(digest(mine), 190) == 100
    assert naming.size(digest(mine), 80) == 80  # an engine that counts otherwise
    assert naming.size("sha256:unknown", 190) == 190
    assert make(Asked(), system.DOCKER).size(digest(mine), 190) == 190


def test_the_size_of_layers_that_are_kept_unpacked_is_that_of_their_archives(make, store):
    layers = [{"digest": "sha256:aa", "size": 90, "mediaType": "application/vnd.oci.image.layer.v1.tar"}]
    mine = json.dumps({"config": {"digest": digest(b"{}")}, "layers": layers}).encode()
    store(mine)
    assert make(Asked([(digest(mine), OURS)])).size(digest(mine), 190) == 90
