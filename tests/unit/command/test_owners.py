"""`tierwright owners`, on an image and reports that the tests make."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.command.main import tierwright
from made_images import config, layer, layout, tier_step, write
from made_packages import OS_RELEASE, dpkg
from scan_reports import cyclonedx, trivy, trivy_python, trivy_system, trivy_vulnerability, vex, write_report

pytestmark = pytest.mark.once

LAYERS = [
    layer(dpkg(("ssl", "1"), ("libc6", "2.36")), OS_RELEASE),
    layer(dpkg(("ssl", "2"), ("libc6", "2.36")), ("srv/app/METADATA", b"")),
]
STEPS = [tier_step("base", "ops"), tier_step("web", "mid")]
SCAN = trivy(
    trivy_system(
        trivy_vulnerability("CVE-1", "ssl", "2", "3"),
        trivy_vulnerability("CVE-2", "libc6", "2.36", "2.37", Severity="CRITICAL"),
        trivy_vulnerability("CVE-3", "libc6", "2.36"),
        trivy_vulnerability("CVE-4", "libc6", "2.36", "2.37"),
        trivy_vulnerability("CVE-5", "ssl", "1"),
    ),
    trivy_python("CVE-6", "app", "1", "2", "srv/app/METADATA"),
)
VEX = cyclonedx(vex("CVE-4", "pkg:deb/debian/libc6@2.36", "not_affected", justification="code_not_reachable"))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the verb about the image, with the reports that are given by name."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write(tmp_path / "layout", layout({"web:latest": (config(LAYERS, STEPS), LAYERS)}))
    reports = {"scan": SCAN, "vex": VEX, "empty": trivy()}
    paths = {name: str(write_report(tmp_path, document, f"{name}.json")) for name, document in reports.items()}

    def run_(*arguments):
        given = [paths.get(argument, argument) for argument in arguments]
        result = CliRunner().invoke(tierwright, ["owners", f"oci:{folder}", *given])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result.exit_code, result.stdout, result.stderr

    return run_


def lines(out):
    return [" ".join(line.split()) for line in out.splitlines()]


def test_findings_are_grouped_by_team(run):
    code, out, err = run("--scan", "scan", "--scan", "vex")
    assert (code, err) == (0, "")
    assert lines(out)[:-1] == [
        "mid: must act on 2 findings (1 high, 1 medium)",
        "FINDING SEVERITY PACKAGE INSTALLED FIXED IN TIER INHERITED BY",
        "CVE-1 high ssl:amd64 2 3 web -",
        "CVE-6 medium app (/srv/app/METADATA) 1 2 web -",
        "",
        "ops: must act on 1 finding (1 critical), and owns 1 finding without a fix",
        "FINDING SEVERITY PACKAGE INSTALLED FIXED IN TIER INHERITED BY",
        "CVE-2 critical libc6:amd64 2.36 2.37 base web",
        "CVE-3 high libc6:amd64 2.36 none yet base web",
        "",
        "1 finding settled by an analysis",
        "FINDING PACKAGE TEAM ANALYSIS",
        "CVE-4 libc6:amd64 ops not_affected, code_not_reachable",
        "",
        "1 finding in packages that the image does not have",
        "FINDING SEVERITY PACKAGE VERSION WHY",
        "CVE-5 high ssl 1 web replaced it by version 2",
        "",
    ]
    assert "scan.json is about image sha256:555" in out


def test_one_team(run):
    code, out, _ = run("--scan", "scan", "--team", "mid")
    assert code == 0
    assert [line.split()[0] for line in lines(out) if line.startswith("CVE")] == ["CVE-1", "CVE-6"]
    assert "4 findings of other teams" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--scan", "scan"], 1),
        (["--scan", "scan", "--team", "mid"], 1),
        (["--scan", "scan", "--team", "nobody"], 0),
        (["--scan", "empty"], 0),
        (["--scan", "vex"], 0),
    ],
)
def test_the_exit_code_tells_whether_a_team_must_act(run, arguments, code):
    result = run(*arguments, "--exit-code")
    assert result[0] == code
    assert ("no team must act" in result[1]) == (code == 0)


def test_a_report_that_cannot_be_read_is_an_error(run, tmp_path):
    (tmp_path / "other.json").write_text('{"runs": []}')
    assert run("--scan", str(tmp_path / "other.json"))[0] == 6
    (tmp_path / "damaged.json").write_text('{"SchemaVersion": 2, "Results": [5]}')
    code, out, err = run("--scan", str(tmp_path / "damaged.json"))
    assert (code, out) == (4, "")
    assert err == (
        f"tierwright: scan report {tmp_path}/damaged.json is damaged: "
        "Expected `object`, got `int` - at `$.Results[0]`\n"
    )
    assert run("--scan", str(tmp_path / "nothing.json"))[0] == 3
    assert run()[0] == 2
