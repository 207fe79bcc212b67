"""Every engine publishes an image with the same manifest, and pulls it again with the same configuration."""

from __future__ import annotations

import json

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.engine import connect
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image.manifest import (
    CONFIG,
    LAYER,
    MANIFEST,
    descriptor,
    image_manifest,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.publication.upload import upload
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.registry_writer import RegistryWriter
from engine_contract.question import sandbox as sandbox  # noqa: PLC0414 - a fixture
from fake_registry import fake_registry
from made_images import digest
from tiny_image import document, lower_layer, upper_layer


@pytest.fixture(scope="module")
def engine():
    connection = connect()
    yield connection
    connection.close()


def test_the_manifest_does_not_depend_on_the_engine_and_the_image_can_be_pulled(sandbox, engine):
    config = document({**sandbox.labels, "tag": "one"})
    layers = [descriptor(LAYER, digest(content), len(content)) for content in (lower_layer(), upper_layer())]
    expected = image_manifest(descriptor(CONFIG, digest(config), len(config)), layers)
    image = sandbox.load()
    with fake_registry() as registry:
        host = f"localhost:{registry.server_port}"
        done = upload(engine, image, RegistryWriter(host), "team/web", sources=[], say=print)
        assert registry.manifests == {("team/web", digest(expected)): expected}
        assert done.manifest == digest(expected)
        again = upload(engine, image, RegistryWriter(host), "team/web", sources=[], say=print)
        assert (again.manifest, again.sent) == (done.manifest, 0)
        assert json.loads(registry.manifests["team/web", done.manifest])["mediaType"] == MANIFEST
        engine.images.remove(f"{sandbox.repository}:one")
        if engine.images.find(image.id) is not None:
            engine.images.remove(image.id)
        assert engine.images.find(image.id) is None
        engine.images.pull(f"{host}/team/web", done.manifest, "pulling what was published")
        pulled = engine.images.get(f"{host}/team/web@{done.manifest}")
        assert (pulled.id, pulled.layers, pulled.labels) == (digest(config), image.layers, image.labels)
