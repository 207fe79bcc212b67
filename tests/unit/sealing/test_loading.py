"""Loading an image into the engine: without the layers that it has, and with them if it requires them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, EngineUnavailableError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.configuration import image_id
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import loading
from fake_engine import FakeEngine

WANTED = b"the layer that is wanted" * 100


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def pieces(content, size=1000):
    return (content[start : start + size] for start in range(0, len(content), size))


def archive(*members):
    """A tar archive of names and contents. If a content is a string, the member is a symbolic link to it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "blobs/sha256/" + digest_of(WANTED).removeprefix("sha256:"),
        "0123/layer.tar",
        # Names are ignored, so none of them can leave the folder.
        "../../etc/passwd",
        "/etc/passwd",
    ],
)
def test_layers_are_identified_by_their_digests_and_not_by_their_names(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    layers = loading.extract_layers(
        pieces(archive(("manifest.json", b"[]"), (name, WANTED))), {digest_of(WANTED)}, folder
    )
    assert layers[digest_of(WANTED)].read_bytes() == WANTED
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [layers[digest_of(WANTED)].name]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_compressed_layer_is_identified_by_its_content(tmp_path):
    layers = loading.extract_layers(pieces(archive(("blob", gzip.compress(WANTED)))), {digest_of(WANTED)}, tmp_path)
    assert layers[digest_of(WANTED)].read_bytes() == WANTED


def test_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(WANTED)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert loading.extract_layers(pieces(archive(("layer.tar", str(secret)))), {digest_of(WANTED)}, folder) == {}
    assert list(folder.iterdir()) == []


def test_unwanted_members_are_removed(tmp_path):
    assert loading.extract_layers(pieces(archive(("a", b"x" * 5000), ("b", b""))), {digest_of(WANTED)}, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"no archive at all" * 100,
        archive(("layer.tar", WANTED))[:1500],  # cut off in the middle
        archive(("layer.tar", gzip.compress(WANTED)[:10] + b"\xff" * 50)),  # damaged inside
    ],
    ids=["no tar", "cut off", "damaged"],
)
def test_a_damaged_archive_is_an_error(tmp_path, content):
    with pytest.raises(EngineError, match="its archive is damaged"):
        loading.extract_layers(pieces(content), {digest_of(WANTED)}, tmp_path)


def test_a_layer_that_is_too_large_when_unpacked_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "LARGEST", 1 << 20)
    bomb = archive(("layer.tar", gzip.compress(bytes(3 << 20))))
    with pytest.raises(EngineError, match="one has more than"):
        loading.extract_layers(pieces(bomb), {digest_of(WANTED)}, tmp_path)


LAYERS = st.binary(max_size=3000).map(lambda data: b"./" + data)  # begins like a tar archive, not like a compressed one


@given(st.lists(LAYERS, max_size=5), st.booleans(), st.integers(1, 5000))
def test_all_layers_are_extracted(contents, packed, size):
    members = [(str(number), gzip.compress(content) if packed else content) for number, content in enumerate(contents)]
    wanted = {digest_of(content): content for content in contents}
    with tempfile.TemporaryDirectory() as folder:
        layers = loading.extract_layers(pieces(archive(*members), size), wanted, Path(folder))
        assert {digest: path.read_bytes() for digest, path in layers.items()} == wanted


@pytest.fixture
def make_engine():
    """Make an engine that holds an image with one layer, and accepts only archives with all layers."""
    archives = []

    def load(content, _image):
        data = b"".join(content)
        archives.append("full" if WANTED in data else "lean")
        if archives[-1] == "lean":
            raise EngineError("some layers are missing")

    def make():
        engine = FakeEngine()
        engine.archives = archives
        engine.images.load = load
        engine.images.save = lambda _image: pieces(archive(("layer.tar", WANTED)))
        return engine

    return make


def test_an_engine_that_requires_all_layers_is_sent_a_lean_archive_only_once(make_engine):
    engine, layers = make_engine(), loading.Layers((digest_of(WANTED),), donor="parent")
    loading.load(engine, b"first", layers)
    loading.load(engine, b"second", layers)
    assert engine.archives == ["lean", "full", "full"]
    loading.load(make_engine(), b"another engine", layers)
    assert engine.archives[3:] == ["lean", "full"]


def test_an_image_that_lacks_expected_layers_is_an_error(make_engine):
    layers = loading.Layers((digest_of(WANTED), "sha256:" + "0" * 64), donor="parent")
    with pytest.raises(EngineError, match=r"image parent should have the layers sha256:0{64}, but"):
        loading.load(make_engine(), b"document", layers)


def test_an_unavailable_engine_is_not_called_again():
    engine, calls = FakeEngine(), []

    def gone(*arguments):
        calls.append(arguments)
        raise EngineUnavailableError("gone")

    engine.images.load = gone
    with pytest.raises(EngineUnavailableError):
        loading.load(engine, b"document", loading.Layers(("sha256:aa",), donor="parent"))
    assert len(calls) == 1


def test_a_new_layer_is_sent_again_if_the_engine_requires_all_layers(make_engine):
    engine, archives = make_engine(), []

    def load(archive, _image):
        data = b"".join(archive)
        archives.append(("full" if WANTED in data else "lean", b"new content" in data))
        if archives[-1][0] == "lean":
            raise EngineError("some layers are missing")

        return SimpleNamespace(id=json.loads(archive.manifest())["config"]["digest"])

    engine.images.load = load
    layer = Layer([FileEntry(b"file", FileKind.FILE, 0o644, 0, 0, 5, 11, content=b"new content")], 9)
    lower_layers = loading.Layers((digest_of(WANTED),), donor="parent")
    image = loading.load_new(engine, layer, lower_layers, lambda digest, _content: digest.encode())
    assert image.id == image_id(layer.digest.encode())
    assert archives == [("lean", True), ("full", True)]
