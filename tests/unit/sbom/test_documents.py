"""Bills of materials in both formats: valid for the validators of others, complete, and the same every time."""

from __future__ import annotations

import io
import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.layer_index.index import index
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom import cyclonedx, spdx
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.component_reader import read_components
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image import Stack, layers
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.transports.image_document import parse
from made_images import config, digest, layer, step, tier_step
from made_packages import MAINTAINER, OS_RELEASE, dpkg

pytestmark = pytest.mark.once

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
BASE = layer(
    dpkg(("libssl3", "3.0.11-1", "openssl"), ("old", "1")), OS_RELEASE, ("etc/os-release", "-> ../usr/lib/os-release")
)
CORE = layer(dpkg(("libssl3", "3.0.14-1", "openssl"), ("libstdc++6", "1:2+b1", "gcc-12 (1:2)")))
STEPS = [tier_step("base", "ops"), tier_step("core", "ops", created="2026-02-03T04:05:06Z")]
PARENT = digest(b"the image of base")
LABELS = {"io.tierwright.tier": "core", "io.tierwright.parent": PARENT}
FORMATS = [cyclonedx, spdx]


@pytest.fixture
def image(open_image):
    return read_components(open_image([BASE, CORE], STEPS, Labels=LABELS))


def text(document):
    """Return a document as the command prints it. It must not have bytes that are not UTF-8."""
    written = json.dumps(document, indent=2)
    written.encode()
    json.dumps(document, ensure_ascii=False).encode()
    return written


def check(module, document):
    """Check a document with the validator of another project."""
    written = text(document)
    if module is cyclonedx:
        assert VALIDATOR.validate_str(written) is None
    else:
        messages = validate_full_spdx_document(JsonLikeDictParser().parse(json.loads(written)), "SPDX-2.3")
        assert [message.validation_message for message in messages] == []


def properties(thing):
    return [(each["name"], each["value"]) for each in thing["properties"]]


def notes(package):
    return [each["comment"] for each in package["annotations"]]


@pytest.mark.parametrize("module", FORMATS)
def test_documents_are_valid(module, image, open_image):
    check(module, module.write_image(image))
    for part in image.parts:
        check(module, module.write_part(image, part))
    steps = [step("RUN x"), tier_step("settings", "ops", empty=True)]
    foreign = read_components(open_image([layer(("a", b""))], steps))
    check(module, module.write_image(foreign))
    for part in foreign.parts:
        check(module, module.write_part(foreign, part))
    check(module, module.write_image(read_components(open_image([], []))))


def test_cyclonedx_of_an_image(image):
    document = cyclonedx.write_image(image)
    assert document["metadata"]["timestamp"] == "2026-01-02T03:04:05Z"
    subject = document["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("core", image.id)
    [ancestor] = subject["pedigree"]["ancestors"]
    assert (ancestor["name"], ancestor["version"]) == ("base", PARENT)
    system, ssl, cpp = document["components"]
    assert (system["type"], system["name"], system["version"]) == ("operating-system", "debian", "12")
    assert ssl["purl"] == "pkg:deb/debian/libssl3@3.0.14-1?arch=amd64&distro=debian-12&upstream=openssl"
    assert properties(ssl) == [
        ("tierwright:tier", "core"),
        ("tierwright:team", "ops"),
        ("tierwright:role", "core"),
        ("tierwright:layer", digest(CORE)),
        ("tierwright:change", "changed"),
        ("tierwright:before", "3.0.11-1"),
        ("tierwright:source", "openssl 3.0.14-1"),
    ]
    assert ssl["supplier"]["name"] == "Debian OpenSSL Team"
    assert cpp["purl"].startswith("pkg:deb/debian/libstdc%2B%2B6@1:2%2Bb1?")
    assert document["dependencies"][0] == {
        "ref": "image",
        "dependsOn": ["operating-system", ssl["bom-ref"], cpp["bom-ref"]],
    }
    assert document["compositions"] == [{"aggregate": "incomplete", "assemblies": ["image"]}]


def test_cyclonedx_of_a_tier(image):
    document = cyclonedx.write_part(image, image.part_of("core"))
    assert document["metadata"]["timestamp"] == "2026-02-03T04:05:06Z"
    subject = document["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("core", digest(CORE))
    assert ("tierwright:removed", "pkg:deb/debian/old@1?arch=amd64&distro=debian-12") in properties(subject)
    parent = document["components"][0]
    assert (parent["bom-ref"], parent["name"], parent["version"]) == ("parent", "base", PARENT)
    assert "parent" in document["dependencies"][0]["dependsOn"]
    assert [each["name"] for each in document["components"][2:]] == ["libssl3", "libstdc++6"]
    lowest = cyclonedx.write_part(image, image.part_of("base"))
    assert [each["name"] for each in lowest["components"]] == ["debian", "libssl3", "old"]


def test_spdx_of_an_image(image):
    document = spdx.write_image(image)
    subject, parent, ssl, cpp = document["packages"]
    assert (subject["name"], subject["versionInfo"]) == ("core", image.id)
    assert (parent["name"], parent["versionInfo"]) == ("base", PARENT)
    assert notes(ssl) == [
        "tierwright:tier=core",
        "tierwright:team=ops",
        "tierwright:role=core",
        f"tierwright:layer={digest(CORE)}",
        "tierwright:change=changed",
        "tierwright:before=3.0.11-1",
    ]
    assert ssl["sourceInfo"] == "built from source package openssl 3.0.14-1"
    name, _, address = MAINTAINER.rstrip(">").partition(" <")
    assert ssl["supplier"] == f"Organization: {name} ({address})"
    assert ssl["externalRefs"][0]["referenceLocator"].startswith("pkg:deb/debian/libssl3@3.0.14-1?")
    kinds = [(each["relationshipType"], each["relatedSpdxElement"]) for each in document["relationships"]]
    assert kinds == [
        ("DESCRIBES", "SPDXRef-Image"),
        ("DESCENDANT_OF", "SPDXRef-Parent"),
        ("CONTAINS", ssl["SPDXID"]),
        ("CONTAINS", cpp["SPDXID"]),
        ("CONTAINS", "NOASSERTION"),
    ]


def test_spdx_of_a_tier_names_what_it_removed(image):
    document = spdx.write_part(image, image.part_of("core"))
    assert "tierwright:removed=pkg:deb/debian/old@1?arch=amd64&distro=debian-12" in notes(document["packages"][0])
    assert document["creationInfo"]["created"] == "2026-02-03T04:05:06Z"


@pytest.mark.parametrize("module", FORMATS)
def test_equal_images_have_equal_documents(module, image, open_image):
    again = read_components(open_image([BASE, CORE], STEPS, Labels=LABELS))
    assert text(module.write_image(image)) == text(module.write_image(again))
    for one, other in zip(image.parts, again.parts, strict=True):
        assert text(module.write_part(image, one)) == text(module.write_part(again, other))


@pytest.mark.parametrize("module", FORMATS)
def test_a_lower_tier_has_the_same_document_in_each_image_that_contains_it(module, image, open_image):
    web = layer(dpkg(("php", "8")), ("etc/os-release", b"ID=ubuntu\n"))
    child = read_components(open_image([BASE, CORE, web], [*STEPS, tier_step("web", "mid")]))
    base = [text(module.write_part(each, each.part_of("base"))) for each in (image, child)]
    assert base[0] == base[1]


@pytest.mark.parametrize(("module", "name"), [(cyclonedx, "serialNumber"), (spdx, "documentNamespace")])
def test_each_document_has_its_own_identity(module, name, image, open_image):
    other = read_components(open_image([BASE, CORE], STEPS, Env=["A=1"], Labels=LABELS))
    documents = [module.write_image(image), module.write_image(other)]
    documents += [module.write_part(image, part) for part in image.parts]
    assert len({document[name] for document in documents}) == len(documents)


def test_a_database_that_could_not_be_read_is_part_of_the_documents(open_image):
    image = read_components(open_image([layer(("var/lib/rpm/rpmdb.sqlite", b"damaged"))], STEPS[:1]))
    for document in (cyclonedx.write_image(image), cyclonedx.write_part(image, image.parts[0])):
        assert any("rpmdb.sqlite" in value for _, value in properties(document["metadata"]["component"]))
    assert any("rpmdb.sqlite" in note for note in notes(spdx.write_image(image)["packages"][0]))


@pytest.mark.parametrize("module", FORMATS)
def test_names_that_are_not_utf_8_make_valid_documents(module, open_image):
    name = "\udcff\x1b\u202e"
    image = read_components(
        open_image([layer(dpkg((name, name, name)))], [tier_step(name, name)], Labels={"io.tierwright.tier": name})
    )
    check(module, module.write_image(image))
    check(module, module.write_part(image, image.parts[0]))


NASTY = st.text(st.characters(exclude_characters="\n\r"), min_size=1, max_size=12)


@settings(max_examples=4)  # the schemas take a second for each
@example([("\f", "0", "0")], "0")  # names of white space alone
@example([("0", "0", "0")], "\f")
@given(st.lists(st.tuples(NASTY, NASTY, NASTY), min_size=1, max_size=4), NASTY)
def test_hostile_databases_and_histories_make_valid_documents(packages, word):
    content = layer(
        dpkg(*packages, more=f"\nPackage: x\nVersion: {word}\nMaintainer: {word} <{word}>\n"),
        ("etc/os-release", f"ID={word}\nVERSION_ID={word}\n".encode("utf-8", "surrogatepass")),
    )
    document = parse(config([content], [tier_step(word.replace(":", ""), word)]), (word,), "it")
    stack = Stack(document, tuple(layers(document)), (index(io.BytesIO(content), "it"),))
    image = read_components(stack)
    for module in FORMATS:
        check(module, module.write_image(image))
        check(module, module.write_part(image, image.parts[0]))
