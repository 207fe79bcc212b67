"""Images are chosen by name, and named by digest."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment import choose_images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.deployment.choose_images import choose_image
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import ChainError, NotFoundError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels

pytestmark = pytest.mark.once

DIGEST = f"sha256:{'1' * 64}"
LABELS = {labels.TIER: "web", labels.TEAM: "team"}


def published(monkeypatch, *, found=True):
    asked = []

    def read(_client, repository, reference):
        asked.append((repository, reference))
        document = SimpleNamespace(id="sha256:config", labels=LABELS)
        return SimpleNamespace(name=f"example.org/team/web@{DIGEST}", document=document) if found else None

    monkeypatch.setattr(choose_images, "read_published", read)
    return asked


def engine(image):
    images = SimpleNamespace(find=lambda _name: image, engine_name=lambda image_id: f"engine {image_id}")
    return SimpleNamespace(images=images)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("example.org/team/web", "latest"),
        ("example.org/team/web:2.0", "2.0"),
        (f"example.org/team/web@{DIGEST}", DIGEST),
        (f"example.org/team/web:2.0@{DIGEST}", DIGEST),
    ],
)
def test_an_image_of_a_registry_is_named_by_its_digest(monkeypatch, name, reference):
    asked = published(monkeypatch)
    image = choose_image("web", name, lambda _host: None, None)
    assert asked == [("team/web", reference)]
    assert (image.reference, image.is_local) == (f"example.org/team/web@{DIGEST}", False)
    assert image.chosen_by == (name if name.count(":") else f"{name}:latest")
    assert (image.config, image.tier, image.team) == ("sha256:config", "web", "team")


def test_an_image_of_the_engine_is_named_as_the_engine_names_it():
    found = SimpleNamespace(id=DIGEST, labels=LABELS)
    image = choose_image("web", "web:latest", lambda _host: None, engine(found))
    assert (image.reference, image.is_local) == (f"engine {DIGEST}", True)


def test_a_missing_image_is_reported_with_its_service(monkeypatch):
    published(monkeypatch, found=False)
    with pytest.raises(NotFoundError, match=r"service 'web': example.org/team/web:1 does not exist in registry exa"):
        choose_image("web", "example.org/team/web:1", lambda _host: None, None)
    with pytest.raises(NotFoundError, match="service 'web': the engine has no image web:1"):
        choose_image("web", "web:1", lambda _host: None, engine(None))


def test_a_cluster_needs_a_registry():
    with pytest.raises(ChainError, match="names no registry"):
        choose_image("web", "web:1", lambda _host: None, None)


@pytest.mark.parametrize("name", ["", "Web:1", "web:!", "example.org/web@sha256:1"])
def test_other_texts_are_rejected(name):
    with pytest.raises(ChainError, match="is not the name of an image"):
        choose_image("web", name, lambda _host: None, engine(None))
