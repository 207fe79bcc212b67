"""Finding the image of a container, or of a service of Swarm."""

from __future__ import annotations

import types

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.image_catalogue import ContainerImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError, UsageError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports import containers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.containers import (
    container_source,
    repository_of,
)

DIGEST = f"sha256:{'1' * 64}"


class Catalogue:
    """The containers of an engine, and of its services."""

    def __init__(self, found, services):
        self._found, self._services = found, services

    def container(self, name):
        if name not in self._found:
            raise NotFoundError(name)
        return ContainerImage(name, self._found[name], f"localhost:5000/dev/web@{DIGEST}")

    def service_containers(self, service):
        return self._services.get(service, [])


@pytest.fixture
def engine(monkeypatch):
    def with_containers(found, services=None):
        address = "unix:///engine.sock"
        engine = types.SimpleNamespace(address=address, catalogue=Catalogue(found, services or {}))
        monkeypatch.setattr(containers, "lazy_engine", lambda: engine)

    return with_containers


def test_a_container_names_its_image(engine):
    engine({"web": "sha256:old"})
    assert container_source("web").image == "sha256:old"


def test_a_service_names_the_image_of_all_its_containers(engine):
    engine({"web.1.x": "sha256:new", "web.2.y": "sha256:new"}, {"web": ["web.1.x", "web.2.y"]})
    assert container_source("web").image == "sha256:new"


def test_a_service_that_is_being_replaced_is_ambiguous(engine):
    engine({"web.1.x": "sha256:new", "web.2.y": "sha256:old"}, {"web": ["web.1.x", "web.2.y"]})
    with pytest.raises(UsageError, match=r"different images; name one of web\.1\.x, web\.2\.y"):
        container_source("web")


def test_what_is_neither_container_nor_service_is_an_error(engine):
    engine({})
    with pytest.raises(NotFoundError, match="has no container 'web', and no service of this name"):
        container_source("web")


@pytest.mark.parametrize(
    ("named", "repository"),
    [
        (f"localhost:5000/dev/web@{DIGEST}", "docker://localhost:5000/dev/web"),
        (f"localhost:5000/dev/web:latest@{DIGEST}", "docker://localhost:5000/dev/web"),
        ("registry.example.org/dev/web:latest", "docker://registry.example.org/dev/web"),
        ("web:latest", "web"),
        ("web", "web"),
        (DIGEST, None),
        ("1" * 12, None),
        ("", None),
    ],
)
def test_the_repository_follows_from_how_the_container_was_started(named, repository):
    assert repository_of(ContainerImage("c", DIGEST, named)) == repository
