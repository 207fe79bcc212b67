"""Bills of materials of the demo agree with dpkg in a container of each image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from .command import tierwright_fixture  # noqa: F401 - tests use the fixture
from .conftest import DEMO, run_container

pytestmark = pytest.mark.once

FORM = "${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\\n"
#: The tiers of each image, the lowest first.
TIERS = {
    "base": ["base"],
    "corebuild": ["base", "corebuild"],
    "httpd-php": ["base", "corebuild", "httpd-php"],
    "mariadb": ["base", "corebuild", "mariadb"],
    "haproxy": ["base", "corebuild", "haproxy"],
    "wordpress": ["base", "corebuild", "httpd-php", "wordpress"],
}


def properties(thing):
    return {each["name"].removeprefix("tierwright:"): each["value"] for each in thing["properties"]}


def packages(document):
    """Packages of a document: name, version, architecture, and the source package with its version."""
    found = []
    for component in document["components"]:
        if component["type"] == "library":
            purl = PackageURL.from_string(component["purl"])
            assert (purl.name, purl.version) == (component["name"], component["version"])
            assert (purl.type, purl.namespace, purl.qualifiers["distro"]) == ("deb", "debian", "debian-12")
            source, version = properties(component)["source"].split(" ")
            found.append((purl.name, purl.version, purl.qualifiers["arch"], source, version))
    return found


def packages_of_dpkg(engine, image):
    output = run_container(engine, image, ["dpkg-query", "-W", "-f", FORM], entrypoint="", user="0")
    lines = [line.split(" ") for line in output.splitlines()]
    return [tuple(fields) for state, *fields in lines if state == "installed"]


@pytest.mark.parametrize("image", DEMO)
def test_the_document_of_an_image_has_the_packages_of_dpkg(tierwright, demo, engine, image):
    document = tierwright("sbom", image).json
    expected = packages_of_dpkg(engine, demo[image].id)
    assert len(expected) > 50
    assert sorted(packages(document)) == sorted(expected)
    assert document["metadata"]["component"]["version"] == demo[image].id
    owners = {properties(each)["tier"] for each in document["components"] if each["type"] == "library"}
    assert owners <= set(TIERS[image])


def saved_image(image, folder):
    archive = folder / "image.tar"
    with archive.open("wb") as file:
        for piece in image.save(named=True):
            file.write(piece)
    return archive


def packages_of_syft(archive):
    syft = Path(sys.executable).with_name("syft")
    command = [syft, "scan", "--quiet", f"docker-archive:{archive}", "--select-catalogers", "dpkg"]
    environment = os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false", "SYFT_CACHE_DIR": str(archive.parent)}
    done = subprocess.run([*command, "--output", "syft-json"], env=environment, capture_output=True, check=True)
    found = [each["metadata"] for each in json.loads(done.stdout)["artifacts"]]
    return [
        (
            *(each["package"], each["version"], each["architecture"]),
            *(each["source"] or each["package"], each["sourceVersion"] or each["version"]),
        )
        for each in found
    ]


@pytest.mark.sampled
@pytest.mark.parametrize("image", DEMO)
def test_the_document_of_an_image_has_the_packages_of_syft(tierwright, demo, tmp_path, image):
    archive = saved_image(demo[image], tmp_path)
    assert sorted(packages_of_syft(archive)) == sorted(packages(tierwright("sbom", image).json))


@pytest.mark.parametrize("image", DEMO)
@pytest.mark.usefixtures("demo")
def test_the_documents_of_the_tiers_add_up_to_that_of_the_image(tierwright, image):
    installed = {}
    for tier, document in zip(TIERS[image], tierwright("sbom", image, "--layers").json, strict=True):
        assert document["metadata"]["component"]["name"] == tier
        assert document == tierwright("sbom", image, "--tier", tier).json
        removed = [
            each["value"]
            for each in document["metadata"]["component"]["properties"]
            if each["name"] == "tierwright:removed"
        ]
        for text in removed:
            purl = PackageURL.from_string(text)
            assert installed.pop((purl.name, purl.qualifiers["arch"]))[1] == purl.version
        changes = [properties(each) for each in document["components"] if each["type"] == "library"]
        for package, change in zip(packages(document), changes, strict=True):
            before = installed.get((package[0], package[2]))
            assert (before[1] if before else None) == change.get("before")
            installed[package[0], package[2]] = package
    assert sorted(installed.values()) == sorted(packages(tierwright("sbom", image).json))


@pytest.mark.parametrize("image", DEMO)
@pytest.mark.usefixtures("demo")
def test_documents_are_valid(tierwright, image):
    for arguments in ([], ["--tier", image]):
        written = tierwright("sbom", image, *arguments).output
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
        document = JsonLikeDictParser().parse(tierwright("sbom", image, "--format", "spdx", *arguments).json)
        assert validate_full_spdx_document(document, "SPDX-2.3") == []


def test_the_document_is_the_same_from_an_archive(tierwright, demo, tmp_path):
    archive = saved_image(demo["corebuild"], tmp_path)
    for form in ("cyclonedx", "spdx"):
        ours = tierwright("sbom", "corebuild", "--format", form).output
        assert tierwright("sbom", f"archive:{archive}", "--format", form).output == ours


@pytest.mark.usefixtures("demo")
def test_each_team_must_act_on_findings_in_its_own_packages(tierwright, tmp_path):
    """A report that names one package of each tier, in the versions that are installed."""
    document = tierwright("sbom", "wordpress").json
    chosen = {properties(each)["tier"]: each for each in document["components"] if each["type"] == "library"}
    report = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "components": list(chosen.values()),
        "vulnerabilities": [
            {"id": f"CVE-{tier}", "affects": [{"ref": component["bom-ref"]}]} for tier, component in chosen.items()
        ],
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    answer = tierwright("owners", "wordpress", "--scan", str(tmp_path / "report.json"), "--json").json
    assert {each["vulnerability"]: (each["tier"], each["team"], each["duty"]) for each in answer["findings"]} == {
        f"CVE-{tier}": (tier, properties(component)["team"], "act") for tier, component in chosen.items()
    }
    above = {each["tier"]: each["inherited_by"] for each in answer["findings"]}
    assert above["base"] == ["corebuild", "httpd-php", "wordpress"]
