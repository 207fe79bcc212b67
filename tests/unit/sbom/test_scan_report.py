"""Reports of scanners are read in their own formats, and as if they were hostile."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    DamagedError,
    NotFoundError,
    TierwrightError,
    UnsupportedError,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom import scan_report
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.scan_report import read_report
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.sbom.scanned_finding import worst
from scan_reports import (
    IMAGE_ID,
    LAYER,
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

TRIVY = trivy(
    trivy_system(
        trivy_vulnerability("CVE-1", "libssl3", "3.0.11-1", "3.0.15-1"),
        trivy_vulnerability("CVE-2", "php", "2:8.2"),
        trivy_vulnerability("CVE-3", "php", "2:8.2", Status="not_affected"),
        trivy_vulnerability("CVE-4", "php", "2:8.2", Status="under_investigation"),
        ExperimentalModifiedFindings=[
            {
                "Type": "vulnerability",
                "Status": "ignored",
                "Source": ".trivyignore",
                "Statement": "not reachable",
                "Finding": trivy_vulnerability("CVE-5", "php", "2:8.2"),
            },
            {"Type": "secret", "Status": "ignored", "Finding": {"RuleID": "x"}},
        ],
    ),
    trivy_python("CVE-6", "requests", "2.1", "2.2, 2.3", "usr/lib/python3/requests/METADATA"),
    {"Target": "secrets", "Class": "secret"},
)
GRYPE = grype(
    grype_match("CVE-1", "libssl3", "3.0.11-1", fixed="3.0.15-1"),
    grype_match("CVE-2", "php", "2:8.2", state="wont-fix"),
    grype_match("CVE-3", "php", "2:8.2", state="unknown"),
    grype_match(
        "GHSA-4",
        "requests",
        "2.1",
        fixed="2.2",
        kind="python",
        purl="pkg:pypi/requests@2.1",
        path="/usr/lib/python3/requests/METADATA",
    ),
    ignored=[
        grype_match(
            "CVE-5",
            "php",
            "2:8.2",
            appliedIgnoreRules=[{"vex-status": "not_affected", "vex-justification": "code_not_reachable"}],
        )
    ],
)
CYCLONEDX = cyclonedx(
    {
        "id": "CVE-1",
        "ratings": [{"severity": "low"}, {"severity": "high"}],
        "affects": [
            {
                "ref": "ssl",
                "versions": [{"version": "3.0.11-1", "status": "affected"}, {"version": "3.1", "status": "unaffected"}],
            },
            {"ref": "inner"},
        ],
    },
    vex("CVE-2", "pkg:deb/debian/php@8.2?arch=amd64&epoch=2", "not_affected", justification="code_not_reachable"),
    vex("CVE-3", "urn:cdx:00000000-0000-0000-0000-000000000000/1#pkg%3Adeb%2Fdebian%2Fa%252Bb%401", "exploitable"),
    vex("CVE-4", "urn:cdx:00000000-0000-0000-0000-000000000000/1#ssl", "false_positive", detail="wrong product"),
    {"id": "CVE-5"},
    components=[
        {
            "bom-ref": "ssl",
            "name": "libssl3",
            "version": "3.0.11-1",
            "purl": "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64",
            "components": [{"bom-ref": "inner", "name": "inner", "version": "1"}],
        }
    ],
)


def read(tmp_path, document):
    return read_report(write_report(tmp_path, document))


def summary(report):
    return [
        (each.vulnerability, each.package.kind, each.package.name, each.package.version, each.fixed_in)
        for each in report.findings
    ]


def test_trivy(tmp_path):
    report = read(tmp_path, TRIVY)
    assert (report.form, report.image) == ("trivy", IMAGE_ID)
    assert summary(report) == [
        ("CVE-1", "deb", "libssl3", "3.0.11-1", ("3.0.15-1",)),
        ("CVE-2", "deb", "php", "2:8.2", ()),
        ("CVE-3", "deb", "php", "2:8.2", ()),
        ("CVE-4", "deb", "php", "2:8.2", ()),
        ("CVE-5", "deb", "php", "2:8.2", ()),
        ("CVE-6", "pypi", "requests", "2.1", ("2.2", "2.3")),
    ]
    assert [each.has_no_fix for each in report.findings] == [False, True, False, False, False, False]
    assert [each.is_settled for each in report.findings] == [False, False, True, False, True, False]
    assert report.findings[4].analysis == "ignored (.trivyignore: not reachable)"
    assert (report.findings[0].severity, report.findings[0].layer, report.findings[0].paths) == ("high", LAYER, ())
    assert report.findings[0].package.architecture == "amd64"
    assert report.findings[5].paths == ("usr/lib/python3/requests/METADATA",)


def test_trivy_without_findings(tmp_path):
    document = trivy()
    del document["Results"]
    assert read(tmp_path, document).findings == ()


def test_grype(tmp_path):
    report = read(tmp_path, GRYPE)
    assert (report.form, report.image) == ("grype", IMAGE_ID)
    assert summary(report) == [
        ("CVE-1", "deb", "libssl3", "3.0.11-1", ("3.0.15-1",)),
        ("CVE-2", "deb", "php", "2:8.2", ()),
        ("CVE-3", "deb", "php", "2:8.2", ()),
        ("GHSA-4", "pypi", "requests", "2.1", ("2.2",)),
        ("CVE-5", "deb", "php", "2:8.2", ()),
    ]
    assert [each.has_no_fix for each in report.findings] == [False, True, False, False, True]
    assert [each.analysis for each in report.findings] == ["", "", "", "", "not_affected code_not_reachable"]
    assert (report.findings[3].paths, report.findings[3].layer) == (("usr/lib/python3/requests/METADATA",), LAYER)


def test_grype_of_a_folder_names_no_image(tmp_path):
    document = copy.deepcopy(GRYPE)
    document["source"] = {"type": "directory", "target": "/srv"}
    assert read(tmp_path, document).image is None


def test_cyclonedx(tmp_path):
    report = read(tmp_path, CYCLONEDX)
    assert (report.form, report.image) == ("cyclonedx", None)
    assert summary(report) == [
        ("CVE-1", "deb", "libssl3", "3.0.11-1", ("3.1",)),
        ("CVE-1", "", "inner", "1", ()),
        ("CVE-2", "deb", "php", "2:8.2", ()),
        ("CVE-3", "deb", "a+b", "1", ()),
        ("CVE-4", "deb", "libssl3", "3.0.11-1", ()),
        ("CVE-5", "", "", "", ()),
    ]
    assert report.findings[0].severity == "high"
    assert [each.is_settled for each in report.findings] == [False, False, True, False, True, False]
    assert [each.analysis for each in report.findings] == [
        "",
        "",
        "not_affected, code_not_reachable",
        "exploitable",
        "false_positive: wrong product",
        "",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["LOW", "Critical"], "critical"),
        (["Important"], "high"),
        (["Negligible"], "negligible"),
        (["strange", None], "unknown"),
        ([], "unknown"),
    ],
)
def test_severities_of_all_tools_are_compared(words, expected):
    assert worst(words) == expected


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", DamagedError, "is damaged"),
        (b"\xff\xfe", DamagedError, "is damaged"),
        (b"[" * 100_000, DamagedError, "nested too deeply"),
        (b"[]", DamagedError, "Expected `object`, got `array`"),
        (b"{}", UnsupportedError, "has no known format; expected JSON of trivy"),
        (b'{"bomFormat": "CycloneDX"}', UnsupportedError, "without 'vulnerabilities'"),
        (b'{"SchemaVersion": 2, "Results": 5}', DamagedError, r"at `\$.Results`"),
        (b'{"SchemaVersion": 2, "Results": [{"Vulnerabilities": [5]}]}', DamagedError, r"Vulnerabilities\[0\]"),
        (b'{"matches": [{"vulnerability": {"id": 5}, "artifact": {}}]}', DamagedError, r"vulnerability.id`"),
        (b'{"matches": [{"vulnerability": {}}]}', DamagedError, "missing required field `artifact`"),
        (b'{"SchemaVersion": ' + b"9" * 5000 + b"}", DamagedError, "is damaged"),
    ],
)
def test_a_damaged_report_is_rejected_in_one_sentence(tmp_path, content, error, message):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(error, match=message) as raised:
        read_report(path)
    assert str(raised.value).startswith(f"scan report {path}")


def test_a_missing_report_is_an_error(tmp_path):
    with pytest.raises(NotFoundError, match="No such file or directory"):
        read_report(tmp_path / "nothing.json")
    with pytest.raises(NotFoundError, match="Is a directory"):
        read_report(tmp_path)


def test_too_large_reports_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_report, "MOST", 5)
    with pytest.raises(DamagedError, match="it has more than 5 findings"):
        read(tmp_path, TRIVY)
    monkeypatch.setattr(scan_report, "LARGEST", 100)
    with pytest.raises(DamagedError, match="it is larger than"):
        read(tmp_path, TRIVY)


def test_texts_of_a_report_are_printable_and_short(tmp_path):
    evil = "\x1b[31m\u202e" + "A" * 10_000 + "\udcff"
    [finding] = read(tmp_path, trivy(trivy_system(trivy_vulnerability(evil, evil, evil, evil)))).findings
    for text in (finding.vulnerability, finding.package.name, finding.package.version, *finding.fixed_in):
        assert text.isprintable()
        assert len(text) < 600


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def places(value, path=()):
    """Paths of all values in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("document", [TRIVY, GRYPE, CYCLONEDX], ids=["trivy", "grype", "cyclonedx"])
@settings(max_examples=200)
@given(data=st.data())
def test_a_report_with_any_value_in_any_place_is_read_or_rejected(tmp_path_factory, document, data):
    path = data.draw(st.sampled_from(sorted(places(document), key=str)))
    changed = copy.deepcopy(document)
    value = data.draw(JSON)
    if path:
        holder = changed
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = value
    else:
        changed = value
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_text(json.dumps(changed))
    try:
        report = read_report(file)
    except TierwrightError as error:
        assert str(error).startswith("scan report")  # noqa: PT017 - both outcomes are correct
    else:
        assert all(each.vulnerability for each in report.findings)
