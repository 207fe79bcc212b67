from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import Document, Step
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.transport import HeldImage
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.views.family_tree import build_tree, families, fold


def image(name, layers, *steps, size=0, named=True):
    told = tuple(Step(number, by, "", "", None) for number, by in enumerate(steps, 1))
    names = (f"{name}:latest",) if named else ()
    return HeldImage(Document(f"sha256:{name}", names, tuple(layers), told, {}, 0, ""), size)


def walk(roots):
    for node in roots:
        yield node
        yield from walk(node.children)


def below(node):
    """The nearest image that a node stands on."""
    while node.parent:
        node = node.parent
        if node.held:
            return node.held.document.id[7:]
    return None


def parents(roots):
    return {node.held.document.id[7:]: below(node) for node in walk(roots) if node.held}


def test_the_longest_beginning_is_the_parent():
    made = [image("c", "123"), image("a", "1"), image("b", "12"), image("other", "9"), image("not", "13")]
    assert parents(families(made)) == {"a": None, "b": "a", "c": "b", "other": None, "not": "a"}


def test_layers_that_only_siblings_share_are_a_trunk():
    roots = families([image("a", "123"), image("b", "124")])
    assert [(root.held, root.depth, len(root.children)) for root in roots] == [(None, 2, 2)]


def test_of_equal_layers_the_history_tells():
    made = [
        image("set", "1", "ADD", "ENV"),
        image("base", "1", "ADD"),
        image("other", "1", "ADD", "CMD"),
        image("above", "12", "ADD", "ENV", "RUN"),
        image("beside", "12", "ADD", "RUN"),
    ]
    assert parents(families(made)) == {"base": None, "set": "base", "other": "base", "above": "set", "beside": "base"}


def test_unnamed_steps_are_folded():
    made = [image("a", "1"), image("step", "12", named=False), image("b", "123"), image("leaf", "19", named=False)]
    assert parents(fold(families(made))) == {"a": None, "b": "a"}
    made.append(image("c", "124"))
    assert parents(fold(families(made))) == {"a": None, "step": "a", "b": "step", "c": "step"}


def test_sizes_are_told_against_the_nearest_image():
    tree = build_tree([image("a", "1", size=10), image("b", "123", size=17), image("c", "124", size=19)])
    assert [(each.names, each.own, each.shared) for each in tree.images] == [
        (["a:latest"], 10, 0),
        ([], None, None),
        (["b:latest"], 7, 10),
        (["c:latest"], 9, 10),
    ]


def test_up_and_down():
    made = [image("a", "1"), image("b", "12"), image("c", "123"), image("d", "13")]

    def names(**how):
        return [each.names[0][0] for each in build_tree(made, ["b"], **how).images]

    assert names() == ["a", "b", "c"]
    assert names(down=False) == ["a", "b"]
    assert names(up=False) == ["b", "c"]


def test_images_without_layers_stand_alone():
    assert parents(families([image("a", ""), image("b", ""), image("c", "1")])) == {"a": None, "b": None, "c": None}


@given(st.lists(st.text("xy", min_size=1, max_size=6), unique=True, max_size=20))
def test_lineage_of_any_images(layers):
    found = parents(families([image(each, each) for each in layers]))
    for each in layers:
        beginnings = [other for other in layers if each.startswith(other) and other != each]
        assert found[each] == max(beginnings, key=len, default=None)


@given(st.lists(st.tuples(st.text("xy", min_size=1, max_size=5), st.booleans()), max_size=20))
def test_the_tree_shows_each_named_image_once_after_its_parent(made):
    held = [image(str(number), layers, named=named) for number, (layers, named) in enumerate(made)]
    tree = build_tree(held)
    names = [name for each in tree.images for name in each.names]
    assert sorted(names) == sorted(name for each in held for name in each.document.names)
    assert all(each.parent is None or each.parent < each.number for each in tree.images)
    assert all(each.layers == each.own_layers for each in tree.images if each.parent is None)
    assert tree.hidden == sum(not each.document.names for each in held) - sum(
        bool(each.id and not each.names) for each in tree.images
    )
