"""A snapshot of all images finds the same images as separate requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.api_errors import StatusError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.images import Images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from fake_engine.world import PLAIN


def list_entry(identifier, *tags, **labels):
    return {"Id": identifier, "RepoTags": list(tags), "Labels": labels}


def snapshot_of(images):
    return Images(Engine(images), None, PLAIN).snapshot()


def test_an_image_is_found_by_each_of_its_names():
    snapshot = snapshot_of(
        [list_entry("sha256:a", "web:latest", "web:key-1", tier="web"), list_entry("sha256:b", "db:latest")]
    )
    image = snapshot.find("web:latest")
    assert (image.id, image.labels) == ("sha256:a", {"tier": "web"})
    assert snapshot.find("web:key-1") == image
    assert snapshot.find("db:latest").id == "sha256:b"
    assert snapshot.find("web:key-2") is None


@pytest.mark.parametrize("listed_name", ["docker.io/library/web:1", "localhost/web:1", "web:1"])
@pytest.mark.parametrize("requested_name", ["docker.io/library/web:1", "web:1"])
def test_the_registry_that_an_engine_adds_to_a_name_is_ignored(listed_name, requested_name):
    """Podman lists names with a registry; Docker drops its own registry, even if a user wrote it."""
    assert snapshot_of([list_entry("sha256:a", listed_name)]).find(requested_name).id == "sha256:a"


def test_an_exact_name_takes_precedence_over_a_familiar_name():
    images = [list_entry("sha256:a", "web:1"), list_entry("sha256:b", "localhost/web:1")]
    for order in (images, images[::-1]):
        assert snapshot_of(order).find("web:1").id == "sha256:a"
        assert snapshot_of(order).find("localhost/web:1").id == "sha256:b"


@pytest.mark.parametrize(
    "nameless",
    [{"Id": "sha256:a", "RepoTags": None, "Labels": None}, {"Id": "sha256:a"}, list_entry("sha256:a", "<none>:<none>")],
)
def test_an_image_is_found_by_its_id(nameless):
    snapshot = snapshot_of([nameless])
    assert (snapshot.find("sha256:a").labels, snapshot.names) == ({}, {})


def test_names_are_grouped_by_repository():
    images = [list_entry("sha256:a", "docker.io/library/web:1", "host:5000/web:1"), list_entry("sha256:b", "web:2")]
    assert snapshot_of(images).names == {
        "web": {"1": "sha256:a", "2": "sha256:b"},
        "host:5000/web": {"1": "sha256:a"},
    }


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}:[a-z]{1,4}", fullmatch=True), st.integers(0, 5)))
def test_every_name_in_a_list_is_found(names):
    images = [list_entry(f"sha256:{number}", *(name for name in names if names[name] == number)) for number in range(6)]
    snapshot = snapshot_of(images)
    assert {name: snapshot.find(name).id for name in names} == {
        name: f"sha256:{number}" for name, number in names.items()
    }


class Engine:
    """Stands for a session, and counts the requests."""

    def __init__(self, images):
        self.answer = images
        self.requests = []

    def get(self, path, **parameters):
        self.requests.append((path, parameters))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_thousand_lookups_need_one_request():
    engine = Engine([list_entry(f"sha256:{number}", f"t{number}:latest") for number in range(1000)])
    snapshot = Images(engine, None, PLAIN).snapshot()
    assert all(snapshot.find(f"t{number}:latest").id == f"sha256:{number}" for number in range(1000))
    assert engine.requests == [("/images/json", {})]


def test_a_list_that_the_engine_refuses_is_reported():
    with pytest.raises(EngineError, match="listing images: the engine says: no"):
        snapshot_of(StatusError(500, b"no"))
