"""Attack: a layer changes dpkg's database, and not the packages. Scanners read only the database."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.custody.layer_content import LayerReader
from made_images import layer, tier_step
from opened_images import open_image, store  # noqa: F401 - fixtures

pytestmark = pytest.mark.once

STEPS = [tier_step("base", "operations"), tier_step("corebuild", "operations")]


def status(**versions):
    paragraphs = [
        f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n"
        for name, version in versions.items()
    ]
    return ("var/lib/dpkg/status", "\n".join(paragraphs).encode())


def info(name, content=b"/.\n"):
    return (f"var/lib/dpkg/info/{name}.list", content)


BASE = layer(status(openssl="3.0.1", tzdata="1"), info("openssl:amd64"), info("tzdata"))


@pytest.fixture
def claims(open_image):  # noqa: F811 - the fixture
    def find(*entries):
        stack, reader = open_image([BASE, layer(*entries)], STEPS), LayerReader()
        reader.read(stack)
        assert reader.claims(stack.document.layers[:1]) == []
        return [(claim.tier, str(claim)) for claim in reader.claims(stack.document.layers)]

    return find


def test_a_real_update_an_addition_and_a_removal_are_no_claims(claims):
    assert claims(status(openssl="3.0.2", curl="8"), info("openssl:amd64"), info("curl"), removed("tzdata")) == []


def removed(name):
    return (f"var/lib/dpkg/info/.wh.{name}.list", b"")


def test_a_list_that_is_written_without_a_change_counts(claims):
    assert claims(status(openssl="3.0.2", tzdata="1"), info("openssl:amd64", b"/.\n")) == []


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        (
            {"openssl": "3.0.22", "tzdata": "1"},
            "dpkg's database says openssl 3.0.22 instead of 3.0.1, but the layer does not have its files",
        ),
        (
            {"openssl": "3.0.1"},
            "dpkg's database does not list tzdata 1 any more, but its files are still there",
        ),
        (
            {"openssl": "3.0.1", "tzdata": "1", "curl": "8"},
            "dpkg's database says that curl 8 is installed, but the layer does not have its files",
        ),
    ],
    ids=["a version", "a removal", "an addition"],
)
def test_a_claim_names_tier_package_and_versions(claims, versions, message):
    assert claims(status(**versions)) == [("corebuild", message)]


def test_the_list_of_another_package_does_not_help(claims):
    assert len(claims(status(openssl="3.0.22", tzdata="1"), info("openssl-doc"), info("libopenssl:amd64"))) == 1
