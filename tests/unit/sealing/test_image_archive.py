"""The archives in which images are sent to the engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing.image_archive import (
    archive_with_new,
    digest_file,
    docker_archive,
)

DOCUMENT = b'{"some": "document"}'


def read(archive):
    content = b"".join(archive)
    assert len(archive) == len(content)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def blob(members, descriptor):
    """The member that a descriptor names. Its size and digest must match the descriptor."""
    kind, _, digits = descriptor["digest"].partition(":")
    content = members[f"blobs/{kind}/{digits}"]
    assert len(content) == descriptor["size"]
    assert hashlib.sha256(content).hexdigest() == digits
    return content


def test_layers_that_the_engine_has_are_listed_but_not_sent():
    members = read(docker_archive(DOCUMENT, ["sha256:aa", "sha256:bb"], {}, {}))
    (image,) = json.loads(members["manifest.json"])
    assert image["Layers"] == ["blobs/sha256/aa", "blobs/sha256/bb"]
    assert image["RepoTags"] is None
    assert members[image["Config"]] == DOCUMENT
    assert not {"blobs/sha256/aa", "blobs/sha256/bb"} & set(members)


def test_the_archive_is_also_an_oci_layout():
    layer = b"content"
    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    members = read(docker_archive(DOCUMENT, ["sha256:aa", digest], {digest: layer}, {}))
    assert json.loads(members["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (manifest,) = json.loads(members["index.json"])["manifests"]
    content = json.loads(blob(members, manifest))
    assert content["mediaType"] == manifest["mediaType"]
    assert blob(members, content["config"]) == DOCUMENT
    assert [descriptor["digest"] for descriptor in content["layers"]] == ["sha256:aa", digest]
    assert blob(members, content["layers"][1]) == layer


@given(st.binary(max_size=3000))
def test_a_layer_is_sent_byte_for_byte(data):
    assert read(docker_archive(DOCUMENT, ["sha256:aa"], {"sha256:aa": data}, {}))["blobs/sha256/aa"] == data


def test_a_layer_can_come_from_a_file(tmp_path):
    path = tmp_path / "layer.tar"
    path.write_bytes(b"x" * 1_500_000)
    members = read(docker_archive(DOCUMENT, ["sha256:aa"], {"sha256:aa": path}, {}))
    assert members["blobs/sha256/aa"] == path.read_bytes()
    assert digest_file(path) == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_new_layer_is_sent_before_its_manifest():
    layer = Layer([FileEntry(b"file", FileKind.FILE, 0o644, 0, 0, 5, 3, content=b"abc")], 9)
    content = b"".join(layer.pieces())
    members = read(archive_with_new(layer, lambda digest, _content: digest.encode(), ["sha256:aa"], {}, {}))
    assert next(iter(members)) == "layer.tar"
    (image,) = json.loads(members["manifest.json"])
    assert image["Layers"] == ["blobs/sha256/aa", f"blobs/sha256/{layer.digest.removeprefix('sha256:')}"]
    assert members[image["Layers"][1]] == content
    (descriptor,) = json.loads(members["index.json"])["manifests"]
    manifest = json.loads(blob(members, descriptor))
    assert blob(members, manifest["config"]) == layer.digest.encode()
    assert blob(members, manifest["layers"][1]) == content
