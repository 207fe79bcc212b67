"""Archives and OCI layouts: complete ones of each kind, and damaged ones."""

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
from made_images import DOCKER, OCI, add, config, digest, docker_save, layer, layout, pack, tier_step, write

ONE, TWO, EMPTY = layer(("etc/motd", b"one")), layer(("etc/motd", b"two")), bytes(1024)
LAYERS = [ONE, TWO, EMPTY]
CONFIG = config(LAYERS, [tier_step("base", "ops"), tier_step("web", "mid"), tier_step("idle", "mid")])


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
def test_image_references_are_split(text, expected):
    assert split(text) == expected


@pytest.mark.parametrize(
    "text", ["docker://host", "docker:host/web", "docker:///web", "oci:", "archive::web", "archive:x:"]
)
def test_an_invalid_image_reference_is_rejected(text):
    with pytest.raises(UsageError, match="expected"):
        split(text)


def test_a_path_may_contain_a_colon(tmp_path):
    path = pack(tmp_path / "a:b.tar", docker_save({"web:1": (CONFIG, LAYERS)}))
    assert split(f"archive:{path}") == ("archive", str(path), "")


COMPLETE = {
    "docker save, before 25": docker_save({"web:1": (CONFIG, LAYERS)}),
    "OCI": layout({"web:1": (CONFIG, LAYERS)}),
    "OCI, gzip": layout({"web:1": (CONFIG, LAYERS)}, packed=True),
    "Docker's types": layout({"web:1": (CONFIG, LAYERS)}, vendor=DOCKER, packed=True),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", COMPLETE)
def test_images_are_read_from_archives(tmp_path, store, kind, packed):
    path = pack(tmp_path / "it.tar", COMPLETE[kind], packed=packed)
    for reference in ("", ":web:1", f":{digest(CONFIG)[7:23]}"):
        stack = open_stack(f"archive:{path}{reference}", store)
        assert stack.document.id == digest(CONFIG)
        assert stack.document.names == ("web:1",)
        assert [index.digest for index in stack.indexes] == [digest(content) for content in LAYERS]
        assert stack.file_system().find("etc/motd").entry.digest == digest(b"two")
    [image] = open_place("archive", str(path), store).list_images()
    assert image.size > 0


@pytest.mark.parametrize("kind", [kind for kind in COMPLETE if not kind.startswith("docker")])
def test_images_are_read_from_layouts(tmp_path, store, kind):
    write(tmp_path / "it", COMPLETE[kind])
    stack = open_stack(f"{tmp_path}/it:web:1", store)
    assert stack.document.id == digest(CONFIG)
    assert [index.digest for index in stack.indexes] == [digest(content) for content in LAYERS]


def test_one_of_several_images_must_be_named(tmp_path, store):
    other = config([ONE], [tier_step("base", "ops")])
    path = pack(tmp_path / "it.tar", docker_save({"web:1": (CONFIG, LAYERS), "base:latest": (other, [ONE])}))
    assert open_stack(f"archive:{path}:base", store).document.id == digest(other)
    with pytest.raises(NotFoundError, match="has 2 images; name one of them: base:latest, web:1"):
        open_stack(f"archive:{path}", store)
    with pytest.raises(NotFoundError, match="has no image 'no'"):
        open_stack(f"archive:{path}:no", store)


def index_of(files, *manifests):
    """Add an index that contains an index, as images for several platforms have."""
    entries = [
        {"digest": digest(manifest), "size": len(manifest), "platform": {"os": "linux", "architecture": "any"}}
        for manifest in manifests
    ]
    inner = json.dumps({"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": entries}).encode()
    files["blobs/sha256/" + digest(inner)[7:]] = inner
    outer = {"digest": digest(inner), "annotations": {"org.opencontainers.image.ref.name": "web:1"}}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode()
    return files


def test_the_platform_of_this_machine_is_chosen(tmp_path, store):
    files = layout({})
    mine, other = json.loads(CONFIG), json.loads(CONFIG)
    mine["architecture"], other["architecture"] = own_platform().partition("/")[2], "s390x"
    documents = [json.dumps(document).encode() for document in (other, mine)]
    manifests = [add(files, document, LAYERS) for document in documents]
    write(tmp_path / "it", index_of(files, *manifests))
    assert open_stack(f"oci:{tmp_path}/it:web:1", store).document.id == digest(documents[1])


def test_manifests_that_are_not_images_are_ignored(tmp_path, store):
    files = layout({})
    image = add(files, CONFIG, LAYERS)
    note = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.example+json"}).encode()
    files["blobs/sha256/" + digest(note)[7:]] = note
    write(tmp_path / "it", index_of(files, note, image))
    assert open_stack(f"oci:{tmp_path}/it", store).document.id == digest(CONFIG)
    write(tmp_path / "it", index_of(files, note))
    with pytest.raises(UnsupportedError, match="manifest of type 'application/vnd"):
        open_stack(f"oci:{tmp_path}/it", store)


def without(files, unwanted):
    return {name: content for name, content in files.items() if content != unwanted}


def with_(files, name, content):
    return {**files, name: content}


BLOB = "blobs/sha256/" + digest(TWO)[7:]
OCI_FILES = COMPLETE["OCI"]
MANIFEST = json.loads(OCI_FILES["index.json"])["manifests"][0]["digest"]
DAMAGED = {
    "a missing layer": (without(OCI_FILES, TWO), f"layer {digest(TWO)}"),
    "a different layer": (with_(OCI_FILES, BLOB, ONE), "damaged"),
    "a layer that is not an archive": (with_(OCI_FILES, BLOB, b"no tar" * 999), "damaged"),
    "half a layer": (with_(OCI_FILES, BLOB, TWO[:700]), "damaged"),
    "a different manifest": (with_(OCI_FILES, f"blobs/sha256/{MANIFEST[7:]}", b"{}"), "damaged"),
    "no configuration": (without(OCI_FILES, CONFIG), "cannot be read"),
    "an index that is not an object": (with_(OCI_FILES, "index.json", b"[]"), "not a JSON object"),
    "a digest that is a path": (with_(OCI_FILES, "index.json", b'{"manifests": [{"digest": "../../x"}]}'), "damaged"),
    "an index that lists nothing": (with_(OCI_FILES, "index.json", b'{"manifests": 7}'), "without a digest"),
    "an index without digests": (with_(OCI_FILES, "index.json", b'{"manifests": [7]}'), "without a digest"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_layout_is_an_error(tmp_path, store, damage):
    files, sentence = DAMAGED[damage]
    write(tmp_path / "it", files)
    with pytest.raises(DamagedError, match=sentence) as error:
        open_stack(f"oci:{tmp_path}/it", store)
    assert str(tmp_path) in str(error.value)


SAVED = COMPLETE["docker save, before 25"]
DAMAGED_ARCHIVES = {
    "a missing layer": (without(SAVED, TWO), f"not its layer {digest(TWO)}"),
    "half a layer": (
        {name: content[:700] if content == TWO else content for name, content in SAVED.items()},
        "damaged",
    ),
    "no configuration": (without(SAVED, CONFIG), "but the file is missing"),
    "an invalid manifest": (with_(SAVED, "manifest.json", b"[7]"), "manifest.json is not valid"),
    "no image": ({"readme": b"hello"}, "not an archive of images"),
}


@pytest.mark.parametrize("damage", DAMAGED_ARCHIVES)
def test_a_damaged_archive_is_an_error(tmp_path, store, damage):
    files, sentence = DAMAGED_ARCHIVES[damage]
    path = pack(tmp_path / "it.tar", files)
    with pytest.raises(DamagedError, match=sentence) as error:
        open_stack(f"archive:{path}", store)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_archive_is_an_error(tmp_path, store, packed):
    path = pack(tmp_path / "it.tar", SAVED, packed=packed)
    content = path.read_bytes()
    for length in range(0, len(content.rstrip(b"\0")), 250):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedError, match=str(path)):
            open_stack(f"archive:{path}", store)


def test_unsupported_compressions_are_named(tmp_path, store):
    path = tmp_path / "it.tar"
    for magic, name in ((b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz")):
        path.write_bytes(magic + bytes(600))
        with pytest.raises(UnsupportedError, match=name):
            open_stack(f"archive:{path}", store)


def test_archives_with_zstd(tmp_path, store):
    zstd = importlib.import_module(tar_stream._ZSTD)
    packed = zstd.compress(pack(tmp_path / "plain.tar", SAVED).read_bytes())
    path = tmp_path / "it.tar"
    for content in (packed[:-20], packed[:40] + bytes(20) + packed[60:], packed[:4]):
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=str(path)):
            open_stack(f"archive:{path}", store)
    path.write_bytes(packed)
    assert open_stack(f"archive:{path}", store).document.id == digest(CONFIG)


def test_a_missing_place_is_an_error(tmp_path, store):
    with pytest.raises(NotFoundError, match="No such file"):
        open_stack(f"archive:{tmp_path}/none.tar", store)
    with pytest.raises(NotFoundError, match="not an OCI layout"):
        open_stack(f"oci:{tmp_path}", store)


def test_a_document_that_is_too_large_is_an_error(tmp_path, store):
    path = pack(tmp_path / "it.tar", {**SAVED, "more.json": b"{" + bytes(9 << 20)}, packed=True)
    with pytest.raises(DamagedError, match="larger than the limit"):
        open_stack(f"archive:{path}", store)
