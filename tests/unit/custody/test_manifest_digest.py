"""The digest of an image's manifest is known before it is published, and publishing writes exactly this manifest."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.manifest_digest import (
    known_manifest,
    manifest_digest,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import configuration
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.file_entry import FileEntry, FileKind
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer.tar_writer import Layer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.upload import upload
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sealing import loading
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_engine import FakeEngine
from fake_registry import fake_registry

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "state"


class CountingEngine(FakeEngine):
    """Counts how often an image is exported."""

    def __init__(self):
        super().__init__()
        self.exports = 0
        save = self.images.save

        def counted(image):
            self.exports += 1
            return save(image)

        self.images.save = counted


def document(*layers):
    return configuration.document(
        architecture="amd64",
        os="linux",
        config={},
        layers=layers,
        history=[],
        created="2026-01-02T03:04:05Z",
        author="x",
    )


def load(engine, content, below=loading.Layers(())):  # noqa: B008 - immutable
    layer = Layer([FileEntry(b"file", FileKind.FILE, 0o644, 0, 0, 5, len(content), content=content)], 9)
    return loading.load_new(engine, layer, below, lambda digest, _content: document(*below.digests, digest))


@pytest.fixture
def engine():
    return CountingEngine()


def published(engine, image):
    with fake_registry() as registry:
        writer = RegistryWriter(registry.host)
        return upload(engine, image, writer, "team/web", sources=[], say=lambda _line: None).manifest


def test_images_that_were_made_here_are_not_exported(engine):
    base = load(engine, b"base")
    web = load(engine, b"web" * 1000, loading.Layers(base.layers, donor=base.id))
    assert known_manifest(web) == manifest_digest(engine, web)
    assert engine.exports == 0
    assert manifest_digest(engine, web) == published(engine, web)
    assert manifest_digest(engine, base) == published(engine, base)


def test_an_image_of_others_is_exported_once(engine, state):
    web = load(engine, b"web")
    for path in (state / "tierwright/+layers").iterdir():
        path.unlink()
    assert known_manifest(web) is None
    assert manifest_digest(engine, web) == manifest_digest(engine, web) == published(engine, web)
    assert engine.exports == 2  # one of them by publishing


def test_a_damaged_memory_is_no_error(engine, state):
    web = load(engine, b"web")
    before = manifest_digest(engine, web)
    for path in (state / "tierwright/+layers").iterdir():
        path.write_bytes(b"damaged")
    assert manifest_digest(engine, web) == before
    assert engine.exports == 1


def test_an_export_without_a_layer_is_an_error(engine, state):
    base = load(engine, b"base")
    web = load(engine, b"web", loading.Layers(base.layers, donor=base.id))
    for path in (state / "tierwright/+layers").iterdir():
        path.unlink()
    save = engine.images.save
    engine.images.save = lambda _image: save(base.id)
    with pytest.raises(EngineError, match="but they are not in the archive that the engine saved of it"):
        manifest_digest(engine, web)
