"""With containerd's store, an engine keeps images that it could not unpack and that cannot be used."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine import system
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.image_ids import ImageNames
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.images import Images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError

MANIFEST = json.dumps({"config": {"digest": f"sha256:{'c' * 64}"}, "layers": []}).encode()


class Archive:
    def __iter__(self):
        return iter([b"archive"])

    def manifest(self):
        return MANIFEST


class Api:
    """An engine that accepts an archive and cannot unpack it; it records which images were removed."""

    def __init__(self, layers):
        self.layers, self.removed = layers, []

    def load_image(self, _archive):
        return [{"stream": "Loaded image ID: x\n"}, {"stream": "Error unpacking image x: no space left on device\n"}]

    def get(self, path):
        return {"Id": path.split("/")[2], "RootFS": {"Layers": self.layers} if self.layers else {}, "Config": None}

    def remove_image(self, name):
        self.removed.append(name)


@pytest.mark.parametrize(("layers", "removed"), [([], 1), (["sha256:aa"], 0)], ids=["unfinished", "complete before"])
def test_only_an_incomplete_image_is_removed(monkeypatch, tmp_path, layers, removed):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    api = Api(layers)
    session = SimpleNamespace(api=api, get=api.get, address="tcp://x", http=None)
    images = Images(session, lambda: system.CONTAINERD, ImageNames(session, lambda: system.CONTAINERD))
    with pytest.raises(EngineError, match=r"loading an image: the engine says: Error unpacking image x: no space left"):
        images.load(Archive(), "an image")
    assert len(api.removed) == removed
