"""Findings of scanners belong to the tier that last changed the package, and no finding is lost."""

from __future__ import annotations

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom import cyclonedx as our_cyclonedx
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.component_reader import read_components
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.finding_owners import Duty, find_owners
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.scan_report import read_report
from made_images import digest, layer, step, tier_step
from made_packages import OS_RELEASE, dpkg
from scan_reports import (
    cyclonedx,
    grype,
    grype_match,
    trivy,
    trivy_python,
    trivy_system,
    trivy_vulnerability,
    vex,
    write_report,
)

pytestmark = pytest.mark.once

METADATA = "usr/lib/python3/dist-packages/requests.dist-info/METADATA"
BASE = layer(
    dpkg(("libssl3", "3.0.11-1", "openssl"), ("old", "1"), ("libc6", "2.36")), OS_RELEASE, ("lib", "-> usr/lib")
)
CORE = layer(dpkg(("libssl3", "3.0.14-1", "openssl"), ("libc6", "2.36")), (METADATA, b"Name: requests"))
WEB = layer(dpkg(("libssl3", "3.0.14-1", "openssl"), ("libc6", "2.36"), ("php", "2:8.2")))
STEPS = [tier_step("base", "ops"), tier_step("core", "platform"), tier_step("web", "mid")]


@pytest.fixture
def stack(open_image):
    return open_image([BASE, CORE, WEB], STEPS)


@pytest.fixture
def ask(stack, tmp_path):
    """Join reports to the image. Each report is a document in one of the formats."""

    def ask_(*documents, **options):
        paths = [write_report(tmp_path, document, f"{number}.json") for number, document in enumerate(documents)]
        return find_owners(options.pop("stack", stack), [read_report(path) for path in paths], **options)

    return ask_


def debian(*arguments, **more):
    return trivy(trivy_system(trivy_vulnerability(*arguments, **more)))


def summary(answer):
    return [(each.vulnerability, each.duty.value, each.tier, each.team, each.found) for each in answer.findings]


@pytest.mark.parametrize(
    "document",
    [
        debian("CVE-1", "libssl3", "3.0.14-1", "3.0.15-1"),
        grype(grype_match("CVE-1", "libssl3", "3.0.14-1", fixed="3.0.15-1")),
        grype(grype_match("CVE-1", "libssl3", "3.0.14-1", fixed="3.0.15-1", purl="")),
        cyclonedx({"id": "CVE-1", "affects": [{"ref": "pkg:deb/debian/libssl3@3.0.14-1?arch=amd64"}]}),
        # Its source package, as some tools report it.
        cyclonedx({"id": "CVE-1", "affects": [{"ref": "pkg:deb/debian/openssl@3.0.14-1?arch=source"}]}),
    ],
    ids=["trivy", "grype", "grype without a package URL", "cyclonedx", "source"],
)
def test_a_finding_belongs_to_the_tier_that_last_changed_the_package(ask, document):
    answer = ask(document)
    assert summary(answer) == [("CVE-1", "act", "core", "platform", ["libssl3:amd64"])]
    [finding] = answer.findings
    assert (finding.installed, finding.layer, finding.inherited_by) == ("3.0.14-1", digest(CORE), ["web"])
    assert [(duty.team, duty.act, duty.no_fix) for duty in answer.teams] == [("platform", 1, 0)]


def test_all_tiers_above_the_owner_inherit_a_finding(ask):
    assert [each.inherited_by for each in ask(debian("CVE-1", "libc6", "2.36", "2.37")).findings] == [["core", "web"]]
    assert [each.inherited_by for each in ask(debian("CVE-1", "php", "2:8.2", "2:8.3")).findings] == [[]]


@pytest.mark.parametrize("version", ["2:8.2", "8.2"])
def test_a_version_without_its_epoch_is_found(ask, version):
    assert summary(ask(debian("CVE-1", "php", version, "9"))) == [("CVE-1", "act", "web", "mid", ["php:amd64"])]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (debian("CVE-1", "libssl3", "3.0.11-1"), "core replaced it by version 3.0.14-1"),
        (debian("CVE-1", "old", "1"), "core removed it"),
        (debian("CVE-1", "libc6", "2.35"), "the image has version 2.36"),
        (debian("CVE-1", "nothing", "1"), "the image has no such package"),
        (cyclonedx({"id": "CVE-1"}), "the report does not name a package"),
        (trivy(trivy_python("CVE-1", "x", "1", "2", "srv/x/METADATA")), "the image has no /srv/x/METADATA"),
        (
            trivy(
                {
                    "Class": "lang-pkgs",
                    "Vulnerabilities": [{"VulnerabilityID": "CVE-1", "PkgName": "x", "Layer": {"DiffID": "sha256:9"}}],
                }
            ),
            "the image has no layer sha256:9",
        ),
    ],
)
def test_a_finding_whose_package_is_not_in_the_image_is_told(ask, document, reason):
    answer = ask(document)
    assert summary(answer) == [("CVE-1", "not found", None, None, [])]
    assert answer.findings[0].reason == reason
    assert answer.teams == []


def test_a_package_of_the_distribution_is_never_found_by_its_layer_alone(ask):
    document = debian("CVE-1", "nothing", "1", Layer={"DiffID": digest(WEB)})
    assert [each.duty for each in ask(document).findings] == [Duty.NOT_FOUND]
    del document["Results"][0]["Vulnerabilities"][0]["PkgIdentifier"]
    assert [each.duty for each in ask(document).findings] == [Duty.NOT_FOUND]


def test_a_finding_without_a_package_is_not_one_in_packages_without_a_source(ask, open_image):
    database = layer(("lib/apk/db/installed", b"P:\nV:1\nA:x86_64\n"), dpkg(("libc6", "2.36")))
    answer = ask(cyclonedx({"id": "CVE-1"}), stack=open_image([database], STEPS[:1]))
    assert [each.reason for each in answer.findings] == ["the report does not name a package"]


def test_a_package_of_another_architecture_is_not_found(ask):
    document = cyclonedx({"id": "CVE-1", "affects": [{"ref": "pkg:deb/debian/libc6@2.36?arch=i386"}]})
    assert [each.duty for each in ask(document).findings] == [Duty.NOT_FOUND]


@pytest.mark.parametrize("path", [METADATA, f"/{METADATA}", METADATA.removeprefix("usr/")])
def test_a_package_of_a_language_belongs_to_the_tier_that_wrote_its_file(ask, path):
    answer = ask(trivy(trivy_python("CVE-1", "requests", "2.1", "2.2", path)))
    assert summary(answer) == [("CVE-1", "act", "core", "platform", [f"/{METADATA}"])]


def test_without_a_file_the_layer_in_the_report_decides(ask):
    match = grype_match("CVE-1", "app", "1", fixed="2", kind="binary", purl="pkg:generic/app@1")
    match["artifact"]["locations"] = [{"layerID": digest(WEB)}]
    assert summary(ask(grype(match))) == [("CVE-1", "act", "web", "mid", ["app"])]


def test_a_package_of_a_language_is_never_taken_for_one_of_the_distribution(ask):
    document = grype(grype_match("CVE-1", "libc6", "2.36", kind="npm", purl="pkg:npm/libc6@2.36", path=""))
    assert [each.duty for each in ask(document).findings] == [Duty.NOT_FOUND]


def test_nobody_must_act_while_there_is_no_fix(ask):
    answer = ask(debian("CVE-1", "libc6", "2.36"))
    assert [each.duty for each in answer.findings] == [Duty.NO_FIX]
    assert [(duty.team, duty.act, duty.no_fix) for duty in answer.teams] == [("ops", 0, 1)]


def test_the_same_finding_of_two_scanners_is_one(ask):
    answer = ask(debian("CVE-1", "libc6", "2.36"), grype(grype_match("CVE-1", "libc6", "2.36", fixed="2.37", purl="")))
    [finding] = answer.findings
    assert (finding.duty, finding.severity, finding.fixed_in) == (Duty.ACT, "critical", ["2.37"])
    assert [report.rpartition("/")[2] for report in finding.reports] == ["0.json", "1.json"]


@pytest.mark.parametrize("state", ["not_affected", "resolved", "resolved_with_pedigree", "false_positive"])
def test_a_vex_document_settles_a_finding(ask, state):
    statement = vex("CVE-1", "pkg:deb/debian/libc6@2.36", state, detail="compiled without it")
    answer = ask(debian("CVE-1", "libc6", "2.36", "2.37"), cyclonedx(statement))
    [finding] = answer.findings
    assert (finding.duty, finding.reason) == (Duty.SETTLED, f"{state}: compiled without it")
    assert answer.teams == []


def test_our_own_documents_are_what_a_vex_document_refers_to(ask, stack):
    document = our_cyclonedx.write_image(read_components(stack))
    [reference] = [each["bom-ref"] for each in document["components"] if each["name"] == "php"]
    link = f"urn:cdx:{document['serialNumber'].removeprefix('urn:uuid:')}/1#{reference}"
    answer = ask(debian("CVE-1", "php", "2:8.2", "2:8.3"), cyclonedx(vex("CVE-1", link, "not_affected")))
    assert [each.duty for each in answer.findings] == [Duty.SETTLED]


def test_a_vex_document_also_settles_what_a_scanner_found_by_its_path(ask):
    scanned = trivy(trivy_python("CVE-1", "requests", "2.1", "2.2", METADATA))
    for documents in ([scanned], [scanned, scanned]):
        answer = ask(*documents, cyclonedx(vex("CVE-1", "pkg:pypi/requests@2.1", "not_affected")))
        assert summary(answer) == [("CVE-1", "settled", "core", "platform", [f"/{METADATA}"])]


def test_an_analysis_settles_only_its_own_vulnerability_package_and_version(ask):
    scanned = debian("CVE-1", "libc6", "2.36", "2.37")
    for statement in (
        vex("CVE-2", "pkg:deb/debian/libc6@2.36", "not_affected"),
        vex("CVE-1", "pkg:deb/debian/php@8.2?epoch=2", "not_affected"),
        vex("CVE-1", "pkg:deb/debian/libc6@2.35", "not_affected"),
    ):
        assert ask(scanned, cyclonedx(statement)).teams[0].act == 1


@pytest.mark.parametrize("state", ["exploitable", "in_triage"])
def test_one_analysis_that_somebody_must_act_outweighs_all_others(ask, state):
    reference = "pkg:deb/debian/libc6@2.36"
    documents = [cyclonedx(vex("CVE-1", reference, each)) for each in ("not_affected", state)]
    for order in (documents, documents[::-1]):
        assert [each.duty for each in ask(debian("CVE-1", "libc6", "2.36"), *order).findings] == [Duty.ACT]


def test_the_findings_of_one_team(ask):
    document = trivy(
        trivy_system(
            trivy_vulnerability("CVE-1", "libc6", "2.36", "2.37"),
            trivy_vulnerability("CVE-2", "php", "2:8.2", "2:8.3"),
            trivy_vulnerability("CVE-3", "nothing", "1"),
        )
    )
    answer = ask(document, team="mid")
    assert summary(answer) == [("CVE-2", "act", "web", "mid", ["php:amd64"])]
    assert [duty.team for duty in answer.teams] == ["mid"]
    assert "2 findings of other teams, or of packages that were not found, are not shown" in answer.notes
    assert len(ask(document).findings) == 3


def test_layers_of_others_belong_to_the_tier_that_took_them(ask, open_image):
    scanned = debian("CVE-1", "libc6", "2.36", "2.37")
    pulled = open_image([BASE, WEB], [step("RUN x"), tier_step("base", "ops", empty=True), STEPS[2]])
    assert summary(ask(scanned, stack=pulled)) == [("CVE-1", "act", "base", "ops", ["libc6:amd64"])]
    foreign = open_image([BASE], [step("RUN apt-get install libc6")])
    answer = ask(scanned, stack=foreign)
    assert [(each.team, each.owner) for each in answer.findings] == [(None, "layer 1: RUN apt-get install libc6")]
    assert [(duty.team, duty.act) for duty in answer.teams] == [(None, 1)]


def test_two_files_of_one_finding_can_have_two_owners(ask, open_image):
    other = METADATA.replace("dist-packages", "site-packages")
    stack = open_image([BASE, CORE, layer((other, b"")), WEB], [*STEPS[:2], tier_step("lib", "libs"), STEPS[2]])
    scanned = trivy(*(trivy_python("CVE-1", "requests", "2.1", "2.2", path) for path in (METADATA, other)))
    answer = ask(scanned, cyclonedx(vex("CVE-2", "pkg:pypi/requests@2.1", "not_affected")), stack=stack)
    assert summary(answer)[:2] == [
        ("CVE-1", "act", "lib", "libs", [f"/{other}"]),
        ("CVE-1", "act", "core", "platform", [f"/{METADATA}"]),
    ]


@pytest.mark.timeout(120)  # a few seconds; what grows with the square of the input takes far longer
def test_a_large_report_about_another_image_is_answered_soon(ask):
    found = [trivy_vulnerability(f"CVE-{number}", "libc6", "1") for number in range(5000)]
    python = [trivy_python("CVE-1", "x", "1", "2", f"srv/{number}") for number in range(2000)]
    assert len(ask(trivy(trivy_system(*found), *python)).findings) == 5001


def test_a_report_about_another_image_is_told(ask, stack):
    assert "is about image sha256:555" in ask(trivy()).notes[0]
    assert ask(trivy(image=stack.document.id)).notes == []


def test_teams_with_the_most_work_come_first_and_the_worst_findings(ask):
    document = trivy(
        trivy_system(
            trivy_vulnerability("CVE-1", "libc6", "2.36", "2.37", Severity="LOW"),
            trivy_vulnerability("CVE-2", "libc6", "2.36", "2.37", Severity="CRITICAL"),
            trivy_vulnerability("CVE-3", "libc6", "2.36"),
            trivy_vulnerability("CVE-4", "php", "2:8.2", "2:8.3"),
        )
    )
    answer = ask(document)
    assert [(duty.team, [(each.severity, each.count) for each in duty.severities]) for duty in answer.teams] == [
        ("ops", [("critical", 1), ("low", 1)]),
        ("mid", [("high", 1)]),
    ]
    assert [each.vulnerability for each in answer.findings] == ["CVE-4", "CVE-2", "CVE-1", "CVE-3"]
