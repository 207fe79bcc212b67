"""The tree of images: which image is based on which."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.records import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.journal import state_folder
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.state.status import (
    Followed,
    Standing,
    status_file,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import Document, Step
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import HeldImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.family_tree import (
    AncestorTier,
    Upstream,
    build_tree,
    families,
    fold,
    read_followed,
)


def image(name, layers, *steps, size=0, named=True):
    history = tuple(Step(number, by, "", "", None) for number, by in enumerate(steps, 1))
    names = (f"{name}:latest",) if named else ()
    return HeldImage(Document(f"sha256:{name}", names, tuple(layers), history, {}, 0, ""), size)


def walk(roots):
    for node in roots:
        yield node
        yield from walk(node.children)


def parent_of(node):
    """The nearest ancestor of a node that is an image."""
    while node.parent:
        node = node.parent
        if node.held:
            return node.held.document.id[7:]
    return None


def parents(roots):
    return {node.held.document.id[7:]: parent_of(node) for node in walk(roots) if node.held}


def test_the_image_with_the_longest_common_beginning_is_the_parent():
    images = [image("c", "123"), image("a", "1"), image("b", "12"), image("other", "9"), image("not", "13")]
    assert parents(families(images)) == {"a": None, "b": "a", "c": "b", "other": None, "not": "a"}


def test_siblings_with_shared_layers_have_a_common_node():
    roots = families([image("a", "123"), image("b", "124")])
    assert [(root.held, root.depth, len(root.children)) for root in roots] == [(None, 2, 2)]


def test_the_history_orders_images_with_equal_layers():
    images = [
        image("set", "1", "ADD", "ENV"),
        image("base", "1", "ADD"),
        image("other", "1", "ADD", "CMD"),
        image("above", "12", "ADD", "ENV", "RUN"),
        image("beside", "12", "ADD", "RUN"),
    ]
    assert parents(families(images)) == {"base": None, "set": "base", "other": "base", "above": "set", "beside": "base"}


def test_unnamed_images_are_folded():
    images = [image("a", "1"), image("step", "12", named=False), image("b", "123"), image("leaf", "19", named=False)]
    assert parents(fold(families(images))) == {"a": None, "b": "a"}
    images.append(image("c", "124"))
    assert parents(fold(families(images))) == {"a": None, "step": "a", "b": "step", "c": "step"}


def test_sizes_are_relative_to_the_nearest_ancestor():
    tree = build_tree([image("a", "1", size=10), image("b", "123", size=17), image("c", "124", size=19)])
    assert [(node.names, node.own, node.shared) for node in tree.images] == [
        (["a:latest"], 10, 0),
        ([], None, None),
        (["b:latest"], 7, 10),
        (["c:latest"], 9, 10),
    ]


def test_ancestors_and_descendants_can_be_excluded():
    images = [image("a", "1"), image("b", "12"), image("c", "123"), image("d", "13")]

    def names(**options):
        return [node.names[0][0] for node in build_tree(images, ["b"], **options).images]

    assert names() == ["a", "b", "c"]
    assert names(down=False) == ["a", "b"]
    assert names(up=False) == ["b", "c"]


def test_images_without_layers_have_no_family():
    assert parents(families([image("a", ""), image("b", ""), image("c", "1")])) == {"a": None, "b": None, "c": None}


@given(st.lists(st.text("xy", min_size=1, max_size=6), unique=True, max_size=20))
def test_each_image_is_based_on_its_longest_beginning(layers):
    ancestry = parents(families([image(name, name) for name in layers]))
    for name in layers:
        beginnings = [other for other in layers if name.startswith(other) and other != name]
        assert ancestry[name] == max(beginnings, key=len, default=None)


@given(st.lists(st.tuples(st.text("xy", min_size=1, max_size=5), st.booleans()), max_size=20))
def test_the_tree_shows_each_named_image_once_after_its_parent(stacks):
    images = [image(str(number), layers, named=named) for number, (layers, named) in enumerate(stacks)]
    tree = build_tree(images)
    names = [name for node in tree.images for name in node.names]
    assert sorted(names) == sorted(name for held in images for name in held.document.names)
    assert all(node.parent is None or node.parent < node.number for node in tree.images)
    assert all(node.layers == node.own_layers for node in tree.images if node.parent is None)
    assert tree.hidden == sum(not held.document.names for held in images) - sum(
        bool(node.id and not node.names) for node in tree.images
    )


def test_a_followed_image_names_its_origin_and_its_ancestors(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    steps = ["tierwright: tier base: debian bookworm", "tierwright: tier core: role core"]
    standing = Standing(
        "core", "ops", None, "core:latest", follows=Followed("r.example.org/core:stable", "sha256:m", "sha256:core")
    )
    state_folder("shop").mkdir(parents=True)
    status_file("shop").write_text(encode({"core": standing}))
    state_folder("damaged").mkdir(parents=True)
    status_file("damaged").write_text("{")
    tree = build_tree([image("core", "12", *steps), image("web", "123", *steps, "RUN")], followed=read_followed())
    core, web = tree.images
    assert core.follows == Upstream("r.example.org/core:stable", "sha256:m", [AncestorTier("base", None)])
    assert web.follows is None


def test_the_label_of_the_parent_decides_between_images_with_the_same_layers():
    """Two chains on one engine can have images that differ only in their labels."""
    mine, theirs = image("mine", "12", "ADD", "RUN"), image("theirs", "12", "ADD", "RUN")
    child = image("child", "123", "ADD", "RUN", "ROLE")
    for parent in ("mine", "theirs"):
        config = {"Labels": {labels.PARENT: f"sha256:{parent}"}}
        images = [mine, theirs, HeldImage(replace(child.document, config=config), 0)]
        assert parents(families(images))["child"] == parent
    config = {"Labels": {labels.PARENT: "sha256:elsewhere"}}
    assert parents(families([mine, HeldImage(replace(child.document, config=config), 0)]))["child"] == "mine"
