"""`tierwright sbom`, on an image that the tests make."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from made_images import config, layer, layout, tier_step, write
from made_packages import OS_RELEASE, dpkg

pytestmark = pytest.mark.once

BASE = layer(dpkg(("ssl", "1"), ("old", "1")), OS_RELEASE)
WEB = layer(dpkg(("ssl", "2"), ("php", "8")))
STEPS = [tier_step("base", "ops"), tier_step("web", "mid")]


@pytest.fixture
def image(tmp_path):
    layers = [BASE, WEB]
    return f"oci:{write(tmp_path / 'layout', layout({'web:latest': (config(layers, STEPS), layers)}))}"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run_(*arguments):
        result = CliRunner().invoke(tierwright, ["sbom", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result.exit_code, result.stdout, result.stderr

    return run_


def names(document):
    return [each["name"] for each in document["components"] if each["type"] == "library"]


def test_the_whole_image_in_cyclonedx_is_the_default(run, image):
    code, out, err = run(image)
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert names(document) == ["php", "ssl"]


def test_one_tier_and_all_layers(run, image):
    tier = json.loads(run(image, "--tier", "base")[1])
    assert names(tier) == ["old", "ssl"]
    assert [names(document) for document in json.loads(run(image, "--layers")[1])] == [["old", "ssl"], ["php", "ssl"]]


def test_spdx_in_a_file(run, image, tmp_path):
    assert run(image, "--format", "spdx", "-o", str(tmp_path / "it.json"))[:2] == (0, "")
    document = json.loads((tmp_path / "it.json").read_text())
    assert [each["name"] for each in document["packages"]] == ["web", "base", "php", "ssl"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--tier", "nothing"], 3, "image web has no tier 'nothing'; it has base, web"),
        (["--tier", "web", "--layers"], 2, "--tier and --layers exclude each other"),
        (["-o", "/nowhere/it.json"], 2, "cannot be written: No such file or directory (/nowhere/it.json)"),
        (["--format", "xml"], 2, "'xml' is not one of 'cyclonedx', 'spdx'"),
    ],
)
def test_wrong_arguments(run, image, arguments, code, message):
    result = run(image, *arguments)
    assert (result[0], result[1]) == (code, "")
    assert message in result[2]


def test_a_damaged_database_is_told_on_standard_error(run, tmp_path):
    layers = [layer(("var/lib/rpm/rpmdb.sqlite", b"damaged"))]
    write(tmp_path / "damaged", layout({"it:1": (config(layers, STEPS[:1]), layers)}))
    code, out, err = run(f"oci:{tmp_path}/damaged")
    assert code == 0
    assert "rpmdb.sqlite" in err
    assert "rpmdb.sqlite" in out


def test_a_large_image_is_listed_completely(run, tmp_path):
    """As large as the demo: 5 layers with 600 packages and 30,000 files."""
    packages = [(f"package-{number}", "1.0-1", f"source-{number}") for number in range(600)]
    layers = []
    for number in range(5):
        packages[number] = (f"package-{number}", "2.0-1", "source")
        files = [(f"usr/share/{number}/{file // 100}/{file}", b"") for file in range(6000)]
        layers.append(layer(dpkg(*packages), *files))
    steps = [tier_step(f"tier{number}", "ops") for number in range(5)]
    write(tmp_path / "large", layout({"it:1": (config(layers, steps), layers)}))
    code, out, _ = run(f"oci:{tmp_path}/large")
    assert code == 0
    assert len(names(json.loads(out))) == 600


def test_the_verb_imports_neither_the_sdk_of_the_engine_nor_ansible(image, tmp_path):
    script = (
        f"import sys; from {tierwright.callback.__module__} import tierwright\n"
        f"try: tierwright(['sbom', {image!r}, '-o', {str(tmp_path / 'it')!r}])\n"
        "except SystemExit: print(*sorted(sys.modules))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"XDG_CACHE_HOME": str(tmp_path)},
    )
    modules = {module.partition(".")[0] for module in process.stdout.split()}
    assert not modules & {"ansible", "cyclonedx", "spdx_tools", "rdflib", "packageurl"}
