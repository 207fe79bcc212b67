"""Names of images: they can move, and an image is removed with its last name."""

from __future__ import annotations

from engine_contract.question import MISSING_IMAGE


def test_a_tag_that_moves_leaves_an_image_without_a_name(sandbox):
    one, two = sandbox.load("one"), sandbox.load("two")
    sandbox.engine.images.tag(two.id, sandbox.repository, "one")
    assert sandbox.engine.images.get(f"{sandbox.repository}:one").id == two.id
    assert sorted(sandbox.engine.images.get(two.id).tags) == [f"{sandbox.repository}:one", f"{sandbox.repository}:two"]
    assert sandbox.engine.images.get(one.id).tags == ()
    assert [image for image, _labels in sandbox.engine.images.untagged(sandbox.label)] == [one.id]


def test_an_image_is_removed_with_its_last_name(sandbox):
    image = sandbox.load()
    sandbox.engine.images.tag(image.id, sandbox.repository, "more")
    sandbox.engine.images.remove(f"{sandbox.repository}:one")
    assert sandbox.engine.images.get(image.id).tags == (f"{sandbox.repository}:more",)
    sandbox.engine.images.remove(f"{sandbox.repository}:more")
    assert sandbox.engine.images.find(image.id) is None


def test_an_image_with_two_names_is_not_removed_by_its_id(sandbox):
    image = sandbox.load()
    sandbox.engine.images.tag(image.id, f"{sandbox.repository}/other", "more")
    sandbox.engine.images.remove(image.id)
    assert len(sandbox.engine.images.get(image.id).tags) == 2


def test_a_removed_image_can_be_removed_again(sandbox):
    image = sandbox.load()
    for reference in (f"{sandbox.repository}:one", f"{sandbox.repository}:one", image.id, MISSING_IMAGE):
        sandbox.engine.images.remove(reference)


def test_the_image_of_a_container_is_not_removed(sandbox):
    image = sandbox.load()
    sandbox.start(image.id)
    sandbox.engine.images.remove(image.id)
    assert sandbox.engine.images.find(image.id) is not None
    assert image.id in sandbox.engine.containers.sources()


def test_a_snapshot_has_the_names_of_all_images(sandbox):
    one, two = sandbox.load("one"), sandbox.load("two")
    sandbox.engine.images.tag(one.id, sandbox.repository, "more")
    snapshot = sandbox.engine.images.snapshot()
    assert snapshot.names[sandbox.repository] == {"one": one.id, "more": one.id, "two": two.id}
    assert snapshot.find(f"{sandbox.repository}:two").labels["tag"] == "two"
    assert snapshot.find(one.id).id == one.id
    assert snapshot.find(MISSING_IMAGE) is None
