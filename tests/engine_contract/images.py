"""Images: finding, inspecting, loading and exporting them."""

from __future__ import annotations

import contextlib
import io
import tarfile

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import EngineError, NotFoundError
from engine_contract.question import LABEL, MISSING_IMAGE
from made_images import digest
from tiny_image import lower_layer, upper_layer


def test_an_image_is_found_by_its_name_and_by_its_id(sandbox):
    image = sandbox.load()
    assert image.id.startswith("sha256:")
    for reference in (f"{sandbox.repository}:one", image.id):
        result = sandbox.engine.images.find(reference)
        assert (result.id, result.is_named(f"{sandbox.repository}:one")) == (image.id, True)
    assert image.layers == (digest(lower_layer()), digest(upper_layer()))
    assert image.labels == {**sandbox.labels, "tag": "one"}
    assert image.created == 1767323045
    assert (image.os, image.architecture) == ("linux", sandbox.engine.system.platform()[1])


def test_a_missing_image_is_not_found(engine):
    assert engine.images.find(MISSING_IMAGE) is None
    assert engine.images.find(f"sha256:{'0' * 64}") is None
    assert engine.images.newest_step(f"sha256:{'0' * 64}") is None


def test_a_missing_image_is_an_error_where_one_is_required(engine):
    for call in (engine.images.get, engine.images.history, lambda image: engine.images.tag(image, "x", "y")):
        with pytest.raises(EngineError):
            call(f"sha256:{'0' * 64}")


def test_the_settings_of_an_image_are_those_that_were_loaded(sandbox):
    image = sandbox.load(Env=["A=b=c", "PATH=/bin"], User="7:8", WorkingDir="/srv", Volumes={"/srv/data": {}})
    config = sandbox.engine.images.full_config(image)
    wanted = {"User": "7:8", "WorkingDir": "/srv", "Volumes": {"/srv/data": {}}, "Cmd": ["/bin/sh"]}
    assert {key: config[key] for key in wanted} == wanted
    assert "A=b=c" in config["Env"]


def test_images_are_listed_by_label(sandbox):
    one, two = sandbox.load("one"), sandbox.load("two", labels={"other": "x"})
    labelled = sandbox.engine.images.labelled(sandbox.label)
    assert labelled.keys() == {one.id, two.id}
    assert labelled[two.id]["other"] == "x"
    assert sandbox.engine.images.labelled(f"{LABEL}=another") == {}
    assert {one.id, two.id} <= sandbox.engine.images.labelled(LABEL).keys()
    assert {one.id, two.id} <= set(sandbox.engine.images.all_ids())


def test_the_history_begins_with_the_newest_entry(sandbox):
    image = sandbox.load()
    history = sandbox.engine.images.history(image.id)
    assert [entry.created_by for entry in history] == ["upper", "lower"]
    assert [entry.comment for entry in history] == ["team operations", ""]
    assert all(entry.size > 0 and entry.created == 1767323045 for entry in history)
    assert sandbox.engine.images.newest_step(image.id) == history[0]


def test_an_invalid_archive_makes_no_image(sandbox):
    with contextlib.suppress(EngineError):  # Docker 20.10 accepts it, and makes no image
        sandbox.engine.images.load_archive(iter([b"no archive at all" * 100]), "something")
    assert sandbox.engine.images.labelled(sandbox.label) == {}


def test_an_image_is_exported_with_its_layers(sandbox):
    image = sandbox.load()
    content = b"".join(sandbox.engine.images.save(image.id))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        digests = {digest(tar.extractfile(member).read()) for member in tar if member.isreg()}
    assert set(image.layers) <= digests


def test_the_catalogue_agrees_with_the_images(sandbox):
    image = sandbox.load()
    [listed] = [entry for entry in sandbox.engine.catalogue.images() if entry.id == image.id]
    assert (listed.names, listed.labels["tag"]) == ((f"{sandbox.repository}:one",), "one")
    result = sandbox.engine.catalogue.image(f"{sandbox.repository}:one")
    assert (result.id, result.layers, result.names) == (image.id, image.layers, image.tags)
    assert [step.created_by for step in sandbox.engine.catalogue.history(image.id)] == ["upper", "lower"]
    with sandbox.engine.catalogue.packed(image.id) as packed:
        assert packed.read(1)
    with pytest.raises(NotFoundError):
        sandbox.engine.catalogue.image(MISSING_IMAGE)
