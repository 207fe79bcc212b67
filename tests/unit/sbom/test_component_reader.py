"""What each layer did to the packages of an image, and who owns what is left."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import NotFoundError
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import Store, index
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.component_reader import read_components
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import Stack, layers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import parse
from made_images import config, digest, layer, step, tier_step
from made_packages import MAINTAINER, OS_RELEASE, dpkg

pytestmark = pytest.mark.once

BASE_STATUS = dpkg(("libssl3", "3.0.11-1", "openssl"), ("old", "1"), ("curl", "7.1+b1", "curl (7.1)"))
BASE = layer(
    BASE_STATUS,
    OS_RELEASE,
    ("etc/os-release", "-> ../usr/lib/os-release"),
    ("usr/bin/curl", b"curl"),
)
CORE = layer(dpkg(("libssl3", "3.0.14-1", "openssl"), ("curl", "7.1+b1", "curl (7.1)")))
WEB = layer(dpkg(("libssl3", "3.0.14-1", "openssl"), ("curl", "7.1+b1", "curl (7.1)"), ("php", "2:8.2")))
STEPS = [tier_step("base", "ops"), tier_step("core", "ops"), tier_step("web", "mid")]


def summary(components):
    return [
        (each.package.name, each.change.value, each.before, each.package.version, each.owner.tier)
        for each in components
    ]


@pytest.fixture
def image(open_image):
    return read_components(open_image([BASE, CORE, WEB], STEPS))


def test_each_part_names_what_its_layer_did(image):
    base, core, web = image.parts
    assert summary(base.components) == [
        ("curl", "added", None, "7.1+b1", "base"),
        ("libssl3", "added", None, "3.0.11-1", "base"),
        ("old", "added", None, "1", "base"),
    ]
    assert summary(core.components) == [("libssl3", "changed", "3.0.11-1", "3.0.14-1", "core")]
    assert summary(core.removed) == [("old", "removed", None, "1", "core")]
    assert summary(web.components) == [("php", "added", None, "2:8.2", "web")]
    assert [part.removed for part in (base, web)] == [(), ()]


def test_what_is_installed_belongs_to_the_tier_that_last_changed_it(image):
    assert summary(image.installed) == [
        ("curl", "added", None, "7.1+b1", "base"),
        ("libssl3", "changed", "3.0.11-1", "3.0.14-1", "core"),
        ("php", "added", None, "2:8.2", "web"),
    ]
    assert [each.owner.team for each in image.installed] == ["ops", "ops", "mid"]


def test_the_source_package_and_the_maintainer_are_read(image):
    curl, libssl, php = (each.package for each in image.installed)
    assert (curl.source, curl.source_version) == ("curl", "7.1")
    assert (libssl.source, libssl.source_version) == ("openssl", "3.0.14-1")
    assert (php.source, php.source_version, php.maintainer) == ("php", "2:8.2", MAINTAINER)


def test_the_distribution_is_read_through_the_link(image):
    assert [str(part.distribution) for part in image.parts] == ["debian-12"] * 3


def test_the_distribution_of_a_part_is_that_of_its_own_layers(open_image):
    newer = layer(("usr/lib/os-release", b'ID="debian"\nVERSION_CODENAME=forky\n'))
    image = read_components(open_image([BASE, newer], STEPS[:2]))
    assert [str(part.distribution) for part in image.parts] == ["debian-12", "debian-forky"]
    assert image.distribution.version == "forky"


def test_a_layer_that_only_renames_the_source_is_a_change(open_image):
    renamed = layer(dpkg(("libssl3", "3.0.11-1", "harmless"), ("old", "1"), ("curl", "7.1+b1", "curl (7.1)")))
    image = read_components(open_image([BASE, renamed], STEPS[:2]))
    assert summary(image.parts[1].components) == [("libssl3", "changed", "3.0.11-1", "3.0.11-1", "core")]


@pytest.mark.parametrize("state", ["deinstall ok config-files", "install ok unpacked"])
def test_a_package_that_is_hidden_by_its_state_is_listed_as_removed(open_image, state):
    hidden = layer((BASE_STATUS[0], BASE_STATUS[1].replace(b"install ok installed", state.encode(), 1)))
    image = read_components(open_image([BASE, hidden], STEPS[:2]))
    assert summary(image.parts[1].removed) == [("libssl3", "removed", None, "3.0.11-1", "core")]


def test_a_removed_database_removes_all_packages(open_image):
    for hidden in (layer(("var/lib/dpkg/.wh.status", b"")), layer(("var/lib/.wh..wh..opq", b"")), layer(("var", b""))):
        image = read_components(open_image([BASE, hidden], STEPS[:2]))
        assert image.installed == ()
        assert [name for name, *_ in summary(image.parts[1].removed)] == ["curl", "libssl3", "old"]


def test_a_tier_without_a_layer_is_a_part_without_packages(open_image):
    steps = [STEPS[0], step("CMD x", empty=True), tier_step("settings", "ops", empty=True), *STEPS[1:]]
    image = read_components(open_image([BASE, CORE, WEB], steps))
    assert [part.owner.tier for part in image.parts] == ["base", "settings", "core", "web"]
    settings = image.part_of("settings")
    assert (settings.owner.layer, settings.components, settings.removed) == (None, (), ())
    assert image.below(image.part_of("core")) is settings
    assert len({part.chain for part in image.parts}) == 4


def test_a_pulled_base_owns_the_layers_of_the_image_that_it_took(open_image):
    steps = [step("RUN one"), step("CMD x", empty=True), step("RUN two"), tier_step("base", "ops", empty=True)]
    image = read_components(open_image([BASE, CORE, WEB], [*steps, tier_step("web", "mid")]))
    assert [(part.owner.called, len(part.below), len(part.layers)) for part in image.parts] == [
        ("base", 0, 2),
        ("web", 2, 1),
    ]
    assert summary(image.part_of("base").components) == [
        ("curl", "added", None, "7.1+b1", "base"),
        ("libssl3", "added", None, "3.0.14-1", "base"),
    ]
    assert [each.owner.team for each in image.installed] == ["ops", "ops", "mid"]


def test_layers_of_others_upon_a_tier_belong_to_no_tier(open_image):
    steps = [tier_step("base", "ops"), step("RUN x"), tier_step("settings", "ops", empty=True), step("RUN y")]
    image = read_components(open_image([BASE, CORE, WEB], steps))
    assert [(part.owner.called, part.owner.tier) for part in image.parts] == [
        ("base", "base"),
        ("layer 2: RUN x", None),
        ("settings", "settings"),
        ("layer 3: RUN y", None),
    ]


def test_layers_that_others_made_have_no_tier(open_image):
    image = read_components(open_image([BASE], [step("RUN apt-get install curl")]))
    assert [part.owner.called for part in image.parts] == ["layer 1: RUN apt-get install curl"]
    assert {each.owner.tier for each in image.installed} == {None}
    without_history = read_components(open_image([BASE, CORE], [step("a")]))
    assert [part.owner.called for part in without_history.parts] == ["layer 1", "layer 2"]


def test_an_unknown_tier_is_an_error_that_names_the_tiers(image):
    assert image.part_of("core").owner.team == "ops"
    with pytest.raises(NotFoundError, match=r"image web has no tier 'nothing'; it has base, core, web$"):
        image.part_of("nothing")


def test_the_image_is_named_after_its_tier_and_knows_its_parent(open_image):
    parent = digest(b"parent")
    labels = {"io.tierwright.parent": parent, "io.tierwright.tier": "web"}
    image = read_components(open_image([BASE, CORE, WEB], STEPS, Labels=labels))
    assert (image.name, image.parent) == ("web", parent)
    inherited = read_components(open_image([BASE, CORE, WEB, BASE], [*STEPS, step("RUN x")], Labels=labels))
    assert (inherited.name, inherited.parent) == ("it", None)


def test_two_versions_of_a_package_are_two_components(open_image):
    def status_d(name, version):
        return f"var/lib/dpkg/status.d/{name}", f"Package: kernel\nVersion: {version}\nArchitecture: all\n".encode()

    base = layer(status_d("one", "1"), status_d("two", "2"))
    image = read_components(open_image([base, layer(status_d("two", "3"))], STEPS[:2]))
    assert summary(image.installed) == [
        ("kernel", "added", None, "1", "base"),
        ("kernel", "changed", "2", "3", "core"),
    ]
    shrunk = read_components(open_image([base, layer(("var/lib/dpkg/status.d/.wh.one", b""))], STEPS[:2]))
    assert summary(shrunk.parts[1].removed) == [("kernel", "removed", None, "1", "core")]
    assert summary(shrunk.installed) == [("kernel", "added", None, "2", "base")]


@pytest.mark.timeout(120)  # a few seconds; what grows with the square of the input takes far longer
def test_a_database_in_a_million_folders_costs_little_memory(open_image):
    deep = "var/lib/dpkg/status.d/" + "a/" * 20_000 + "deep"
    image = read_components(open_image([layer((deep, b"Package: deep\nVersion: 1\n"))], STEPS[:1]))
    assert [name for name, *_ in summary(image.installed)] == ["deep"]


def test_packages_of_alpine_name_their_origin(open_image):
    text = b"P:libssl3\nV:3.1.4-r1\nA:x86_64\no:openssl\nm:Ariadne <ariadne@example.org>\n"
    [component] = read_components(open_image([layer(("lib/apk/db/installed", text))], STEPS[:1])).installed
    assert (component.manager, component.package.source, component.package.source_version) == (
        "apk",
        "openssl",
        "3.1.4-r1",
    )


def test_a_database_that_cannot_be_read_is_told(open_image):
    image = read_components(open_image([layer(("var/lib/rpm/rpmdb.sqlite", b"damaged"))], STEPS[:1]))
    assert image.installed == ()
    assert "rpmdb.sqlite" in image.unread[0]


VERSIONS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2", "3"]), max_size=4)


def read(contents, steps):
    """Read an image without writing it."""
    document = parse(config(contents, steps), (), "it")
    indexes = tuple(index(io.BytesIO(content), "it") for content in contents)
    return read_components(Stack(document, tuple(layers(document)), indexes))


@given(st.lists(VERSIONS, min_size=1, max_size=5))
def test_the_parts_add_up_to_what_is_installed(databases):
    contents = [layer(dpkg(*packages.items())) for packages in databases]
    image = read(contents, [tier_step(f"tier{number}", "ops") for number in range(len(contents))])
    installed = {}
    for part in image.parts:
        for each in part.removed:
            assert installed.pop(each.package.name) == each.package.version
        for each in part.components:
            assert installed.get(each.package.name) == each.before
            installed[each.package.name] = each.package.version
    assert installed == databases[-1]
    assert [(each.package.name, each.package.version) for each in image.installed] == sorted(databases[-1].items())


@given(st.binary(max_size=400))
def test_any_database_and_any_distribution_are_read(content):
    image = read([layer(("var/lib/dpkg/status", content), ("etc/os-release", content))], [tier_step("base", "ops")])
    assert all(each.package.name.isprintable() for each in image.installed)


def test_the_cache_keeps_all_details(tmp_path):
    made = index(io.BytesIO(BASE), "it")
    Store(tmp_path).add(made)
    assert Store(tmp_path).index(made.digest) == made
    assert made.installed["var/lib/dpkg/status"][0].source == "openssl"
