from __future__ import annotations

import hashlib
import io
import json
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils.image.archive import (
    EMPTY_LAYER,
    EMPTY_LAYER_DIGEST,
    digest_file,
    docker_archive,
)


def read(archive):
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive)), mode="r:") as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}


def document(*layers):
    return json.dumps({"rootfs": {"diff_ids": list(layers)}}).encode()


def test_layers_that_the_engine_has_are_named_but_not_carried():
    content = document("sha256:aa", "sha256:bb")
    members = read(docker_archive(content, {}))
    manifest = json.loads(members["manifest.json"])
    assert manifest[0]["Layers"] == ["aa.tar", "bb.tar"]
    assert manifest[0]["RepoTags"] is None
    assert members[manifest[0]["Config"]] == content
    assert set(members) == {"manifest.json", manifest[0]["Config"]}


@given(st.binary(max_size=3000))
def test_a_layer_is_carried_byte_for_byte(data):
    assert read(docker_archive(document("sha256:aa"), {"sha256:aa": data}))["aa.tar"] == data


def test_a_layer_from_a_file(tmp_path):
    path = tmp_path / "layer.tar"
    path.write_bytes(b"x" * 1_500_000)
    assert read(docker_archive(document("sha256:aa"), {"sha256:aa": path}))["aa.tar"] == path.read_bytes()
    assert digest_file(path) == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_empty_layer_is_a_tar_without_entries():
    with tarfile.open(fileobj=io.BytesIO(EMPTY_LAYER), mode="r:") as tar:
        assert tar.getmembers() == []
    # The digest that every engine knows it by.
    assert EMPTY_LAYER_DIGEST == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
