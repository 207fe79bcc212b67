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
    """A tar archive of pairs of names and contents; a content that is text is where a link leads to."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "blobs/sha256/" + digest_of(WANTED).removeprefix("sha256:"),
        "0123/layer.tar",
        # Names are not looked at, so none leads anywhere.
        "../../etc/passwd",
        "/etc/passwd",
    ],
)
def test_layers_are_known_by_their_digests_and_not_by_their_names(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    found = loading.extract_layers(
        pieces(archive(("manifest.json", b"[]"), (name, WANTED))), {digest_of(WANTED)}, folder
    )
    assert found[digest_of(WANTED)].read_bytes() == WANTED
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [found[digest_of(WANTED)].name]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_packed_layer_is_known_by_what_is_in_it(tmp_path):
    found = loading.extract_layers(pieces(archive(("blob", gzip.compress(WANTED)))), {digest_of(WANTED)}, tmp_path)
    assert found[digest_of(WANTED)].read_bytes() == WANTED


def test_links_lead_nowhere(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(WANTED)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert loading.extract_layers(pieces(archive(("layer.tar", str(secret)))), {digest_of(WANTED)}, folder) == {}
    assert list(folder.iterdir()) == []


def test_what_is_not_wanted_does_not_stay(tmp_path):
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
def test_a_damaged_archive_is_told(tmp_path, content):
    with pytest.raises(EngineError, match="its archive is damaged"):
        loading.extract_layers(pieces(content), {digest_of(WANTED)}, tmp_path)


def test_a_layer_that_unpacks_to_too_much_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "LARGEST", 1 << 20)
    bomb = archive(("layer.tar", gzip.compress(bytes(3 << 20))))
    with pytest.raises(EngineError, match="one has more than"):
        loading.extract_layers(pieces(bomb), {digest_of(WANTED)}, tmp_path)


LAYERS = st.binary(max_size=3000).map(lambda data: b"./" + data)  # as a tar archive, not as a packed one, begins


@given(st.lists(LAYERS, max_size=5), st.booleans(), st.integers(1, 5000))
def test_all_layers_come_back(contents, packed, size):
    members = [(str(number), gzip.compress(each) if packed else each) for number, each in enumerate(contents)]
    wanted = {digest_of(each): each for each in contents}
    with tempfile.TemporaryDirectory() as folder:
        found = loading.extract_layers(pieces(archive(*members), size), wanted, Path(folder))
        assert {digest: path.read_bytes() for digest, path in found.items()} == wanted


@pytest.fixture
def make_engine():
    """Make an engine that holds one image of one layer, and takes only archives with all layers."""
    given = []

    def take(content, _made):
        data = b"".join(content)
        given.append("full" if WANTED in data else "lean")
        if given[-1] == "lean":
            raise EngineError("some layers are missing")

    def make():
        engine = FakeEngine()
        engine.given = given
        engine.images.load = take
        engine.images.save = lambda _image: pieces(archive(("layer.tar", WANTED)))
        return engine

    return make


def test_an_engine_that_wants_all_layers_is_asked_once(make_engine):
    engine, layers = make_engine(), loading.Layers((digest_of(WANTED),), donor="parent")
    loading.load(engine, b"first", layers)
    loading.load(engine, b"second", layers)
    assert engine.given == ["lean", "full", "full"]
    loading.load(make_engine(), b"another engine", layers)
    assert engine.given[3:] == ["lean", "full"]


def test_an_image_that_has_not_the_layers_it_should_is_told(make_engine):
    layers = loading.Layers((digest_of(WANTED), "sha256:" + "0" * 64), donor="parent")
    with pytest.raises(EngineError, match=r"image parent should have the layers sha256:0{64}, but"):
        loading.load(make_engine(), b"document", layers)


def test_an_engine_that_is_gone_is_not_asked_again():
    engine, asked = FakeEngine(), []

    def gone(*arguments):
        asked.append(arguments)
        raise EngineUnavailableError("gone")

    engine.images.load = gone
    with pytest.raises(EngineUnavailableError):
        loading.load(engine, b"document", loading.Layers(("sha256:aa",), donor="parent"))
    assert len(asked) == 1


def test_a_new_layer_is_read_again_where_the_engine_wants_all(make_engine):
    engine, found = make_engine(), []

    def take(archive, _what):
        data = b"".join(archive)
        found.append(("full" if WANTED in data else "lean", b"new content" in data))
        if found[-1][0] == "lean":
            raise EngineError("some layers are missing")

        return SimpleNamespace(id=json.loads(archive.manifest())["config"]["digest"])

    engine.images.load = take
    layer = Layer([FileEntry(b"file", FileKind.FILE, 0o644, 0, 0, 5, 11, content=b"new content")], 9)
    below = loading.Layers((digest_of(WANTED),), donor="parent")
    made = loading.load_new(engine, layer, below, lambda digest, _content: digest.encode())
    assert made.id == image_id(layer.digest.encode())
    assert found == [("lean", True), ("full", True)]
