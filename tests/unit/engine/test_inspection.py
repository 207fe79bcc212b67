"""Images are found in one answer of the engine as they are when it is asked for each."""

from __future__ import annotations

import docker.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.images import Images
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError
from fake_engine.world import PLAIN


def listed(identifier, *tags, **labels):
    return {"Id": identifier, "RepoTags": list(tags), "Labels": labels}


def taken(images):
    return Images(Engine(images), None, PLAIN).snapshot()


def test_an_image_is_found_by_each_of_its_names():
    snapshot = taken([listed("sha256:a", "web:latest", "web:key-1", tier="web"), listed("sha256:b", "db:latest")])
    found = snapshot.find("web:latest")
    assert (found.id, found.labels) == ("sha256:a", {"tier": "web"})
    assert snapshot.find("web:key-1") == found
    assert snapshot.find("db:latest").id == "sha256:b"
    assert snapshot.find("web:key-2") is None


@pytest.mark.parametrize("told", ["docker.io/library/web:1", "localhost/web:1", "web:1"])
@pytest.mark.parametrize("asked", ["docker.io/library/web:1", "web:1"])
def test_what_an_engine_puts_before_a_name_does_not_count(told, asked):
    """Podman tells names with a registry; Docker drops the one of its own that people wrote."""
    assert taken([listed("sha256:a", told)]).find(asked).id == "sha256:a"


def test_a_name_as_it_stands_goes_before_the_familiar_one():
    images = [listed("sha256:a", "web:1"), listed("sha256:b", "localhost/web:1")]
    for order in (images, images[::-1]):
        assert taken(order).find("web:1").id == "sha256:a"
        assert taken(order).find("localhost/web:1").id == "sha256:b"


@pytest.mark.parametrize(
    "nameless",
    [{"Id": "sha256:a", "RepoTags": None, "Labels": None}, {"Id": "sha256:a"}, listed("sha256:a", "<none>:<none>")],
)
def test_an_image_is_found_by_its_id_too(nameless):
    snapshot = taken([nameless])
    assert (snapshot.find("sha256:a").labels, snapshot.names) == ({}, {})


def test_names_are_told_by_repository():
    listed_images = [listed("sha256:a", "docker.io/library/web:1", "host:5000/web:1"), listed("sha256:b", "web:2")]
    assert taken(listed_images).names == {
        "web": {"1": "sha256:a", "2": "sha256:b"},
        "host:5000/web": {"1": "sha256:a"},
    }


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}:[a-z]{1,4}", fullmatch=True), st.integers(0, 5)))
def test_any_listing_is_looked_up_as_it_stands(names):
    images = [listed(f"sha256:{each}", *(name for name in names if names[name] == each)) for each in range(6)]
    snapshot = taken(images)
    assert {name: snapshot.find(name).id for name in names} == {name: f"sha256:{each}" for name, each in names.items()}


class Engine:
    """Stands for a session and its ``api``, and counts how often it is asked."""

    def __init__(self, images):
        self.api = self
        self.found = images
        self.asked = []

    def images(self, **how):
        self.asked.append(how)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_a_thousand_look_ups_are_one_question():
    engine = Engine([listed(f"sha256:{number}", f"t{number}:latest") for number in range(1000)])
    snapshot = Images(engine, None, PLAIN).snapshot()
    assert all(snapshot.find(f"t{number}:latest").id == f"sha256:{number}" for number in range(1000))
    assert engine.asked == [{}]


def test_an_engine_that_refuses_is_told():
    with pytest.raises(EngineError, match="listing images"):
        taken(docker.errors.APIError("no"))
