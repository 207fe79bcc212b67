"""Archives and layouts: whole ones of each kind, and damaged ones."""

from __future__ import annotations

import importlib
import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    DamagedError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index import tar_stream
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import open_stack
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.manifests import own_platform
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import open_place, split
from made_images import DOCKER, OCI, add, config, digest, docker_save, layer, layout, ours, pack, write

ONE, TWO, EMPTY = layer(("etc/motd", b"one")), layer(("etc/motd", b"two")), bytes(1024)
LAYERS = [ONE, TWO, EMPTY]
CONFIG = config(LAYERS, [ours("base", "ops"), ours("web", "mid"), ours("idle", "mid")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", ("", "", "web")),
        ("web:1", ("", "", "web:1")),
        ("host:5000/web@sha256:00", ("", "", "host:5000/web@sha256:00")),
        ("docker-daemon:web", ("docker-daemon", "", "web")),
        ("docker://host:5000/a/b:1", ("docker", "host:5000", "a/b:1")),
        ("oci:folder", ("oci", "folder", "")),
        ("oci:folder:web:1", ("oci", "folder", "web:1")),
        ("docker-archive:a.tar:web", ("docker-archive", "a.tar", "web")),
        ("./a.tar:web", ("archive", "./a.tar", "web")),
        ("/", ("oci", "/", "")),
    ],
)
def test_names_of_images(text, expected):
    assert split(text) == expected


@pytest.mark.parametrize(
    "text", ["docker://host", "docker:host/web", "docker:///web", "oci:", "archive::web", "archive:x:"]
)
def test_what_names_no_image(text):
    with pytest.raises(UsageError, match="expected"):
        split(text)


def test_a_path_with_a_colon(tmp_path):
    path = pack(tmp_path / "a:b.tar", docker_save({"web:1": (CONFIG, LAYERS)}))
    assert split(f"archive:{path}") == ("archive", str(path), "")


WHOLE = {
    "docker save, before 25": docker_save({"web:1": (CONFIG, LAYERS)}),
    "OCI": layout({"web:1": (CONFIG, LAYERS)}),
    "OCI, gzip": layout({"web:1": (CONFIG, LAYERS)}, packed=True),
    "Docker's types": layout({"web:1": (CONFIG, LAYERS)}, vendor=DOCKER, packed=True),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", WHOLE)
def test_archives(tmp_path, store, kind, packed):
    path = pack(tmp_path / "it.tar", WHOLE[kind], packed=packed)
    for reference in ("", ":web:1", f":{digest(CONFIG)[7:23]}"):
        stack = open_stack(f"archive:{path}{reference}", store)
        assert stack.document.id == digest(CONFIG)
        assert stack.document.names == ("web:1",)
        assert [index.digest for index in stack.indexes] == [digest(each) for each in LAYERS]
        assert stack.file_system().find("etc/motd").entry.digest == digest(b"two")
    [held] = open_place("archive", str(path), store).list_images()
    assert held.size > 0


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if not kind.startswith("docker")])
def test_layouts(tmp_path, store, kind):
    write(tmp_path / "it", WHOLE[kind])
    stack = open_stack(f"{tmp_path}/it:web:1", store)
    assert stack.document.id == digest(CONFIG)
    assert [index.digest for index in stack.indexes] == [digest(each) for each in LAYERS]


def test_one_of_several(tmp_path, store):
    other = config([ONE], [ours("base", "ops")])
    path = pack(tmp_path / "it.tar", docker_save({"web:1": (CONFIG, LAYERS), "base:latest": (other, [ONE])}))
    assert open_stack(f"archive:{path}:base", store).document.id == digest(other)
    with pytest.raises(NotFoundError, match="has 2 images; name one of them: base:latest, web:1"):
        open_stack(f"archive:{path}", store)
    with pytest.raises(NotFoundError, match="has no image 'no'"):
        open_stack(f"archive:{path}:no", store)


def index_of(files, *manifests):
    """Files with an index of an index: an image for several platforms."""
    entries = [
        {"digest": digest(each), "size": len(each), "platform": {"os": "linux", "architecture": "any"}}
        for each in manifests
    ]
    inner = json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": entries}).encode()
    files["blobs/sha256/" + digest(inner)[7:]] = inner
    outer = {"digest": digest(inner), "annotations": {"org.opencontainers.image.ref.name": "web:1"}}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode()
    return files


def test_of_several_platforms_this_machine_s_is_taken(tmp_path, store):
    files = layout({})
    mine, other = json.loads(CONFIG), json.loads(CONFIG)
    mine["architecture"], other["architecture"] = own_platform().partition("/")[2], "s390x"
    documents = [json.dumps(each).encode() for each in (other, mine)]
    manifests = [add(files, each, LAYERS) for each in documents]
    write(tmp_path / "it", index_of(files, *manifests))
    assert open_stack(f"oci:{tmp_path}/it:web:1", store).document.id == digest(documents[1])


def test_what_is_no_image_is_passed_over_beside_one(tmp_path, store):
    files = layout({})
    image = add(files, CONFIG, LAYERS)
    note = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.example+json"}).encode()
    files["blobs/sha256/" + digest(note)[7:]] = note
    write(tmp_path / "it", index_of(files, note, image))
    assert open_stack(f"oci:{tmp_path}/it", store).document.id == digest(CONFIG)
    write(tmp_path / "it", index_of(files, note))
    with pytest.raises(UnsupportedError, match="manifest of type 'application/vnd"):
        open_stack(f"oci:{tmp_path}/it", store)


def without(files, content):
    return {name: each for name, each in files.items() if each != content}


def with_(files, name, content):
    return {**files, name: content}


BLOB = "blobs/sha256/" + digest(TWO)[7:]
OCI_FILES = WHOLE["OCI"]
MANIFEST = json.loads(OCI_FILES["index.json"])["manifests"][0]["digest"]
DAMAGED = {
    "a missing layer": (without(OCI_FILES, TWO), f"layer {digest(TWO)}"),
    "another layer": (with_(OCI_FILES, BLOB, ONE), "damaged"),
    "a layer that is none": (with_(OCI_FILES, BLOB, b"no tar" * 999), "damaged"),
    "half a layer": (with_(OCI_FILES, BLOB, TWO[:700]), "damaged"),
    "another manifest": (with_(OCI_FILES, f"blobs/sha256/{MANIFEST[7:]}", b"{}"), "damaged"),
    "no configuration": (without(OCI_FILES, CONFIG), "cannot be read"),
    "an index that is none": (with_(OCI_FILES, "index.json", b"[]"), "not a JSON object"),
    "a digest that is a path": (with_(OCI_FILES, "index.json", b'{"manifests": [{"digest": "../../x"}]}'), "damaged"),
    "an index that lists nothing": (with_(OCI_FILES, "index.json", b'{"manifests": 7}'), "without a digest"),
    "an index without digests": (with_(OCI_FILES, "index.json", b'{"manifests": [7]}'), "without a digest"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_layouts(tmp_path, store, what):
    files, sentence = DAMAGED[what]
    write(tmp_path / "it", files)
    with pytest.raises(DamagedError, match=sentence) as told:
        open_stack(f"oci:{tmp_path}/it", store)
    assert str(tmp_path) in str(told.value)


SAVED = WHOLE["docker save, before 25"]
DAMAGED_ARCHIVES = {
    "a missing layer": (without(SAVED, TWO), f"not its layer {digest(TWO)}"),
    "half a layer": ({name: each[:700] if each == TWO else each for name, each in SAVED.items()}, "damaged"),
    "no configuration": (without(SAVED, CONFIG), "but the file is missing"),
    "a manifest that is none": (with_(SAVED, "manifest.json", b"[7]"), "manifest.json is not valid"),
    "nothing of an image": ({"readme": b"hello"}, "not an archive of images"),
}


@pytest.mark.parametrize("what", DAMAGED_ARCHIVES)
def test_damaged_archives(tmp_path, store, what):
    files, sentence = DAMAGED_ARCHIVES[what]
    path = pack(tmp_path / "it.tar", files)
    with pytest.raises(DamagedError, match=sentence) as told:
        open_stack(f"archive:{path}", store)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_that_was_cut(tmp_path, store, packed):
    path = pack(tmp_path / "it.tar", SAVED, packed=packed)
    whole = path.read_bytes()
    for length in range(0, len(whole.rstrip(b"\0")), 250):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError, match=str(path)):
            open_stack(f"archive:{path}", store)


def test_other_compressions_are_told(tmp_path, store):
    path = tmp_path / "it.tar"
    for magic, name in ((b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz")):
        path.write_bytes(magic + bytes(600))
        with pytest.raises(UnsupportedError, match=name):
            open_stack(f"archive:{path}", store)


def test_zstd(tmp_path, store):
    zstd = importlib.import_module(tar_stream._ZSTD)
    packed = zstd.compress(pack(tmp_path / "plain.tar", SAVED).read_bytes())
    path = tmp_path / "it.tar"
    for content in (packed[:-20], packed[:40] + bytes(20) + packed[60:], packed[:4]):
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=str(path)):
            open_stack(f"archive:{path}", store)
    path.write_bytes(packed)
    assert open_stack(f"archive:{path}", store).document.id == digest(CONFIG)


def test_nothing_there(tmp_path, store):
    with pytest.raises(NotFoundError, match="No such file"):
        open_stack(f"archive:{tmp_path}/none.tar", store)
    with pytest.raises(NotFoundError, match="not an OCI layout"):
        open_stack(f"oci:{tmp_path}", store)


def test_a_document_that_would_fill_the_memory(tmp_path, store):
    path = pack(tmp_path / "it.tar", {**SAVED, "more.json": b"{" + bytes(9 << 20)}, packed=True)
    with pytest.raises(DamagedError, match="larger than the limit"):
        open_stack(f"archive:{path}", store)
