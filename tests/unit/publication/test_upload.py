"""Only what a repository does not have is exported from the engine, and sent."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.upload import upload
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from fake_registry import digest, fake_registry
from made_images import config, docker_save, layer, tier_step


class Engine:
    """An engine with one image."""

    def __init__(self, *layers):
        document = config(layers, [tier_step(f"tier{number}", "team") for number in range(len(layers))])
        self.image = SimpleNamespace(id=digest(document), layers=tuple(map(digest, layers)))
        self.archive, self.exports = layer(*docker_save({"web:latest": (document, layers)}).items()), 0
        self.images = self

    def save(self, _image):
        self.exports += 1
        return iter([self.archive])


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with fake_registry() as registry:
        yield registry


def send(engine, registry):
    return upload(engine, engine.image, RegistryWriter(registry.host), "team/web", sources=[], say=lambda _line: None)


@pytest.mark.parametrize("own", [b"web", b"longer than the base"], ids=["equal sizes", "different sizes"])
def test_a_missing_layer_is_found_also_if_it_has_the_size_of_a_layer_that_is_there(registry, own):
    base, web = layer(("etc/base", b"one")), layer(("etc/base", own + bytes(20_000) * (own != b"web")))
    assert (len(base) == len(web)) == (own == b"web")
    registry.blobs["team/web", digest(base)] = base
    engine = Engine(base, web)
    done = send(engine, registry)
    assert registry.blobs["team/web", digest(web)] == web
    manifest = json.loads(registry.manifests["team/web", done.manifest])
    assert [each["digest"] for each in manifest["layers"]] == [digest(base), digest(web)]
    assert engine.exports == (2 if own == b"web" else 1)


def test_nothing_is_exported_if_the_registry_has_everything(registry):
    engine = Engine(layer(("etc/base", b"one")))
    assert send(engine, registry).sent > 0
    assert send(engine, registry).sent == 0
    assert engine.exports == 1
