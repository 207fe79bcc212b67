"""Images: found, told, loaded and read out."""

from __future__ import annotations

import contextlib
import io
import tarfile

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, NotFoundError
from engine_contract.question import LABEL, NOTHING
from made_images import digest
from tiny_image import lower_layer, upper_layer


def test_an_image_is_found_by_its_name_and_by_its_id(asked):
    image = asked.load()
    assert image.id.startswith("sha256:")
    for reference in (f"{asked.repository}:one", image.id):
        found = asked.engine.images.find(reference)
        assert (found.id, found.is_named(f"{asked.repository}:one")) == (image.id, True)
    assert image.layers == (digest(lower_layer()), digest(upper_layer()))
    assert image.labels == {**asked.labels, "tag": "one"}
    assert image.created == 1767323045
    assert (image.os, image.architecture) == ("linux", asked.engine.system.platform()[1])


def test_an_image_that_is_not_there_is_none(engine):
    assert engine.images.find(NOTHING) is None
    assert engine.images.find(f"sha256:{'0' * 64}") is None
    assert engine.images.newest_step(f"sha256:{'0' * 64}") is None


def test_an_image_that_must_be_there_is_an_error(engine):
    for ask in (engine.images.get, engine.images.history, lambda image: engine.images.tag(image, "x", "y")):
        with pytest.raises(EngineError):
            ask(f"sha256:{'0' * 64}")


def test_what_an_image_is_like_comes_back_as_it_was_loaded(asked):
    image = asked.load(Env=["A=b=c", "PATH=/bin"], User="7:8", WorkingDir="/srv", Volumes={"/srv/data": {}})
    config = asked.engine.images.full_config(image)
    wanted = {"User": "7:8", "WorkingDir": "/srv", "Volumes": {"/srv/data": {}}, "Cmd": ["/bin/sh"]}
    assert {key: config[key] for key in wanted} == wanted
    assert "A=b=c" in config["Env"]


def test_images_are_listed_by_label(asked):
    one, two = asked.load("one"), asked.load("two", labels={"other": "x"})
    found = asked.engine.images.labelled(asked.label)
    assert found.keys() == {one.id, two.id}
    assert found[two.id]["other"] == "x"
    assert asked.engine.images.labelled(f"{LABEL}=another") == {}
    assert {one.id, two.id} <= asked.engine.images.labelled(LABEL).keys()
    assert {one.id, two.id} <= set(asked.engine.images.all_ids())


def test_the_history_is_told_with_the_newest_first(asked):
    image = asked.load()
    steps = asked.engine.images.history(image.id)
    assert [each.created_by for each in steps] == ["upper", "lower"]
    assert [each.comment for each in steps] == ["team operations", ""]
    assert all(each.size > 0 and each.created == 1767323045 for each in steps)
    assert asked.engine.images.newest_step(image.id) == steps[0]


def test_nothing_comes_of_what_is_no_archive(asked):
    with contextlib.suppress(EngineError):  # Docker 20.10 takes it, and makes nothing of it
        asked.engine.images.load_archive(iter([b"no archive at all" * 100]), "something")
    assert asked.engine.images.labelled(asked.label) == {}


def test_an_image_is_read_out_with_its_layers(asked):
    image = asked.load()
    content = b"".join(asked.engine.images.save(image.id))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        found = {digest(tar.extractfile(each).read()) for each in tar if each.isreg()}
    assert set(image.layers) <= found


def test_the_catalogue_tells_the_same(asked):
    image = asked.load()
    [listed] = [each for each in asked.engine.catalogue.images() if each.id == image.id]
    assert (listed.names, listed.labels["tag"]) == ((f"{asked.repository}:one",), "one")
    found = asked.engine.catalogue.image(f"{asked.repository}:one")
    assert (found.id, found.layers, found.names) == (image.id, image.layers, image.tags)
    assert [each.created_by for each in asked.engine.catalogue.history(image.id)] == ["upper", "lower"]
    with asked.engine.catalogue.packed(image.id) as packed:
        assert packed.read(1)
    with pytest.raises(NotFoundError):
        asked.engine.catalogue.image(NOTHING)
