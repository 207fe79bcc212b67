"""Names of images: they can move, and an image is removed with its last name."""

from __future__ import annotations

from engine_contract.question import NOTHING


def test_a_tag_that_moves_leaves_an_image_without_a_name(asked):
    one, two = asked.load("one"), asked.load("two")
    asked.engine.images.tag(two.id, asked.repository, "one")
    assert asked.engine.images.get(f"{asked.repository}:one").id == two.id
    assert sorted(asked.engine.images.get(two.id).tags) == [f"{asked.repository}:one", f"{asked.repository}:two"]
    assert asked.engine.images.get(one.id).tags == ()
    assert [image for image, _labels in asked.engine.images.untagged(asked.label)] == [one.id]


def test_an_image_is_removed_with_its_last_name(asked):
    image = asked.load()
    asked.engine.images.tag(image.id, asked.repository, "more")
    asked.engine.images.remove(f"{asked.repository}:one")
    assert asked.engine.images.get(image.id).tags == (f"{asked.repository}:more",)
    asked.engine.images.remove(f"{asked.repository}:more")
    assert asked.engine.images.find(image.id) is None


def test_an_image_with_two_names_is_not_removed_by_its_id(asked):
    image = asked.load()
    asked.engine.images.tag(image.id, f"{asked.repository}/other", "more")
    asked.engine.images.remove(image.id)
    assert len(asked.engine.images.get(image.id).tags) == 2


def test_a_removed_image_can_be_removed_again(asked):
    image = asked.load()
    for reference in (f"{asked.repository}:one", f"{asked.repository}:one", image.id, NOTHING):
        asked.engine.images.remove(reference)


def test_the_image_of_a_container_is_not_removed(asked):
    image = asked.load()
    asked.start(image.id)
    asked.engine.images.remove(image.id)
    assert asked.engine.images.find(image.id) is not None
    assert image.id in asked.engine.containers.sources()


def test_a_snapshot_has_the_names_of_all_images(asked):
    one, two = asked.load("one"), asked.load("two")
    asked.engine.images.tag(one.id, asked.repository, "more")
    snapshot = asked.engine.images.snapshot()
    assert snapshot.names[asked.repository] == {"one": one.id, "more": one.id, "two": two.id}
    assert snapshot.find(f"{asked.repository}:two").labels["tag"] == "two"
    assert snapshot.find(one.id).id == one.id
    assert snapshot.find(NOTHING) is None
