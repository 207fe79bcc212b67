"""Reports of vulnerability scanners, written by hand after the formats that the tools document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

IMAGE_ID = "sha256:" + "5" * 64
LAYER = "sha256:" + "1" * 64


def trivy(*results: dict[str, Any], image: str = IMAGE_ID) -> dict[str, Any]:
    """`trivy image --format json`."""
    return {
        "SchemaVersion": 2,
        "CreatedAt": "2026-11-30T00:00:00Z",
        "ArtifactName": "web:latest",
        "ArtifactType": "container_image",
        "Metadata": {"OS": {"Family": "debian", "Name": "12.8"}, "ImageID": image, "DiffIDs": []},
        "Results": list(results),
    }


def trivy_system(*vulnerabilities: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The result for packages of the distribution."""
    target = {"Target": "web:latest (debian 12.8)", "Class": "os-pkgs", "Type": "debian"}
    return {**target, "Vulnerabilities": list(vulnerabilities), **more}


def trivy_vulnerability(cve: str, package: str, version: str, fixed: str = "", **more: Any) -> dict[str, Any]:
    epoch, colon, rest = version.rpartition(":")
    purl = f"pkg:deb/debian/{package}@{rest}?arch=amd64&distro=debian-12.8" + (f"&epoch={epoch}" if colon else "")
    found = {
        "VulnerabilityID": cve,
        "PkgID": f"{package}@{version}",
        "PkgName": package,
        "PkgIdentifier": {"PURL": purl, "UID": "e132ebd50ad9fa8b"},
        "InstalledVersion": version,
        "Status": "fixed" if fixed else "affected",
        "Layer": {"DiffID": LAYER},
        "Severity": "HIGH",
    }
    return {**found, **({"FixedVersion": fixed} if fixed else {}), **more}


def trivy_python(cve: str, package: str, version: str, fixed: str, path: str) -> dict[str, Any]:
    """The result for Python packages, with one vulnerability."""
    found = {
        "VulnerabilityID": cve,
        "PkgName": package,
        "PkgPath": path,
        "PkgIdentifier": {"PURL": f"pkg:pypi/{package}@{version}"},
        "InstalledVersion": version,
        "FixedVersion": fixed,
        "Status": "fixed",
        "Severity": "MEDIUM",
    }
    return {"Target": "Python", "Class": "lang-pkgs", "Type": "python-pkg", "Vulnerabilities": [found]}


def grype(*matches: dict[str, Any], ignored: Any = None, image: str = IMAGE_ID) -> dict[str, Any]:
    """`grype -o json`."""
    return {
        "matches": list(matches),
        **({"ignoredMatches": ignored} if ignored else {}),
        "source": {"type": "image", "target": {"userInput": "web:latest", "imageID": image, "layers": []}},
        "distro": {"name": "debian", "version": "12"},
        "descriptor": {"name": "grype", "version": "0.100.0"},
    }


def grype_match(
    cve: str,
    package: str,
    version: str,
    *,
    fixed: str = "",
    state: str = "",
    kind: str = "deb",
    purl: str | None = None,
    path: str = "/var/lib/dpkg/status",
    **more: Any,
) -> dict[str, Any]:
    return {
        "vulnerability": {
            "id": cve,
            "severity": "Critical",
            "namespace": "debian:distro:debian:12",
            "fix": {"versions": [fixed] if fixed else [], "state": state or ("fixed" if fixed else "not-fixed")},
        },
        "relatedVulnerabilities": [],
        "matchDetails": [{"type": "exact-direct-match"}],
        "artifact": {
            "id": "739158935bfffc4d",
            "name": package,
            "version": version,
            "type": kind,
            "locations": [{"path": path, "layerID": LAYER}],
            "purl": f"pkg:deb/debian/{package}@{version}?arch=amd64&distro=debian-12" if purl is None else purl,
            "upstreams": [],
        },
        **more,
    }


def cyclonedx(*vulnerabilities: dict[str, Any], components: Any = ()) -> dict[str, Any]:
    """A document of CycloneDX with vulnerabilities."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": list(components),
        "vulnerabilities": list(vulnerabilities),
    }


def vex(cve: str, reference: str, state: str, **analysis: Any) -> dict[str, Any]:
    """One statement of a VEX document."""
    return {"id": cve, "analysis": {"state": state, **analysis}, "affects": [{"ref": reference}]}


def write_report(folder: Path, document: Any, name: str = "report.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path
